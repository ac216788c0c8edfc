"""One answer for the slices of a CT series, from each slice's own; a pure stage.

Ours: Fu 2024 tells of images alone. The probability is the mean of the selected slices': the cut-off was set for a
slice's probability, and a mean stays on that scale however many slices there are, while a maximum grows with them.
A series that may be incomplete, or more than one, is not assessable: it is never a mean of what happened to be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

import numpy as np

from edge_sacro.types import State

MIN_SELECTED = 3
"""Fewer slices say too little of joints that are 4 to 6 cm high."""

DUPLICATE_MM, GAP_FACTOR, COSINES = 0.1, 1.5, 0.01
"""Nearer planes are the same one; a step longer than so many usual ones is a gap; axes that differ more are others."""

Vector = tuple[float, float, float]
Axes = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class SeriesSlice:
    """What a series needs to know of one slice.

    Attributes:
        index: its place among the results.
        state: its answer.
        probability: as it was decided on, or None.
        selected: whether it counts for the series.
        position_mm, axes, kernel: as in ``edge_sacro.types.SlicePlane``.
    """

    index: int
    state: State
    probability: float | None
    selected: bool
    position_mm: Vector | None
    axes: Axes | None
    kernel: str | None

    @property
    def along_mm(self) -> float | None:
        """Where its plane lies along its normal, or None where the header does not say."""
        if self.position_mm is None or self.axes is None:
            return None
        normal = np.cross(self.axes[:3], self.axes[3:])
        return float(np.dot(normal / np.linalg.norm(normal), self.position_mm))


@dataclass(frozen=True)
class SeriesAnswer:
    """The answer for one series.

    Attributes:
        ordered: every slice, by position along the normal; those that have none, last.
        selected: those that count, in the same order.
        distance_mm: of neighbouring planes, the median; None below two.
        probability: the mean of the selected slices', or None.
        reason_code: why there is none, from ``edge_sacro.reasons.SERIES_REASONS``; None where there is one, and where
            every slice is refused.
    """

    ordered: tuple[SeriesSlice, ...]
    selected: tuple[SeriesSlice, ...]
    distance_mm: float | None
    probability: float | None
    reason_code: str | None

    @property
    def largest(self) -> SeriesSlice | None:
        """The selected slice of the highest probability, the first of several."""
        having = [each for each in self.selected if each.probability is not None]
        return max(having, key=lambda each: each.probability or 0.0, default=None)


def answer_from_slices(slices: Sequence[SeriesSlice]) -> SeriesAnswer:
    """Order the slices, check that they are one whole series, and take the mean."""
    ordered = sorted(slices, key=lambda each: (each.along_mm is None, each.along_mm or 0.0, each.index))
    answered = [each for each in ordered if each.state is not State.REFUSED]
    selected = tuple(each for each in answered if each.selected)
    along = [each.along_mm for each in answered if each.along_mm is not None]
    steps = [float(step) for step in np.diff(along)]
    reason = _reason_against(answered, steps) if answered else None
    mean = None if reason or not selected else _mean([each.probability or 0.0 for each in selected])
    distance = round(median(steps), 3) if steps else None
    return SeriesAnswer(tuple(ordered), selected, distance, mean, reason)


def _reason_against(answered: Sequence[SeriesSlice], steps: Sequence[float]) -> str | None:
    """The first reason why these slices, in order, have no answer as a series."""
    selected = [each for each in answered if each.selected]
    several = _several(answered, steps)
    if several is not None:
        return several
    if not selected:
        return "no_slice_selected"
    if len(selected) < MIN_SELECTED:
        return "too_few_slices"
    usual = median(steps)
    for one, other, step in zip(answered[:-1], answered[1:], steps, strict=True):
        if step > GAP_FACTOR * usual and (one.selected or other.selected):
            return "slice_missing"
    return "slice_not_assessable" if any(each.probability is None for each in selected) else None


def _several(answered: Sequence[SeriesSlice], steps: Sequence[float]) -> str | None:
    """Why these slices are not one stack."""
    if any(each.along_mm is None for each in answered):
        return "position_unknown"
    axes = np.array([each.axes for each in answered])
    if np.abs(axes - axes[0]).max() > COSINES:
        return "mixed_orientations"
    if len({each.kernel for each in answered}) > 1:
        return "mixed_kernels"
    return "duplicate_positions" if any(step < DUPLICATE_MM for step in steps) else None


def _mean(probabilities: Sequence[float]) -> float:
    """Of decimals as they are printed, so that a reader of the report comes to the same."""
    return float(sum(Decimal(str(each)) for each in probabilities) / len(probabilities))
