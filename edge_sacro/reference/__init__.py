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
    """The paper that a system was published in, as the system says: its ``reference``.

    Raises:
        KeyError: there is no such system, or the figures of its paper are not held.
    """
    from edge_sacro.systems import SYSTEMS  # the networks' packages come with it, and the figures need none of them

    reference = SYSTEMS[system].reference
    if reference is None:
        raise KeyError(system)
    return PAPERS[reference]
