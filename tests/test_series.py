"""The answer for a CT series: when there is one, what it is the mean of, and why there is none."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from edge_sacro.reasons import SERIES_REASONS
from edge_sacro.series import MIN_SELECTED, SeriesSlice, answer_from_slices
from edge_sacro.types import State

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def stack(*probabilities: float | None) -> list[SeriesSlice]:
    """Selected slices, 3 mm apart, upwards."""
    return [
        SeriesSlice(
            index,
            State.NOT_ASSESSABLE if each is None else State.POSITIVE if each > 0.5 else State.NEGATIVE,
            each,
            True,
            (0.0, 0.0, 3.0 * index),
            AXIAL,
            "B60S",
        )
        for index, each in enumerate(probabilities)
    ]


def moved(slices: list[SeriesSlice], index: int, **changes: Any) -> list[SeriesSlice]:
    return [replace(each, **changes) if each.index == index else each for each in slices]


def test_the_answer_is_the_mean_of_the_selected_slices_in_the_order_of_their_planes() -> None:
    slices = moved(stack(0.9, 0.2, 0.4, 0.3, 0.7), 0, selected=False)
    answer = answer_from_slices(slices[::-1])
    assert [each.index for each in answer.ordered] == [0, 1, 2, 3, 4]
    assert [each.index for each in answer.selected] == [1, 2, 3, 4]
    assert answer.probability == float((Decimal("0.2") + Decimal("0.4") + Decimal("0.3") + Decimal("0.7")) / 4)
    assert (answer.reason_code, answer.distance_mm) == (None, 3.0)
    assert answer.largest is not None
    assert answer.largest.index == 4, "the slice that does not count is not the largest"


def test_the_order_is_along_the_normal_of_a_tilted_stack_and_not_along_one_axis() -> None:
    tilt = np.deg2rad(20)
    axes = (1.0, 0.0, 0.0, 0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    normal = np.array([0.0, -np.sin(tilt), np.cos(tilt)])
    slices = [
        # a gantry that is tilted may shift each slice within its plane, here against the axis
        replace(each, axes=axes, position_mm=tuple(3.0 * each.index * normal - 9.0 * each.index * np.array(axes[3:])))
        for each in stack(0.1, 0.2, 0.3, 0.4)
    ]
    heights = [each.position_mm[2] for each in slices if each.position_mm]
    assert heights == sorted(heights, reverse=True), "negative control: by z alone they would be upside down"
    answer = answer_from_slices(slices)
    assert [each.index for each in answer.ordered] == [0, 1, 2, 3]
    assert answer.distance_mm == 3.0


@pytest.mark.parametrize(
    ("slices", "code"),
    [
        (stack(0.1, 0.2), "too_few_slices"),
        ([replace(each, selected=False) for each in stack(0.1, 0.2, 0.3)], "no_slice_selected"),
        (moved(stack(*[0.2] * 5), 3, position_mm=None), "position_unknown"),
        (moved(stack(*[0.2] * 5), 3, axes=None), "position_unknown"),
        (moved(stack(*[0.2] * 5), 3, axes=(1.0, 0.0, 0.0, 0.0, 0.98, 0.2)), "mixed_orientations"),
        (moved(stack(*[0.2] * 5), 3, kernel="H30S"), "mixed_kernels"),
        (moved(stack(*[0.2] * 5), 3, kernel=None), "mixed_kernels"),
        (moved(stack(*[0.2] * 5), 3, position_mm=(5.0, 5.0, 6.0)), "duplicate_positions"),
        ([each for each in stack(*[0.2] * 6) if each.index != 3], "slice_missing"),
        (stack(0.2, 0.2, None, 0.2), "slice_not_assessable"),
    ],
)
def test_a_series_that_is_not_one_whole_stack_is_not_assessable(slices: list[SeriesSlice], code: str) -> None:
    answer = answer_from_slices(slices)
    assert (answer.reason_code, answer.probability) == (code, None)
    assert code in SERIES_REASONS
    assert f"fewer than {MIN_SELECTED} slices" in SERIES_REASONS["too_few_slices"]
    whole = answer_from_slices(stack(*[0.2] * max(len(slices), MIN_SELECTED)))
    assert (whole.reason_code, whole.probability) == (None, 0.2), "negative control"


def test_a_gap_away_from_the_joints_does_not_matter_and_one_beside_them_does() -> None:
    slices = [each for each in stack(*[0.2] * 12) if each.index != 2]
    through = {5, 6, 7, 8}
    assert answer_from_slices([replace(each, selected=each.index in through) for each in slices]).reason_code is None
    through.add(3)
    beside = answer_from_slices([replace(each, selected=each.index in through) for each in slices])
    assert beside.reason_code == "slice_missing"


def test_a_refused_slice_has_no_part_and_its_absence_is_seen() -> None:
    localizer = moved(stack(*[0.2] * 5), 0, state=State.REFUSED, probability=None, position_mm=None, axes=None)
    answer = answer_from_slices(localizer)
    assert (answer.probability, len(answer.ordered), len(answer.selected)) == (0.2, 5, 4)
    between = moved(stack(*[0.2] * 5), 2, state=State.REFUSED, probability=None)
    assert answer_from_slices(between).reason_code == "slice_missing"
