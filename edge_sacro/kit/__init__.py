"""Offline kits: everything that a machine without a network needs, in one signed file, and its installation."""
