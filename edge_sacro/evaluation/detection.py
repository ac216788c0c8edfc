"""Average precision of boxes: greedy matching, and the area under precision over recall by two definitions.

``coco``: the mean of the best precision at or beyond 101 recalls, 0, 0.01 … 1 (Lin et al., ECCV 2014, and its toolkit).
``all-points``: the area under that envelope itself (Pascal VOC from 2010, Everingham et al., IJCV 111, 2015, 98-136).
Boxes of equal score are one point of the curve, so that the order of a file does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_sacro.evaluation.curves import Floats
from edge_sacro.types import Box

Rule = Literal["coco", "all-points"]

OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Overlaps 0.50, 0.55 … 0.95 that ``mAP over 0.5 to 0.95`` is the mean over."""


@dataclass(frozen=True)
class Truth:
    """A box that is there: its image, its class and where it is, in stored pixels."""

    image: str
    label: str
    box: Box


@dataclass(frozen=True)
class Detection(Truth):
    """A box that was found, with its score."""

    score: float


def average_precision(
    found: Sequence[Detection], truth: Sequence[Truth], overlap: float, rule: Rule = "coco"
) -> float | None:
    """Average precision of one class, whatever its labels say.

    A found box takes the box of its image that it overlaps most, of those that no better-scored one has taken; it is
    right where their intersection over union is ``overlap`` or more.

    Returns:
        0 to 1; None where there is no box to find.
    """
    if not truth:
        return None
    scores, right = _matched(found, truth, overlap)
    if not len(scores):
        return 0.0
    last_of_score = np.append(scores[1:] != scores[:-1], True)
    true = np.cumsum(right)[last_of_score]
    recall = true / len(truth)
    precision = true / (np.flatnonzero(last_of_score) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if rule == "all-points":
        return float((np.diff(recall, prepend=0.0) * envelope).sum())
    places = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.append(envelope, 0.0)[places].mean())


def mean_average_precision(
    found: Sequence[Detection], truth: Sequence[Truth], overlaps: Sequence[float] = OVERLAPS, rule: Rule = "coco"
) -> float | None:
    """The mean over the classes that have a box to find, and over the overlaps; None where there is no such class."""
    values = []
    for label in sorted({each.label for each in truth}):
        of_class = [each for each in found if each.label == label]
        to_find = [each for each in truth if each.label == label]
        values += [average_precision(of_class, to_find, overlap, rule) for overlap in overlaps]
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def _matched(found: Sequence[Detection], truth: Sequence[Truth], overlap: float) -> tuple[Floats, Floats]:
    """Scores, the highest first, and 1 where the box of that score is right."""
    free: dict[str, list[Box]] = {}
    for each in truth:
        free.setdefault(each.image, []).append(each.box)
    ordered = sorted(found, key=lambda each: -each.score)
    right = []
    for each in ordered:
        boxes = free.get(each.image, [])
        best = max(boxes, key=each.box.iou, default=None)
        hit = best is not None and each.box.iou(best) >= min(overlap, 1 - 1e-10)
        right.append(float(hit))
        if hit and best is not None:
            boxes.remove(best)
    return np.array([each.score for each in ordered], np.float64), np.array(right, np.float64)
