"""A measured figure against a published one: the difference, its interval, and whether a margin is kept."""

from __future__ import annotations

import math
from enum import Enum

from edge_sacro.reference.statistics import NORMAL_QUANTILE

Ends = tuple[float, float]


class Standing(str, Enum):
    """Where the interval of the difference, measured less published, lies beside the margin."""

    WITHIN = "within the margin"
    BEYOND = "below the margin"
    OPEN = "not shown"


def difference_interval(measured: float, ends: Ends, published: float, published_ends: Ends | None) -> Ends:
    """The 95 % interval of measured less published, two figures of independent cases.

    The interval follows from those of both figures, however skewed (MOVER; Zou and Donner, Stat Med 27, 2008,
    1693-1702). With score intervals of proportions it is Newcombe's (Stat Med 17, 1998, 873-890, method 10).

    Args:
        measured: the figure.
        ends: of its interval.
        published: the published figure.
        published_ends: of its interval; None takes the figure for exact.
    """
    low, high = published_ends or (published, published)
    difference = measured - published
    down = math.hypot(measured - ends[0], high - published)
    up = math.hypot(ends[1] - measured, published - low)
    return difference - down, difference + up


def standing_from_interval(ends: Ends, margin: float) -> Standing:
    """Non-inferiority at a one-sided level of 2.5 %: the lower end must lie above minus the margin, strictly."""
    if ends[0] > -margin:
        return Standing.WITHIN
    return Standing.BEYOND if ends[1] < -margin else Standing.OPEN


def area_ends_from_counts(area: float, positives: int, negatives: int) -> Ends:
    """An interval of a published AUC that was printed without one (Hanley and McNeil, Radiology 143, 1982, 29-36).

    Args:
        area: 0 to 1.
        positives: cases with the disease that it was measured on, 1 or more.
        negatives: cases without, 1 or more.
    """
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (first - area**2) + (negatives - 1) * (second - area**2)
    half = NORMAL_QUANTILE * math.sqrt(spread / (positives * negatives))
    return max(area - half, 0.0), min(area + half, 1.0)
