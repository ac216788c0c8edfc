"""Canonical view: every orientation gives the same picture and its boxes come back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_sacro.orient import canonical_box_from_stored, canonical_from_stored, stored_box_from_canonical
from edge_sacro.types import Box, Orientation

ALL = [Orientation(a, b, False) for a, b in itertools.product("LRHF", repeat=2) if (a in "LR") != (b in "LR")]


def test_there_are_eight_coronal_orientations() -> None:
    assert len(ALL) == 8


@pytest.mark.parametrize("orientation", ALL, ids=lambda o: o.row + o.column)
def test_columns_grow_to_the_left_of_the_patient_and_rows_to_the_feet(orientation: Orientation) -> None:
    step = {"L": (0, 1), "R": (0, -1), "F": (1, 0), "H": (-1, 0)}
    rows, columns = 5, 7
    y, x = np.mgrid[0:rows, 0:columns]
    (row_f, row_l), (column_f, column_l) = step[orientation.row], step[orientation.column]
    feet = row_f * x + column_f * y
    left = row_l * x + column_l * y
    shown_feet, shown_left = canonical_from_stored(feet, orientation), canonical_from_stored(left, orientation)
    assert (np.diff(shown_left, axis=1) == 1).all()
    assert (np.diff(shown_left, axis=0) == 0).all()
    assert (np.diff(shown_feet, axis=0) == 1).all()
    assert (np.diff(shown_feet, axis=1) == 0).all()


@pytest.mark.parametrize("orientation", ALL, ids=lambda o: o.row + o.column)
def test_a_box_comes_back_to_the_pixels_that_it_held(orientation: Orientation) -> None:
    image = np.arange(5 * 7).reshape(5, 7)
    shown = canonical_from_stored(image, orientation)
    box = Box(1, 2, 3, 5)
    stored = stored_box_from_canonical(box, orientation, (5, 7))
    inside = image[stored.y0 : stored.y1, stored.x0 : stored.x1]
    assert set(inside.ravel()) == set(shown[box.y0 : box.y1, box.x0 : box.x1].ravel())
    assert canonical_box_from_stored(stored, orientation, (5, 7)) == box


@pytest.mark.parametrize(("row", "column"), ["LP", "LA", "RP", "RA", "PL", "PR", "AL", "AR"])
def test_an_axial_slice_has_the_patients_front_at_its_top(row: str, column: str) -> None:
    step = {"L": (0, 1), "R": (0, -1), "P": (1, 0), "A": (-1, 0)}
    y, x = np.mgrid[0:5, 0:7]
    orientation = Orientation(row, column, False)
    (row_back, row_left), (column_back, column_left) = step[row], step[column]
    back = canonical_from_stored(row_back * x + column_back * y, orientation)
    left = canonical_from_stored(row_left * x + column_left * y, orientation)
    assert (np.diff(back, axis=0) == 1).all()
    assert (np.diff(left, axis=1) == 1).all()


def test_the_usual_orientation_changes_nothing() -> None:
    image = np.arange(12).reshape(3, 4)
    assert (canonical_from_stored(image, Orientation("L", "F", True)) == image).all()
    assert (canonical_from_stored(image, Orientation("R", "F", True)) != image).any()
