"""The percentile bootstrap over patients: all cases of a patient are drawn together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edge_sacro.evaluation.curves import Floats
from edge_sacro.reference.statistics import CONFIDENCE

_CELLS = 4_000_000
"""Weights that are held at once."""


def resampled(groups: Sequence[str], statistic: Callable[[Floats], Floats], draws: int, seed: int) -> Floats:
    """A statistic on cases whose patients are drawn with replacement.

    Args:
        groups: the patient of each of n cases.
        statistic: from how often each case counts (some draws x n) to values (the same draws x values); NaN where a
            draw has none, as where it lacks a class.
        draws: how many.
        seed: the same seed gives the same draws.

    Returns:
        draws x values.
    """
    random = np.random.default_rng(seed)
    _, places = np.unique(np.asarray(groups), return_inverse=True)
    count = int(places.max()) + 1
    at_once = max(1, min(draws, _CELLS // len(groups)))
    found = []
    for start in range(0, draws, at_once):
        part = min(at_once, draws - start)
        drawn = random.multinomial(count, np.full(count, 1 / count), size=part).astype(np.float64)
        found.append(statistic(drawn[:, places]))
    return np.concatenate(found)


def percentile_interval(values: Floats) -> tuple[float, float] | None:
    """The middle 95 % of a statistic's resampled values; None where more than half of the draws have none."""
    there = values[np.isfinite(values)]
    if len(there) * 2 < len(values) or not len(there):
        return None
    low, high = np.quantile(there, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
