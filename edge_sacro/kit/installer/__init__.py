"""Installs a kit. Python's standard library alone: it runs on a bare machine, before anything of the kit is trusted.

A kit carries these modules and :mod:`edge_sacro.errors` as ``install.pyz``; ``edge-sacro kit`` uses the same ones.
"""
