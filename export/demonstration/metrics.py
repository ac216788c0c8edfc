"""Figures of an evaluation, as numbers that a model card can quote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.evaluation import curves
from edge_sacro.types import OperatingPoint
from export.demonstration.baseline import cross_validated_scores
from export.demonstration.evaluate import Case
from export.demonstration.operating import rates

RESAMPLES = 1000
Floats = npt.NDArray[np.float64]


def metrics_from_cases(cases: Sequence[Case], points: Sequence[OperatingPoint]) -> dict[str, Any]:
    """Figures of one generator's images.

    A joint that is whole in truth and was not found counts with an IoU of 0. An image without a probability is left
    out of the AUC and counted as not assessable.

    Args:
        cases: all of one generator, at least one.
        points: operating points to report.
    """
    ious = np.array([value for case in cases for value in case.ious], np.float64)
    answered = [case for case in cases if case.probability is not None]
    predicted = np.array([case.probability for case in answered], np.float64)
    positive = np.array([case.positive for case in answered], np.int64)
    everyone = np.array([case.positive for case in cases], np.int64)
    names = ("sacrum", "image_left_ilium", "image_right_ilium")
    segmentation = dict(zip(names, np.mean([case.dice for case in cases], axis=0).round(4).tolist(), strict=True))
    return {
        "images": len(cases),
        "positive": int(everyone.sum()),
        "not_assessable": len(cases) - len(answered),
        "not_assessable_with_both_joints_whole": sum(
            case.probability is None and None not in case.truth for case in cases
        ),
        "dice": segmentation,
        "iou": {
            "joints": len(ious),
            "mean": _rounded(ious.mean() if ious.size else None),
            "percentile_5": _rounded(np.quantile(ious, 0.05) if ious.size else None),
            "not_found": int((ious == 0).sum()),
            "below_half": int((ious < 0.5).sum()),
        },
        "auc": _interval(predicted, positive),
        "auc_trivial_baseline": _baseline(cases, everyone),
        "operating_points": {
            point.name: dict(
                zip(
                    ("threshold", "sensitivity", "specificity"),
                    (point.threshold, *(_rounded(rate) for rate in rates(predicted, positive, point.threshold))),
                    strict=True,
                )
            )
            for point in points
        },
    }


def auc(scores: Floats, positive: npt.NDArray[np.int64]) -> float | None:
    """Area under the ROC curve by ranks, ties counted half; None where a class is absent."""
    return curves.auc(scores, positive == 1)


def _interval(scores: Floats, positive: npt.NDArray[np.int64]) -> dict[str, Any]:
    """AUC with a bootstrap interval over images, 2.5 to 97.5 percent."""
    value = auc(scores, positive)
    random = np.random.default_rng(0)
    drawn = (random.integers(len(scores), size=len(scores)) for _ in range(RESAMPLES if value is not None else 0))
    values = [each for index in drawn if (each := auc(scores[index], positive[index])) is not None]
    low, high = np.quantile(values, [0.025, 0.975]) if values else (None, None)
    return {"value": _rounded(value), "interval_95": [_rounded(low), _rounded(high)]}


def _baseline(cases: Sequence[Case], positive: npt.NDArray[np.int64]) -> dict[str, Any]:
    if min(positive.sum(), len(positive) - positive.sum()) < 5:
        return {"value": None, "interval_95": [None, None]}
    features = np.array([case.features for case in cases])
    return _interval(cross_validated_scores(features, positive), positive)


def _rounded(value: float | np.floating[Any] | None) -> float | None:
    return None if value is None or np.isnan(value) else round(float(value), 4)
