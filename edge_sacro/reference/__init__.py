"""Every figure of the five papers behind the systems, with its place, and what the papers' other figures make of it."""

from __future__ import annotations

from edge_sacro.reference import bressem2021, dorfner2024, fu2024, noh2021, poddubnyy2020
from edge_sacro.reference.types import Figure, Interval, Matrix, Paper
from edge_sacro.reference.verify import Finding, Verdict, verify

__all__ = [
    "PAPERS",
    "Figure",
    "Finding",
    "Interval",
    "Matrix",
    "Paper",
    "Verdict",
    "paper_of_system",
    "verify",
]

PAPERS: dict[str, Paper] = {
    each.PAPER.name: each.PAPER for each in (noh2021, bressem2021, poddubnyy2020, dorfner2024, fu2024)
}
"""The papers by name, in the order of the systems."""


def paper_of_system(system: str) -> Paper:
    """The paper that a system was published in; ``dorfner2024-standard`` stands in that of ``dorfner2024``.

    Raises:
        KeyError: no paper is held for this name.
    """
    return PAPERS[system.partition("-")[0]]
