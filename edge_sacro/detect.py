"""From a detector's raw answers to the best box of each joint: suppression, the image's own pixels, sides.

Boxes are ``(ymin, xmin, ymax, xmax)`` in fractions of the network's square input until they become pixels of the
image, and may reach beyond it until then. Suppression is that of TensorFlow's ``NonMaxSuppression`` as its Object
Detection API calls it, one class at a time; of equal scores the lower class and the lower index come first, so that
there is one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import BundleContractBroken
from edge_sacro.preprocess.resize import Size
from edge_sacro.regions import RegionRules, are_pair, border_reason
from edge_sacro.types import Box

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SuppressionRules:
    """Which boxes are kept.

    Attributes:
        score: the least.
        iou: a box that overlaps a better one of its class by more, strictly, is dropped.
        boxes: most of a class, and most in all.
    """

    score: float
    iou: float
    boxes: int


@dataclass(frozen=True, eq=False)
class Detection:
    """One box that was kept: its class, its score and its corners, float32 as the network gave them."""

    label: int
    score: float
    corners: Array


@dataclass(frozen=True)
class Placed:
    """A detection and its box in the image's pixels, cut to the image."""

    detection: Detection
    box: Box


@dataclass(frozen=True)
class Sides:
    """The best detection of each image side, or why there is none (a reason of ``edge_sacro.reasons``)."""

    image_left: Placed | None
    image_right: Placed | None
    left_reason: str | None
    right_reason: str | None


def check_outputs(scores: Array, boxes: Array) -> None:
    """Refuse answers that are none of a detector.

    Args:
        scores: (1, classes, K).
        boxes: (1, classes, K, 4).

    Raises:
        BundleContractBroken: the shapes do not belong together, or a score is outside 0 to 1.
    """
    if scores.ndim != 3 or scores.shape[0] != 1 or boxes.shape != (*scores.shape, 4):
        raise BundleContractBroken(f"scores of shape {scores.shape} with boxes of shape {boxes.shape}")
    if scores.size and not (scores.min() >= 0 and scores.max() <= 1):
        raise BundleContractBroken(
            f"scores run from {scores.min():g} to {scores.max():g}, and must lie within 0 and 1",
            remedy="Export the detector with the sigmoid inside its graph.",
        )


def kept_detections(scores: Array, boxes: Array, rules: SuppressionRules) -> tuple[Detection, ...]:
    """What is left of the boxes after suppression within each class, best first.

    Args:
        scores: (1, classes, K), 0 to 1.
        boxes: (1, classes, K, 4).
        rules: which are kept.

    Raises:
        BundleContractBroken: the answers are none of a detector.
    """
    check_outputs(scores, boxes)
    found = [
        Detection(label, float(scores[0, label, index]), boxes[0, label, index])
        for label in range(scores.shape[1])
        for index in non_maximum_suppression(scores[0, label], boxes[0, label], rules)
    ]
    # Stable: of equal scores the lower class stays first, and within it the lower index.
    return tuple(sorted(found, key=lambda each: -each.score)[: rules.boxes])


