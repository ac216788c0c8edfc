"""What determines what: the table of rules by which one published figure follows from others.

A rule gives a value, with the range that the rounding of what it was given leaves it, or a range alone where the other
figures bound a figure without fixing it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from edge_sacro.reference import statistics
from edge_sacro.reference.statistics import Counts
from edge_sacro.reference.types import Figure, Matrix, Paper


@dataclass(frozen=True)
class Recomputed:
    """What a rule gives.

    Attributes:
        low, high: the range that rounding, or the bound, leaves.
        value: from the figures as printed; None where they only bound it.
        trials: of what the value is a proportion, where it is one.
    """

    low: float
    high: float
    value: float | None = None
    trials: int | None = None


@dataclass(frozen=True)
class Number:
    """A printed number and the range of numbers that would be printed so."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Known:
    """A paper's figures and matrices, as rules ask for them."""

    paper: Paper

    def number(self, given: str | int) -> Number:
        """A figure of the paper, or a plain number.

        Raises:
            KeyError: the paper has no such figure.
        """
        if isinstance(given, int):
            return Number(given, given, given)
        figure = self.paper.figure(given)
        half = figure.unit / 2
        return Number(figure.value, figure.value - half, figure.value + half)

    def count(self, given: str | int) -> int:
        """A figure that is a whole number."""
        return round(self.number(given).value)

    def matrix(self, name: str | int) -> Counts:
        """A matrix of the paper.

        Raises:
            KeyError: the paper has no such matrix.
        """
        found: dict[str | int, Matrix] = {matrix.name: matrix for matrix in self.paper.matrices}
        each = found[name]
        return each.tp, each.fp, each.fn, each.tn


Given = str | int
Compute = Callable[[Known, Figure, tuple[Given, ...]], Recomputed]


@dataclass(frozen=True)
class Rule:
    """How a figure follows from what is given, in words, and by computation."""

    text: str
    compute: Compute


def restored(known: Known, given: tuple[Given, ...]) -> Counts:
    """The counts behind sensitivity and specificity of so many positive and negative."""
    positives, negatives = known.count(given[2]), known.count(given[3])
    tp = round(known.number(given[0]).value * positives)
    tn = round(known.number(given[1]).value * negatives)
    return tp, negatives - tn, positives - tp, tn


def rounded_inputs(function: Callable[..., float], *numbers: Number) -> Recomputed:
    """A function of printed numbers, and its range over all that would be printed so."""
    ends = [{number.low, number.high} for number in numbers]
    values = [function(*corner) for corner in itertools.product(*ends)]
    value = function(*(number.value for number in numbers))
    return Recomputed(min(value, *values), max(value, *values), value)


def _exact(value: float) -> Recomputed:
    return Recomputed(value, value, value)


def _of_numbers(function: Callable[..., float]) -> Compute:
    return lambda known, _, given: rounded_inputs(function, *(known.number(each) for each in given))


def _of_matrix(function: Callable[[Counts], float]) -> Compute:
    return lambda known, _, given: _exact(function(known.matrix(given[0])))


