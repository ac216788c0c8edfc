"""Variance of areas under ROC curves without a model of the scores, and the test of two on the same cases.

DeLong, DeLong and Clarke-Pearson, Biometrics 44(3), 1988, 837-845, computed by midranks as in Sun and Xu, IEEE Signal
Processing Letters 21(11), 2014, 1389-1393. Cases count as independent: where patients have several, the bootstrap over
patients is the interval to read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sacro.evaluation.curves import Booleans, Floats
from edge_sacro.reference.statistics import NORMAL_QUANTILE


@dataclass(frozen=True, eq=False)
class Areas:
    """Areas of m models on the same cases.

    Attributes:
        values: m areas.
        covariance: m x m, of the areas.
    """

    values: Floats
    covariance: Floats

    def interval(self, model: int = 0) -> tuple[float, float]:
        """The 95 % interval of one area, cut at 0 and 1. It has no width where a model makes no mistake."""
        half = NORMAL_QUANTILE * math.sqrt(max(self.covariance[model, model], 0.0))
        return max(float(self.values[model]) - half, 0.0), min(float(self.values[model]) + half, 1.0)

    def difference(self) -> tuple[float, float]:
        """The first area less the second, and its standard error."""
        variance = self.covariance[0, 0] + self.covariance[1, 1] - 2 * self.covariance[0, 1]
        return float(self.values[0] - self.values[1]), math.sqrt(max(float(variance), 0.0))


def areas_from_scores(scores: Floats, positive: Booleans) -> Areas | None:
    """Areas and their covariance.

    Args:
        scores: m x n finite numbers, one row a model.
        positive: n booleans, the truth.

    Returns:
        None where a class has fewer than two cases, so that nothing is known of its spread.
    """
    sick, well = int(positive.sum()), int((~positive).sum())
    if min(sick, well) < 2:
        return None
    of_sick = np.stack([(_midranks(row)[positive] - _midranks(row[positive])) / well for row in scores])
    of_well = np.stack([1 - (_midranks(row)[~positive] - _midranks(row[~positive])) / sick for row in scores])
    covariance = np.atleast_2d(np.cov(of_sick)) / sick + np.atleast_2d(np.cov(of_well)) / well
    return Areas(of_sick.mean(axis=1), covariance)


def p_from_z(z: float) -> float:
    """Chance of a standard normal value as far from 0 as this, on either side."""
    return math.erfc(abs(z) / math.sqrt(2))


def _midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, numbers = np.unique(values, return_inverse=True, return_counts=True)
    ends: npt.NDArray[np.float64] = np.cumsum(numbers) - (numbers - 1) / 2
    return ends[inverse]