def non_maximum_suppression(scores: Array, boxes: Array, rules: SuppressionRules) -> list[int]:
    """Indices of the boxes of one class that are kept, best first.

    Args:
        scores: (K,).
        boxes: (K, 4).
        rules: which are kept.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order].astype(np.float64) >= rules.score]
    kept: list[int] = []
    while order.size and len(kept) < rules.boxes:
        best = int(order[0])
        kept.append(best)
        rest = order[1:]
        order = rest[overlaps(boxes[best], boxes[rest]) <= np.float32(rules.iou)]
    return kept


def overlaps(box: Array, boxes: Array) -> Array:
    """Intersection over union of one box (4,) with each of several (n, 4), in float32; 0 where one is empty."""
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    own_low, own_high = np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])
    sides = np.maximum(np.minimum(high, own_high) - np.maximum(low, own_low), np.float32(0))
    inner = sides[:, 0] * sides[:, 1]
    area, own = (high - low).prod(axis=1), (own_high - own_low).prod()
    whole = area + own - inner
    full = (area > 0) & (own > 0)
    return np.asarray(np.divide(inner, whole, out=np.zeros_like(inner), where=full))


def best_score(scores: Array, boxes: Array, corners: Array, iou: float) -> float:
    """The best score among the boxes of one class that overlap another box by more than ``iou``; 0 where none does.

    Args:
        scores: (K,), all that the network gave, suppressed or not.
        boxes: (K, 4).
        corners: (4,), of the other box.
        iou: the overlap from which two boxes of one class count as the same object.
    """
    same = overlaps(corners, boxes) > np.float32(iou)
    return float(scores[same].max()) if same.any() else 0.0


def placed_detections(detections: Sequence[Detection], size: int, filled: Size, image: Size) -> tuple[Placed, ...]:
    """The detections that show any of the image, in the same order, with their boxes in its pixels.

    Args:
        detections: with corners in fractions of the square input.
        size: side of that square, in pixels.
        filled: its rows and columns, from the top left, that the image fills.
        image: rows and columns of the image.
    """
    scale = np.array([size * whole / part for whole, part in zip(image, filled, strict=True)] * 2)
    limit = np.array([*image, *image])
    placed = []
    for each in detections:
        edges = np.rint(np.clip(each.corners.astype(np.float64) * scale, 0, limit)).astype(int)
        y0, x0, y1, x1 = (int(edge) for edge in edges)
        if y0 < y1 and x0 < x1:
            placed.append(Placed(each, Box(x0, y0, x1, y1)))
    return tuple(placed)


def best_of_each_side(placed: Sequence[Placed], image: Size, field: Box, rules: RegionRules | None = None) -> Sides:
    """The best detection on each side of the image. Ours: the paper counts boxes on a wrong joint as errors.

    The midline runs between the best detection and the best one that shares no column with it. Where there is no such
    one, a single joint was found: its side is that of the image's own midline, unless it lies across it. Two boxes that
    cannot be the joints of one pelvis are none, and a box at the border of the image or of the exposed field may hold a
    part of a joint: the rules of the segmented regions (``edge_sacro.regions``).

    Args:
        placed: best first.
        image: rows and columns.
        field: the exposed part of the image.
        rules: the documented ones where None.
    """
    rules = rules or RegionRules()
    if not placed:
        return Sides(None, None, "joint_not_detected", "joint_not_detected")
    best = placed[0]
    others = [each for each in placed[1:] if each.box.x0 >= best.box.x1 or each.box.x1 <= best.box.x0]
    if not others:
        return _single(best, image, field, rules)
    twice_midline = (_twice_centre(best) + _twice_centre(others[0])) / 2
    left = next(each for each in placed if _twice_centre(each) < twice_midline)
    right = next(each for each in placed if _twice_centre(each) > twice_midline)
    if not are_pair(left.box, right.box, rules):
        return Sides(None, None, "pair_implausible", "pair_implausible")
    reasons = [border_reason(each.box, image, field, rules) for each in (left, right)]
    return Sides(left if reasons[0] is None else None, right if reasons[1] is None else None, *reasons)


def _single(found: Placed, image: Size, field: Box, rules: RegionRules) -> Sides:
    _, columns = image
    if 2 * found.box.x0 < columns < 2 * found.box.x1:
        return Sides(None, None, "side_unclear", "side_unclear")
    reason = border_reason(found.box, image, field, rules)
    kept = found if reason is None else None
    if _twice_centre(found) < columns:
        return Sides(kept, None, reason, "joint_not_detected")
    return Sides(None, kept, "joint_not_detected", reason)


def _twice_centre(placed: Placed) -> int:
    return placed.box.x0 + placed.box.x1
