"""Suppression against two oracles, the way back to the image's pixels, and which box belongs to which side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_sacro.detect import (
    Detection,
    Placed,
    SuppressionRules,
    best_of_each_side,
    best_score,
    check_outputs,
    kept_detections,
    non_maximum_suppression,
    overlaps,
    placed_detections,
)
from edge_sacro.errors import BundleContractBroken
from edge_sacro.types import Box

Floats = npt.NDArray[np.float32]
RULES = SuppressionRules(score=0.5, iou=0.5, boxes=100)
EVERY_SCORE = 1e-8
"""The least score in the API's own configuration."""

IMAGE = (400, 600)
FIELD = Box(0, 0, 600, 400)


def _overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union in double precision, one pair at a time."""
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    inner = height * width
    return inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)


def _brute_force(scores: Floats, boxes: Floats, rules: SuppressionRules) -> list[int]:
    """A box stays unless a better one that stays overlaps it: every pair is looked at."""
    ranked = sorted(range(len(scores)), key=lambda index: (-float(scores[index]), index))
    stays: list[int] = []
    for index in ranked:
        better = [other for other in stays if _overlap(boxes[other].tolist(), boxes[index].tolist()) > rules.iou]
        if float(scores[index]) >= rules.score and not better:
            stays.append(index)
    return stays[: rules.boxes]


def _random(seed: int, count: int = 120) -> tuple[Floats, Floats]:
    """Boxes in clusters, some beyond the square; scores on a coarse grid, so that many are equal."""
    rng = np.random.default_rng(seed)
    centre = rng.choice([0.05, 0.3, 0.7], (count, 2)) + rng.normal(0, 0.04, (count, 2))
    half = rng.uniform(0.05, 0.15, (count, 2))
    scores = (rng.integers(0, 21, count) / 20).astype(np.float32)
    return scores, np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", range(12))
def test_suppression_is_that_of_looking_at_every_pair(seed: int) -> None:
    scores, boxes = _random(seed)
    for rules in (RULES, SuppressionRules(0.2, 0.3, 100), SuppressionRules(0.0, 0.7, 4)):
        found = non_maximum_suppression(scores, boxes, rules)
        assert found == _brute_force(scores, boxes, rules)
        assert found != _brute_force(scores, boxes, SuppressionRules(rules.score, 0.99, 100)), "nothing is suppressed"


@pytest.mark.shared
@pytest.mark.parametrize("image", ["0", "1", "2"])
def test_suppression_is_tensorflows_own(shared_dir: Path, image: str) -> None:
    data = np.load(shared_dir / "data" / "tfod_efficientdet_d0" / "reference.npz")
    raw_scores, raw_boxes = data[f"raw_detection_scores{image}"][0], data[f"raw_detection_boxes{image}"][0]
    scores, boxes = raw_scores.T[None], np.stack([raw_boxes, raw_boxes])[None]
    found = kept_detections(scores, boxes, SuppressionRules(EVERY_SCORE, 0.5, 100))
    assert [each.score for each in found] == data[f"detection_scores{image}"][0].tolist()
    assert [each.label + 1 for each in found] == data[f"detection_classes{image}"][0].tolist()
    anchors = data[f"detection_anchor_indices{image}"][0].astype(int)
    assert np.array_equal(np.stack([each.corners for each in found]), raw_boxes[anchors])
    rows, columns = data[f"im{image}"].shape[:2]
    scale = 512 / max(rows, columns)
    filled = (round(rows * scale), round(columns * scale))
    placed = placed_detections(found, 512, filled, (rows, columns))
    theirs = data[f"detection_boxes{image}"][0] * [rows, columns, rows, columns]
    ours = np.array([[each.box.y0, each.box.x0, each.box.y1, each.box.x1] for each in placed])
    assert np.abs(ours - theirs).max() <= 0.5 + 1e-3
    if (rows, columns) != (512, 512):
        unscaled = placed_detections(found, 512, (512, 512), (rows, columns))
        wrong = np.array([[each.box.y0, each.box.x0, each.box.y1, each.box.x1] for each in unscaled])
        assert np.abs(wrong - theirs).max() > 5, "negative control: the padding taken for image"
    other = kept_detections(scores, boxes, SuppressionRules(EVERY_SCORE, 0.4, 100))
    assert [each.score for each in other] != [each.score for each in found], "negative control: another overlap"


@pytest.mark.shared
def test_the_best_of_a_class_that_the_network_kept_are_enough(shared_dir: Path) -> None:
    """TopK in the graph, suppression outside: the two best boxes are those of all anchors."""
    data = np.load(shared_dir / "data" / "tfod_efficientdet_d0" / "reference.npz")
    scores, boxes = data["raw_detection_scores0"][0].T, data["raw_detection_boxes0"][0]
    order = np.argsort(-scores, axis=1, kind="stable")[:, :1000]
    few = kept_detections(np.take_along_axis(scores, order, 1)[None], boxes[order][None], RULES)
    every = kept_detections(scores[None], np.stack([boxes, boxes])[None], RULES)
    assert [each.score for each in few[:20]] == [each.score for each in every[:20]]


def test_equal_scores_are_ranked_by_class_and_then_by_index() -> None:
    boxes = np.array([[0, 0, 0.1, 0.1], [0.5, 0.5, 0.6, 0.6], [0, 0, 0.1, 0.1]], np.float32)
    assert non_maximum_suppression(np.full(3, 0.75, np.float32), boxes, RULES) == [0, 1]
    found = kept_detections(np.full((1, 2, 3), 0.75, np.float32), np.stack([boxes, boxes])[None], RULES)
    assert [each.label for each in found] == [0, 0, 1, 1]


def test_a_score_equal_to_the_least_one_is_kept_and_the_next_below_is_not() -> None:
    boxes = np.array([[0, 0, 0.1, 0.1], [0.5, 0.5, 0.6, 0.6]], np.float32)
    scores = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(0))], np.float32)
    assert non_maximum_suppression(scores, boxes, RULES) == [0]


def test_an_overlap_of_exactly_the_limit_is_kept() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.5], [0, 0, 1, 0.5625]], np.float32)
    scores = np.array([0.9, 0.8, 0.6], np.float32)
    assert overlaps(boxes[0], boxes[1:]).tolist() == [0.5, 0.5625]
    assert non_maximum_suppression(scores, boxes, RULES) == [0, 1]


def test_empty_boxes_overlap_nothing_and_turned_ones_are_read_as_boxes() -> None:
    boxes = np.array([[0.5, 0.5, 0.5, 0.5], [0, 0, 1, 1], [1, 1, 0, 0]], np.float32)
    assert overlaps(boxes[0], boxes).tolist() == [0, 0, 0]
    assert overlaps(boxes[1], boxes).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("scores", "boxes"),
    [
        (np.zeros((1, 2, 5), np.float32), np.zeros((1, 2, 4, 4), np.float32)),
        (np.zeros((2, 2, 5), np.float32), np.zeros((2, 2, 5, 4), np.float32)),
        (np.full((1, 2, 5), 1.5, np.float32), np.zeros((1, 2, 5, 4), np.float32)),
        (np.full((1, 2, 5), -0.5, np.float32), np.zeros((1, 2, 5, 4), np.float32)),
    ],
    ids=["shapes", "a batch", "logits above 1", "logits below 0"],
)
def test_answers_of_no_detector_are_refused(scores: Floats, boxes: Floats) -> None:
    with pytest.raises(BundleContractBroken):
        check_outputs(scores, boxes)


def test_the_best_score_is_that_of_a_box_on_the_same_object() -> None:
    boxes = np.array([[0, 0, 0.2, 0.2], [0.5, 0.5, 0.7, 0.7], [0.5, 0.52, 0.7, 0.72]], np.float32)
    scores = np.array([0.9, 0.3, 0.4], np.float32)
    assert best_score(scores, boxes, boxes[1], 0.5) == pytest.approx(0.4)
    assert best_score(scores, boxes, np.array([0.8, 0.8, 0.9, 0.9], np.float32), 0.5) == 0.0


def test_boxes_come_back_to_the_images_pixels_and_end_with_it() -> None:
    corners = [[0.25, 0.5, 0.5, 0.75], [-0.1, -0.1, 0.1, 2.0], [0.8, 0.1, 0.9, 0.2], [0.2, 0.2, 0.2, 0.2]]
    found = [Detection(0, 0.9, np.array(each, np.float32)) for each in corners]
    # A square of 100 of which 50 rows are filled: fractions of 0.5 down end the image.
    placed = placed_detections(found, 100, (50, 100), (400, 800))
    assert [each.box for each in placed] == [Box(400, 200, 600, 400), Box(0, 0, 800, 80)]


def _placed(*boxes: tuple[int, int, int, int]) -> list[Placed]:
    return [
        Placed(Detection(1, 0.9 - index / 100, np.zeros(4, np.float32)), Box(*box)) for index, box in enumerate(boxes)
    ]


LEFT, RIGHT = (100, 100, 200, 250), (350, 110, 450, 260)


def test_the_midline_runs_between_the_two_best_distinct_boxes() -> None:
    """The pelvis lies wholly in the image's left half: the image's midline would put both boxes on one side."""
    boxes = [(20, 100, 100, 220), (200, 100, 280, 220)]
    for order in ((0, 1), (1, 0)):
        sides = best_of_each_side(_placed(*(boxes[index] for index in order)), IMAGE, FIELD)
        assert sides.image_left is not None
        assert sides.image_right is not None
        assert (sides.image_left.box, sides.image_right.box) == (Box(*boxes[0]), Box(*boxes[1]))


def test_a_second_box_on_the_same_joint_is_not_the_other_joint() -> None:
    sides = best_of_each_side(_placed(LEFT, (160, 100, 260, 250), RIGHT), IMAGE, FIELD)
    assert sides.image_left is not None
    assert sides.image_right is not None
    assert (sides.image_left.box, sides.image_right.box) == (Box(*LEFT), Box(*RIGHT))


def test_one_box_has_the_side_of_the_images_midline() -> None:
    sides = best_of_each_side(_placed(RIGHT), IMAGE, FIELD)
    assert sides.image_right is not None
    assert (sides.image_left, sides.left_reason) == (None, "joint_not_detected")
    mirrored = best_of_each_side(_placed(LEFT), IMAGE, FIELD)
    assert mirrored.image_left is not None
    assert (mirrored.image_right, mirrored.right_reason) == (None, "joint_not_detected")


def test_one_box_across_the_images_midline_has_no_side() -> None:
    sides = best_of_each_side(_placed((250, 100, 351, 250)), IMAGE, FIELD)
    assert (sides.image_left, sides.image_right) == (None, None)
    assert (sides.left_reason, sides.right_reason) == ("side_unclear", "side_unclear")


def test_no_box_is_a_reason_for_each_side() -> None:
    sides = best_of_each_side([], IMAGE, FIELD)
    assert (sides.left_reason, sides.right_reason) == ("joint_not_detected", "joint_not_detected")


@pytest.mark.parametrize("other", [(350, 10, 450, 60), (350, 300, 450, 390), (205, 100, 215, 250)])
def test_boxes_that_are_no_pair_are_no_joints(other: tuple[int, int, int, int]) -> None:
    sides = best_of_each_side(_placed(LEFT, other), IMAGE, FIELD)
    assert (sides.image_left, sides.image_right, sides.left_reason) == (None, None, "pair_implausible")


def test_a_box_at_a_border_may_hold_a_part_of_a_joint() -> None:
    at_image = best_of_each_side(_placed((0, 100, 100, 250), RIGHT), IMAGE, FIELD)
    assert (at_image.image_left, at_image.left_reason) == (None, "at_image_border")
    assert at_image.image_right is not None
    at_field = best_of_each_side(_placed(LEFT, RIGHT), IMAGE, Box(98, 0, 600, 400))
    assert (at_field.image_left, at_field.left_reason) == (None, "at_field_border")
    assert best_of_each_side(_placed(LEFT, RIGHT), IMAGE, FIELD).image_left is not None, "negative control"
