"""The statistics that the papers' figures are recomputed with, in plain Python and NumPy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Counts = tuple[float, float, float, float]
"""True positive, false positive, false negative, true negative."""

CONFIDENCE = 0.95
NORMAL_QUANTILE = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


TRIALS: dict[str, Callable[[Counts], tuple[float, float]]] = {
    "sensitivity": lambda c: (c[0], c[0] + c[2]),
    "specificity": lambda c: (c[3], c[3] + c[1]),
    "accuracy": lambda c: (c[0] + c[3], sum(c)),
    "precision": lambda c: (c[0], c[0] + c[1]),
    "negative predictive value": lambda c: (c[3], c[3] + c[2]),
}
"""The proportions among a table's figures: successes and trials."""


def proportion(quantity: str, c: Counts) -> float:
    """A proportion of ``TRIALS``.

    Raises:
        KeyError: there is no such proportion.
    """
    successes, trials = TRIALS[quantity](c)
    return successes / trials


def f1(c: Counts) -> float:
    """Harmonic mean of precision and sensitivity."""
    return 2 * c[0] / (2 * c[0] + c[1] + c[2])


def kappa(c: Counts) -> float:
    """Cohen's kappa: agreement beyond what the margins alone would give."""
    n = sum(c)
    by_chance = ((c[0] + c[1]) * (c[0] + c[2]) + (c[3] + c[1]) * (c[3] + c[2])) / n**2
    return ((c[0] + c[3]) / n - by_chance) / (1 - by_chance)


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934), by bisection on the binomial distribution.

    Args:
        k: successes, 0 to ``n``.
        n: trials, 1 or more.
        confidence: 0 to 1.

    Raises:
        ValueError: ``k`` is not within 0 to ``n``, or ``n`` is below 1.
    """
    _check(k, n)
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else _bisect(lambda p: 1 - _binomial_cdf(k - 1, n, p) - tail)
    high = 1.0 if k == n else _bisect(lambda p: tail - _binomial_cdf(k, n, p))
    return low, high


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson 1927).

    Raises:
        ValueError: ``k`` is not within 0 to ``n``, or ``n`` is below 1.
    """
    _check(k, n)
    z2 = NORMAL_QUANTILE**2
    centre = (k + z2 / 2) / (n + z2)
    half = NORMAL_QUANTILE * math.sqrt(k * (n - k) / n + z2 / 4) / (n + z2)
    return centre - half, centre + half


def auc_bounds(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The smallest and largest area under any ROC curve through operating points (sensitivity, specificity).

    The curve never falls, so that it lies between the steps below and above its points.
    """
    curve = sorted({(0.0, 0.0), *((1 - spec, sens) for sens, spec in points), (1.0, 1.0)})
    pairs = list(itertools.pairwise(curve))
    return sum((b[0] - a[0]) * a[1] for a, b in pairs), sum((b[0] - a[0]) * b[1] for a, b in pairs)


def largest_auc_error(auc: float, positives: int, negatives: int) -> float:
    """The largest standard error that an AUC can have, whatever the scores' distributions (van Dantzig 1951)."""
    return math.sqrt(auc * (1 - auc) / min(positives, negatives))


def bootstrap_interval(
    groups: Sequence[Sequence[int]],
    statistic: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    draws: int = 20_000,
) -> tuple[float, float, float]:
    """Percentile interval of a statistic of counts, cases drawn with replacement, and its spread.

    Args:
        groups: the cells of each group that is resampled by itself, and how many cases each cell holds.
        statistic: from the cells of all groups (cells x draws) to values (draws).
        draws: resamplings; the seed is fixed.

    Returns:
        The 2.5 % and the 97.5 % quantile, and the standard deviation.
    """
    # The generator whose stream NumPy promises never to change: the others' multinomial differs between its versions.
    random = np.random.RandomState(2024)
    drawn = [random.multinomial(sum(cells), np.asarray(cells) / sum(cells), size=draws).T for cells in groups]
    values = statistic(np.concatenate(drawn).astype(np.float64))
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high), float(values.std())


def quantile_error(spread: float, repetitions: int) -> float:
    """Standard error of a 2.5 % or 97.5 % quantile from few resamplings of a statistic with this standard deviation."""
    density = math.exp(-(NORMAL_QUANTILE**2) / 2) / math.sqrt(2 * math.pi)
    tail = (1 - CONFIDENCE) / 2
    return spread * math.sqrt(tail * (1 - tail) / repetitions) / density


def _check(k: int, n: int) -> None:
    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no proportion")


def _binomial_cdf(k: int, n: int, p: float) -> float:
    """Probability of ``k`` successes or fewer; ``p`` strictly between 0 and 1."""
    log_p, log_q = math.log(p), math.log1p(-p)
    whole = math.lgamma(n + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q)
        for i in range(k + 1)
    )


def _bisect(rising: Callable[[float], float]) -> float:
    """Where a rising function of a probability passes zero, to 2**-60."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