def _of_trials(quantity: str) -> Compute:
    def compute(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
        successes, trials = statistics.TRIALS[quantity](known.matrix(given[0]))
        value = successes / trials
        return Recomputed(value, value, value, round(trials))

    return compute


def _of_restored(function: Callable[[Counts], float]) -> Compute:
    return lambda known, _, given: _exact(function(restored(known, given)))


def _same(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
    return _exact(known.number(given[0]).value)


def _nearest_share(known: Known, figure: Figure, given: tuple[Given, ...]) -> Recomputed:
    whole = known.count(given[0])
    return _exact(round(figure.value * whole) / whole)


def _pooled_sd(n1: float, m1: float, s1: float, n2: float, m2: float, s2: float) -> float:
    within = (n1 - 1) * s1**2 + (n2 - 1) * s2**2
    between = n1 * n2 / (n1 + n2) * (m1 - m2) ** 2
    return math.sqrt((within + between) / (n1 + n2 - 1))


def _accuracy_of_shares(sensitivity: float, specificity: float, positives: float, negatives: float) -> float:
    return (sensitivity * positives + specificity * negatives) / (positives + negatives)


def _false_positives(recall: float, f1: float, positives: float) -> float:
    return positives * (2 * recall / f1 - recall - 1)


def _accuracy_from_recall(recall: float, f1: float, positives: float, negatives: float) -> float:
    wrong = (1 - recall) * positives + _false_positives(recall, f1, positives)
    return 1 - wrong / (positives + negatives)


def _auc_through_matrices(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
    tables = [known.matrix(name) for name in given]
    shares = [tuple(statistics.proportion(of, table) for of in ("sensitivity", "specificity")) for table in tables]
    return Recomputed(*statistics.auc_bounds([(sensitivity, specificity) for sensitivity, specificity in shares]))


def _auc_through_shares(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
    return Recomputed(*statistics.auc_bounds([(known.number(given[0]).high, known.number(given[1]).high)]))


def _auc_through_recall(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
    recall, f1, positives, negatives = (known.number(each).value for each in given)
    return Recomputed(*statistics.auc_bounds([(recall, 1 - _false_positives(recall, f1, positives) / negatives)]))


def _kappa_of_two_readers(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
    both_positive, both_negative, apart = (known.count(each) for each in given)
    kappas = [statistics.kappa((both_positive, one, apart - one, both_negative)) for one in range(apart + 1)]
    return Recomputed(min(kappas), max(kappas))


def _kappa_beside_network(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
    """Kappa of a reader and the network, over every way in which their agreement can be split."""
    tp, fp, fn, tn = known.matrix(given[0])
    positive, negative, whole = (known.count(each) for each in (given[1], given[2], given[4]))
    agreeing = round(known.number(given[3]).value * whole - tp - tn)
    kappas = [
        statistics.kappa((tp + one, fp + positive - one, fn + negative - (agreeing - one), tn + agreeing - one))
        for one in range(max(0, agreeing - negative), min(positive, agreeing) + 1)
    ]
    return Recomputed(min(kappas), max(kappas))


def _agreement_of_other_reader(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
    """Where two readers differ, the network agrees with just one of them."""
    tp, _fp, _fn, tn = known.matrix(given[0])
    apart, whole = known.count(given[1]), known.count(given[3])
    first = round(known.number(given[2]).value * whole)
    return _exact((2 * (tp + tn) + apart - first) / whole)


def _readers_apart(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
    """Where two readers differ and a third decides, just one of them is wrong: all their errors."""
    one = restored(known, (given[0], given[1], given[4], given[5]))
    other = restored(known, (given[2], given[3], given[4], given[5]))
    return _exact(one[1] + one[2] + other[1] + other[2])


def _rank_of_gain(known: Known, _: Figure, given: tuple[Given, ...]) -> Recomputed:
    gains = [known.number(b).value - known.number(a).value for a, b in zip(given[::2], given[1::2], strict=True)]
    return _exact(1 + sum(gain > gains[0] + 1e-9 for gain in gains))


_MATRIX: dict[str, Callable[[Counts], float]] = {
    "F1": statistics.f1,
    "kappa": statistics.kappa,
    "right answers": lambda c: c[0] + c[3],
    "positives": lambda c: c[0] + c[2],
    "negatives": lambda c: c[3] + c[1],
    "called positive": lambda c: c[0] + c[1],
    "called negative": lambda c: c[3] + c[2],
    "all": sum,
}
_NUMBERS: dict[str, Callable[..., float]] = {
    "share": lambda part, whole: part / whole,
    "sum": lambda *parts: sum(parts),
    "difference": lambda a, b: a - b,
    "product": lambda a, b: a * b,
    "weighted mean": lambda n1, m1, n2, m2: (n1 * m1 + n2 * m2) / (n1 + n2),
    "pooled standard deviation": _pooled_sd,
    "balanced accuracy": lambda sensitivity, specificity: (sensitivity + specificity) / 2,
    "share of right answers": _accuracy_of_shares,
    "accuracy from recall": _accuracy_from_recall,
    "passes over the images": lambda steps, batch, images: steps * batch / images,
    "ratio of proportions": lambda a, b, c, d: (a / b) / (c / d),
    "odds ratio": lambda a, b, c, d: (a / (b - a)) / (c / (d - c)),
}
_RESTORED: dict[str, Callable[[Counts], float]] = {
    "restored kappa": statistics.kappa,
    "restored agreement": lambda c: statistics.proportion("accuracy", c),
    "restored errors": lambda c: c[1] + c[2],
}
_OTHERS: dict[str, Rule] = {
    "same": Rule("{0}", _same),
    "nearest share": Rule("nearest whole number of {0}", _nearest_share),
    "AUC bounds": Rule("bounds by the operating points of {all}", _auc_through_matrices),
    "AUC bounds of shares": Rule("bounds by the operating point of {all}", _auc_through_shares),
    "AUC bounds from recall": Rule("bounds by {all}", _auc_through_recall),
    "kappa of two readers": Rule("bounds by {all}", _kappa_of_two_readers),
    "kappa beside the network": Rule("bounds by {all}", _kappa_beside_network),
    "agreement of the other reader": Rule(
        "twice the right answers of {0}, and {1}, less {2}", _agreement_of_other_reader
    ),
    "readers apart": Rule("errors of both readers by {all}", _readers_apart),
    "rank of gain": Rule("rank of the gain in accuracy, largest first", _rank_of_gain),
}
_TEXTS = {"share": "{0} / {1}", "difference": "{0} - {1}", "product": "{0} x {1}"}

RULES: dict[str, Rule] = {
    **{name: Rule(f"{name} of {{0}}", _of_trials(name)) for name in statistics.TRIALS},
    **{name: Rule(f"{name} of {{0}}", _of_matrix(function)) for name, function in _MATRIX.items()},
    **{name: Rule(_TEXTS.get(name, f"{name}: {{all}}"), _of_numbers(f)) for name, f in _NUMBERS.items()},
    **{name: Rule(f"{name}: {{all}}", _of_restored(function)) for name, function in _RESTORED.items()},
    **_OTHERS,
}
"""Every rule by the name that derivations give; ``{0}`` in its text is what it was given first."""
