"""Quantiles of measured times, and when there are too few runs for one to mean anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from edge_sacro.benchmark.document import Quantiles

METHOD = (
    "A quantile q of n sorted values is interpolated linearly at position q (n - 1), counted from 0. It is null where "
    "fewer than 1 / (1 - q) values were measured, since then no value lies beyond it."
)
"""Definition 7 of Hyndman and Fan (1996), the default of NumPy."""

LEVELS: Mapping[str, tuple[float, int]] = {"p50": (0.5, 1), "p90": (0.9, 10), "p99": (0.99, 100)}
"""Each quantile with the number of runs from which on it is told."""


def quantiles_from_samples(samples: Sequence[float]) -> Quantiles:
    """The quantiles that so many values bear, and for each other one the reason why it is null.

    Args:
        samples: one value a run, at least one, in any unit.

    Raises:
        ValueError: there is no value, or one is no finite number.
    """
    values = np.asarray(samples, np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError(f"no quantiles of {values.size} values that are not all finite, or of none")
    found: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for name, (level, least) in LEVELS.items():
        if values.size < least:
            found[name] = None
            reasons[name] = f"{name} needs {least} runs, and there are {values.size}"
        else:
            found[name] = rounded(float(np.quantile(values, level, method="linear")))
    p50 = found["p50"]
    if p50 is None:
        raise AssertionError("a median is told from one value on")
    return Quantiles(
        n=int(values.size),
        p50=p50,
        p90=found["p90"],
        p99=found["p99"],
        max=rounded(float(values.max())),
        reasons=reasons,
    )


def rounded(value: float) -> float:
    """Four significant digits, and never fewer than whole microseconds of milliseconds: more is noise in a document."""
    if value == 0:
        return 0.0
    return round(value, max(3, 3 - math.floor(math.log10(abs(value)))))
