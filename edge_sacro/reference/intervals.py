"""What determines a 95 % interval: the same table as ``rules``, for both ends at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sacro.reference import statistics
from edge_sacro.reference.rules import Given, Known, restored
from edge_sacro.reference.statistics import NORMAL_QUANTILE, Counts
from edge_sacro.reference.types import Figure, Interval

Cells = npt.NDArray[np.float64]
REPETITIONS = 1000
"""Resamplings behind the bootstrap intervals of bressem2021, poddubnyy2020 and dorfner2024 (their methods sections)."""


@dataclass(frozen=True)
class Ends:
    """Both ends of an interval, recomputed.

    Attributes:
        low, high: the ends.
        tolerance: how far a printed end may lie from them, beside its rounding.
        outermost: they are the furthest that ends can be, not where they are.
    """

    low: float
    high: float
    tolerance: float = 0.0
    outermost: bool = False


ComputeEnds = Callable[[Known, Figure, Interval, tuple[Given, ...]], Ends]


@dataclass(frozen=True)
class IntervalRule:
    """How an interval follows from what is given, in words, and by computation."""

    text: str
    compute: ComputeEnds


def _clopper_pearson(known: Known, _: Figure, __: Interval, given: tuple[Given, ...]) -> Ends:
    k, n = statistics.TRIALS[str(given[1])](known.matrix(given[0]))
    return Ends(*statistics.clopper_pearson(round(k), round(n)))


def _same(known: Known, _: Figure, __: Interval, given: tuple[Given, ...]) -> Ends:
    figure = known.paper.figure(str(given[0]))
    if figure.interval is None:
        raise KeyError(f"{figure.name} has no interval")
    low, high = (figure.from_digits(end) for end in (figure.interval.low, figure.interval.high))
    return Ends(low, high, figure.unit / 2)


def _f1_of_ends(known: Known, figure: Figure, _: Interval, given: tuple[Given, ...]) -> Ends:
    """The harmonic means of both lower and of both upper ends, which bound nothing."""
    ends = [_same(known, figure, Interval("", ""), (name,)) for name in given]
    low, high = (2 * a * b / (a + b) for a, b in ((ends[0].low, ends[1].low), (ends[0].high, ends[1].high)))
    return Ends(low, high, ends[0].tolerance)


def _largest_error(known: Known, figure: Figure, _: Interval, given: tuple[Given, ...]) -> Ends:
    error = statistics.largest_auc_error(figure.value, known.count(given[0]), known.count(given[1]))
    return Ends(figure.value - NORMAL_QUANTILE * error, figure.value + NORMAL_QUANTILE * error, outermost=True)


def _bootstrap_matrix(known: Known, _: Figure, __: Interval, given: tuple[Given, ...]) -> Ends:
    return _bootstrapped(known.matrix(given[0]), given[1])


def _bootstrap_shares(known: Known, _: Figure, __: Interval, given: tuple[Given, ...]) -> Ends:
    return _bootstrapped(restored(known, given), given[4])


def _bootstrap_ratio(known: Known, _: Figure, __: Interval, given: tuple[Given, ...]) -> Ends:
    """Of the ratio (a / b) / (c / d), both groups resampled by themselves."""
    a, b, c, d = (known.count(each) for each in given)
    return _ends(((a, b - a), (c, d - c)), lambda n: n[0] / b / (n[2] / d))


def _kappa(n: Cells) -> Cells:
    whole = n.sum(axis=0)
    chance = ((n[0] + n[1]) * (n[0] + n[2]) + (n[3] + n[1]) * (n[3] + n[2])) / whole**2
    agreement: Cells = ((n[0] + n[3]) / whole - chance) / (1 - chance)
    return agreement


_STATISTICS: dict[Given, Callable[[Cells], Cells]] = {
    "sensitivity": lambda n: n[0] / (n[0] + n[2]),
    "specificity": lambda n: n[3] / (n[3] + n[1]),
    "balanced accuracy": lambda n: (n[0] / (n[0] + n[2]) + n[3] / (n[3] + n[1])) / 2,
    "F1": lambda n: 2 * n[0] / (2 * n[0] + n[1] + n[2]),
    "kappa": _kappa,
}


def _bootstrapped(counts: Counts, statistic: Given) -> Ends:
    return _ends((tuple(round(each) for each in counts),), _STATISTICS[statistic])


def _ends(groups: tuple[tuple[int, ...], ...], statistic: Callable[[Cells], Cells]) -> Ends:
    """Percentile ends; the papers do not say which bootstrap interval is theirs, so the normal one may be it too."""
    low, high, spread = statistics.bootstrap_interval(groups, statistic)
    value = float(statistic(np.concatenate(groups).astype(np.float64)[:, None])[0])
    half = NORMAL_QUANTILE * spread
    apart = max(abs(value - half - low), abs(value + half - high))
    return Ends(low, high, apart + 3 * statistics.quantile_error(spread, REPETITIONS))


INTERVAL_RULES: dict[str, IntervalRule] = {
    "same": IntervalRule("{0}", _same),
    "Clopper-Pearson": IntervalRule("Clopper-Pearson, {1} of {0}", _clopper_pearson),
    "F1 of ends": IntervalRule("F1 of the ends of {0} and {1}", _f1_of_ends),
    "largest AUC error": IntervalRule("furthest ends, {0} and {1}", _largest_error),
    "bootstrap": IntervalRule("bootstrap, {1} of {0}", _bootstrap_matrix),
    "bootstrap of shares": IntervalRule("bootstrap, {4} by {0} and {1}", _bootstrap_shares),
    "bootstrap of a ratio": IntervalRule("bootstrap, ({0} / {1}) / ({2} / {3})", _bootstrap_ratio),
}
"""Every rule of an interval by the name that derivations give."""
