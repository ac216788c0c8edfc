"""Sensitivity and specificity over the cut-offs of a set of scores, and the exact interval of a share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.scores import STEPS, Scores
from edge_sacro.errors import CalibrationRefused
from edge_sacro.evaluation.curves import area_from_counts
from edge_sacro.reference.statistics import CONFIDENCE, clopper_pearson

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LEVEL = CONFIDENCE
"""Of every interval."""

QUANTILES = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
_CLOSE = 1e-9


@dataclass(frozen=True)
class Interval:
    """Two ends, both included."""

    low: float
    high: float


class Curve:
    """Sensitivity and specificity at every cut-off that tells two neighbouring scores apart.

    Args:
        scores: of images.
        weights: how often each image counts, n numbers from 0.

    Raises:
        CalibrationRefused: one class does not count at all.
    """

    def __init__(self, scores: Scores, weights: Floats) -> None:
        used = weights > 0
        values, places = np.unique(scores.steps[used], return_inverse=True)
        sick = np.bincount(places, weights[used] * scores.positive[used], len(values))
        well = np.bincount(places, weights[used] * ~scores.positive[used], len(values))
        if not sick.any() or not well.any():
            raise CalibrationRefused(
                "a part of the images has one class alone", remedy="Ask for fewer folds, or give more patients."
            )
        self._sick, self._well = sick.astype(np.float64), well.astype(np.float64)
        self.prevalence = float(sick.sum() / (sick.sum() + well.sum()))
        below = np.concatenate(([0], values))
        above = np.concatenate((values, [STEPS]))
        thresholds = (below + above) // 2
        meant = (thresholds > 0) & (thresholds < STEPS)
        self.thresholds: Integers = thresholds[meant]
        self.sensitivity: Floats = (1 - np.concatenate(([0.0], np.cumsum(sick))) / sick.sum())[meant]
        self.specificity: Floats = (np.concatenate(([0.0], np.cumsum(well))) / well.sum())[meant]

    def best(self, weight: float | None) -> int:
        """The best cut-off in steps: the middle one of those that are equally good; weight None is the prevalence."""
        weight = self.prevalence if weight is None else weight
        gain = weight * self.sensitivity + (1 - weight) * self.specificity
        (best,) = np.nonzero(gain >= gain.max() - _CLOSE)
        return int(self.thresholds[best[len(best) // 2]])

    def auc(self) -> float:
        """The chance that a positive image scores above a negative one, ties counted half."""
        return float(area_from_counts(self._sick, self._well))


def exact_interval(hits: int, images: int) -> Interval:
    """Clopper and Pearson's interval of a share (Biometrika 26, 1934, 404-413)."""
    return Interval(*clopper_pearson(hits, images, LEVEL))
