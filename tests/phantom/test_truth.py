"""What the truth says agrees with the image and with itself."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_sacro.errors import UsageError
from edge_sacro.phantom import (
    LEFT_HIP,
    LEFT_JOINT,
    RIGHT_HIP,
    RIGHT_JOINT,
    SACRUM,
    Phantom,
    PhantomOptions,
    render,
)
from edge_sacro.types import SIDES

BITS = {"left": (LEFT_HIP, LEFT_JOINT), "right": (RIGHT_HIP, RIGHT_JOINT)}


def share_inside(box: np.ndarray, mask: np.ndarray, reach_px: int) -> float:
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8))
    return float((wide[box] > 0).mean())


def test_every_mask_is_there(many: list[Phantom]) -> None:
    for phantom in many:
        for bit in (SACRUM, LEFT_HIP, RIGHT_HIP, LEFT_JOINT, RIGHT_JOINT):
            assert np.count_nonzero(phantom.truth.masks & bit) > 200
        assert phantom.truth.masks.shape == phantom.pixels.shape


def test_the_patients_left_lies_on_the_right_of_the_image(many: list[Phantom]) -> None:
    for phantom in many:
        assert phantom.truth.left.box.x0 > phantom.truth.right.box.x1
        columns = [np.nonzero(phantom.truth.masks & bit)[1].mean() for bit in (RIGHT_HIP, SACRUM, LEFT_HIP)]
        assert columns == sorted(columns)


@pytest.mark.parametrize("side", SIDES)
def test_joint_box_holds_its_mask_and_lies_where_hip_bone_and_sacrum_meet(many: list[Phantom], side: str) -> None:
    hip, joint = BITS[side]
    other_hip, _ = BITS["left" if side == "right" else "right"]
    for phantom in many:
        masks, box = phantom.truth.masks, phantom.truth.joint(side).box
        where = (slice(box.y0, box.y1), slice(box.x0, box.x1))
        held = np.count_nonzero(masks[where] & joint) / np.count_nonzero(masks & joint)
        assert held > 0.95
        for bone in (hip, SACRUM):
            assert share_inside(where, (masks & bone) > 0, round(10 / phantom.spacing_mm)) > 0.85
        assert share_inside(where, (masks & other_hip) > 0, round(10 / phantom.spacing_mm)) < 0.3


def test_joint_box_measures_what_a_joint_does(many: list[Phantom]) -> None:
    for phantom in many:
        for side in SIDES:
            joint = phantom.truth.joint(side)
            if joint.whole:
                assert 14 < joint.box.width * phantom.spacing_mm < 60
                assert 45 < joint.box.height * phantom.spacing_mm < 95


def test_box_means_the_same_at_every_pixel_size(coarse: PhantomOptions) -> None:
    at = {mm: render((5, 1), replace(coarse, spacing_mm=mm)).truth.left.box.as_list() for mm in (1.0, 0.5, 0.2)}
    fine = np.array(at[0.2]) * 0.2
    assert np.abs(np.array(at[0.5]) * 0.5 - fine).max() < 1.2
    assert np.abs(np.array(at[1.0]) * 1.0 - fine).max() < 2.2


def test_laid_down_grades_are_kept(graded: dict[int, Phantom]) -> None:
    for grade, phantom in graded.items():
        assert (phantom.truth.left.grade, phantom.truth.right.grade) == (grade, grade)


@pytest.mark.parametrize(
    ("left", "right", "positive"),
    [(0, 0, False), (1, 2, False), (2, 2, True), (3, 0, True), (0, 4, True), (2, 1, False)],
)
def test_criterion_is_the_modified_new_york_one(left: int, right: int, positive: bool) -> None:
    small = PhantomOptions(spacing_mm=1.0, left_grade=left, right_grade=right)
    assert render(1, small).truth.mny_positive is positive


@pytest.mark.parametrize(
    "wrong", [{"left_grade": 5}, {"bits_stored": 8}, {"spacing_mm": 0.01}, {"dose": 0.0}, {"field_mm": (100.0, 400.0)}]
)
def test_options_that_cannot_be_meant_are_refused(wrong: dict) -> None:
    with pytest.raises(UsageError):
        PhantomOptions(**wrong)
