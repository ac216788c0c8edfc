"""ROC and precision-recall curves from counts at each distinct score: the one definition of their areas."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Points = list[tuple[float, float]]


def counts_by_score(scores: Floats, positive: Booleans, weights: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """How many positives and negatives stand at each distinct score.

    Args:
        scores: n finite numbers.
        positive: n booleans, the truth.
        weights: how often each case counts, n or draws x n numbers from 0; once each where None.

    Returns:
        k distinct scores, ascending, and the positives and the negatives at each, k or draws x k.
    """
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if len(order) else order
    weights = np.ones(len(scores)) if weights is None else weights
    sick, well = (
        np.add.reduceat(weights[..., order] * of_class[order], first, axis=-1) for of_class in (positive, ~positive)
    )
    return ordered[first], sick, well


def area_from_counts(sick: Floats, well: Floats) -> Floats:
    """Area under the ROC curve: how often a positive scores above a negative, ties counted half.

    Args:
        sick: positives at k ascending scores, k or draws x k.
        well: negatives there.

    Returns:
        One number, or one of each draw; NaN where a class is absent.
    """
    lower = np.cumsum(well, axis=-1) - well
    with np.errstate(invalid="ignore"):
        return np.asarray((sick * (lower + well / 2)).sum(-1) / (sick.sum(-1) * well.sum(-1)), np.float64)


def average_precision_from_counts(sick: Floats, well: Floats) -> Floats:
    """Mean precision over the positives, each at its own score: the sum of precision times the step of recall.

    Args:
        sick: positives at k ascending scores, k or draws x k.
        well: negatives there.

    Returns:
        One number, or one of each draw; NaN where there is no positive.
    """
    precision, recall = _precision_recall(sick, well)
    steps = np.diff(recall, axis=-1, prepend=0.0)
    return np.asarray((np.nan_to_num(precision) * steps).sum(-1), np.float64)


def auc(scores: Floats, positive: Booleans) -> float | None:
    """Area under the ROC curve of single cases, None where a class is absent.

    Args:
        scores: n finite numbers.
        positive: n booleans, the truth.
    """
    if positive.all() or not positive.any():
        return None
    _, sick, well = counts_by_score(scores, positive)
    return float(area_from_counts(sick, well))


def roc_points(sick: Floats, well: Floats) -> Points:
    """False positive rate and sensitivity from (0, 0) to (1, 1), a point for each distinct score, the highest first.

    Args:
        sick: positives at k ascending scores, at least one in all.
        well: negatives there, at least one in all.
    """
    across, up = (np.concatenate(([0.0], np.cumsum(each[::-1]) / each.sum())) for each in (well, sick))
    return list(zip(across.tolist(), up.tolist(), strict=True))


def precision_recall_points(sick: Floats, well: Floats) -> Points:
    """Recall and precision, a point for each distinct score, the highest first.

    Args:
        sick: positives at k ascending scores, at least one in all.
        well: negatives there.
    """
    precision, recall = _precision_recall(sick, well)
    return list(zip(recall.tolist(), precision.tolist(), strict=True))


def _precision_recall(sick: Floats, well: Floats) -> tuple[Floats, Floats]:
    """Both from the highest score down; NaN where nothing is called positive yet."""
    true, false = (np.cumsum(each[..., ::-1], axis=-1) for each in (sick, well))
    with np.errstate(invalid="ignore"):
        return true / (true + false), true / true[..., -1:]
