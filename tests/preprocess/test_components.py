"""Components, their ties, bounds and dilation."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sacro.preprocess.components import bounds, dilated_by_square, largest_component
from edge_sacro.types import Box


def mask_from(*lines: str) -> np.ndarray:
    return np.array([[pixel != "." for pixel in line] for line in lines])


DIAGONAL = mask_from("#...", ".#..", "...#", "...#")


def test_diagonal_neighbours_are_one_component_of_eight_and_two_of_four() -> None:
    eight = largest_component(DIAGONAL, connectivity=8, tie=0)
    four = largest_component(DIAGONAL, connectivity=4, tie=0)
    assert eight is not None
    assert four is not None
    assert bounds(eight) == Box(0, 0, 2, 2)
    assert bounds(four) == Box(3, 2, 4, 4)


@pytest.mark.parametrize(
    ("lines", "first", "last"),
    [
        # The lower left component comes first: its column does, though its row does not.
        (("..##", "....", "##.."), Box(0, 2, 2, 3), Box(2, 0, 4, 1)),
        # In one column the upper one comes first.
        (("##.", "...", "##."), Box(0, 0, 2, 1), Box(0, 2, 2, 3)),
        # The first pixel in a column decides, not the box's corner: the right one of these starts higher in column 0.
        ((".#..", "##..", "....", "##..", ".#.."), Box(0, 0, 2, 2), Box(0, 3, 2, 5)),
    ],
)
def test_ties_are_numbered_column_by_column(lines: tuple[str, ...], first: Box, last: Box) -> None:
    kept_first = largest_component(mask_from(*lines), connectivity=4, tie=0)
    kept_last = largest_component(mask_from(*lines), connectivity=4, tie=-1)
    assert kept_first is not None
    assert kept_last is not None
    assert (bounds(kept_first), bounds(kept_last)) == (first, last)


def test_size_comes_before_order() -> None:
    kept = largest_component(mask_from("#.##", "...."), connectivity=8, tie=0)
    assert kept is not None
    assert bounds(kept) == Box(2, 0, 4, 1)


def test_an_empty_mask_has_no_component_and_no_bounds() -> None:
    empty = np.zeros((4, 5), bool)
    assert largest_component(empty, connectivity=8, tie=0) is None
    assert bounds(empty) is None


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_dilation_is_every_pixel_within_the_square(radius: int) -> None:
    labels = np.random.default_rng(5).choice([0, 1, 2], p=[0.9, 0.07, 0.03], size=(23, 31)).astype(np.uint8)
    labels[0, 0] = 2
    mask = labels == 2
    box = bounds(mask)
    assert box is not None
    zone = dilated_by_square(labels, 2, box, radius)
    grown = np.zeros(mask.shape, bool)
    grown[zone.rows, zone.columns] = zone.mask
    expected = np.zeros(mask.shape, bool)
    for y, x in np.argwhere(mask):
        expected[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1] = True
    np.testing.assert_array_equal(grown, expected)
