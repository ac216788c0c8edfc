"""What detector tests share: comparing ranked boxes, and the API's suppression written plainly."""

from __future__ import annotations

import numpy as np

CLOSE = 1e-4
"""Scores within this count as tied: their order is rounding."""


def furthest_box(scores: np.ndarray, boxes: np.ndarray, all_scores: np.ndarray, all_boxes: np.ndarray) -> float:
    """How far the worst of some ranked boxes lies from the nearest expected box of the same score.

    Args:
        scores: (k,) and ``boxes`` (k, 4), found.
        all_scores: (n,) and ``all_boxes`` (n, 4), expected, in any order.
    """
    worst = 0.0
    for score, box in zip(scores, boxes, strict=True):
        tied = all_boxes[np.abs(all_scores - score) <= CLOSE]
        worst = max(worst, float(np.abs(tied - box).max(axis=1).min()) if len(tied) else np.inf)
    return worst


def suppressed(
    scores: np.ndarray, boxes: np.ndarray, window: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The API's detections from the graph's outputs: IoU 0.5, at most 100 boxes a class and in all.

    Args:
        scores: (classes, k), descending, and ``boxes`` (classes, k, 4).
        window: the part of the square input that the image fills, as fractions of rows and columns.

    Returns:
        Scores (100,), boxes (100, 4) clipped to the image and in fractions of it, and classes (100,) from 1.
    """
    kept = [(scores[c, k], c + 1, boxes[c, k]) for c in range(len(scores)) for k in _kept(boxes[c])[:100]]
    kept = sorted(kept, key=lambda one: -one[0])[:100]
    edge = np.array([*window, *window])
    found = np.array([np.clip(box, 0, edge) / edge for _, _, box in kept])
    return np.array([score for score, _, _ in kept]), found, np.array([number for _, number, _ in kept])


def _kept(boxes: np.ndarray) -> list[int]:
    kept: list[int] = []
    for index, box in enumerate(boxes):
        if all(_overlap(box, boxes[other]) <= 0.5 for other in kept):
            kept.append(index)
    return kept


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inter = float(np.prod(np.maximum(sides, 0)))
    return inter / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - inter)
