"""From cases to figures: areas, proportions and agreement, each with its intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from edge_sacro.decide import state_from_probability
from edge_sacro.evaluation import curves as curve
from edge_sacro.evaluation.agreement import cells_of_cases
from edge_sacro.evaluation.bootstrap import percentile_interval, resampled
from edge_sacro.evaluation.curves import Booleans, Floats
from edge_sacro.evaluation.delong import areas_from_scores
from edge_sacro.evaluation.document import Curves, Ends, Measure
from edge_sacro.evaluation.predictions import Case
from edge_sacro.reference.statistics import TRIALS, Counts, clopper_pearson, f1, kappa
from edge_sacro.reference.statistics import proportion as share
from edge_sacro.types import OperatingPoint, State

DELONG = "DeLong"
BOOTSTRAP = "bootstrap over patients"
EXACT = "Clopper-Pearson"
ONE_CLASS = "all cases are of one class"
NO_SPREAD = "no positive scores below a negative, or all do: these intervals have no width and mean nothing"


@dataclass(frozen=True)
class Draws:
    """How the bootstrap draws: how often, and from which seed."""

    resamples: int = 2000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Scored:
    """The cases that have a score, as arrays of n.

    Attributes:
        cases: n.
        scores, positive: prediction and truth.
        called: the decisions; None where nothing decides.
        groups: patients.
    """

    cases: Sequence[Case]
    scores: Floats
    positive: Booleans
    called: Booleans | None
    groups: Sequence[str]

    @property
    def clustered(self) -> bool:
        """Whether a patient has several cases, so that cases are not independent."""
        return len(set(self.groups)) < len(self.groups)


def scored_from_cases(cases: Sequence[Case], point: OperatingPoint | None) -> Scored:
    """The cases with a score, decided.

    Args:
        cases: any.
        point: decides, strictly above its threshold, as the runtime does; where None, the cases' own decisions do, if
            each has one.
    """
    there = [case for case in cases if case.score is not None]
    scores = np.array([case.score for case in there], np.float64)
    called = None
    if point is not None:
        called = np.array([state_from_probability(score, point, 0) is State.POSITIVE for score in scores], np.bool_)
    elif there and all(case.decision is not None for case in there):
        called = np.array([case.decision for case in there], np.bool_)
    positive = np.array([case.truth for case in there], np.bool_)
    return Scored(there, scores, positive, called, [case.group for case in there])


def measures_from_scored(scored: Scored, draws: Draws) -> list[Measure]:
    """Every figure that the cases allow.

    Args:
        scored: at least one case.
        draws: of the bootstrap.
    """
    _, sick, well = curve.counts_by_score(scored.scores, scored.positive)
    found = [_area(scored, sick, well, draws), _average_precision(scored, sick, well, draws)]
    if scored.called is None:
        return found
    return [*found, *_of_decisions(scored, cells_of_cases(scored.called, scored.positive), draws)]


def curves_from_scored(scored: Scored) -> Curves | None:
    """Both curves; None where a class is absent."""
    if scored.positive.all() or not scored.positive.any():
        return None
    _, sick, well = curve.counts_by_score(scored.scores, scored.positive)
    points = curve.roc_points(sick, well), curve.precision_recall_points(sick, well)
    return Curves(roc=points[0], precision_recall=points[1])


def bootstrap_ends(values: Floats) -> list[Ends]:
    """The bootstrap's interval as documents have it; empty where too few draws have a value."""
    ends = percentile_interval(values)
    return [] if ends is None else [Ends(low=ends[0], high=ends[1], method=BOOTSTRAP)]


def area_of_draws(scored: Scored) -> Callable[[Floats], Floats]:
    """The AUC of resampled cases, for :func:`edge_sacro.evaluation.bootstrap.resampled`."""

    def area(weights: Floats) -> Floats:
        _, sick, well = curve.counts_by_score(scored.scores, scored.positive, weights)
        return curve.area_from_counts(sick, well)

    return area


def _area(scored: Scored, sick: Floats, well: Floats, draws: Draws) -> Measure:
    value = float(curve.area_from_counts(sick, well))
    if np.isnan(value):
        return Measure(quantity="AUC", value=None, note=ONE_CLASS)
    areas = areas_from_scores(scored.scores[None], scored.positive)
    ends = []
    if areas is not None:
        low, high = areas.interval()
        ends.append(Ends(low=low, high=high, method=DELONG))
    drawn = bootstrap_ends(resampled(scored.groups, area_of_draws(scored), draws.resamples, draws.seed))
    ends = [*drawn, *ends] if scored.clustered else [*ends, *drawn]
    return Measure(quantity="AUC", value=value, intervals=ends, note=NO_SPREAD if value in {0.0, 1.0} else "")


def _average_precision(scored: Scored, sick: Floats, well: Floats, draws: Draws) -> Measure:
    if not sick.any():
        return Measure(quantity="average precision", value=None, note="no case is positive")

    def precision(weights: Floats) -> Floats:
        _, more_sick, more_well = curve.counts_by_score(scored.scores, scored.positive, weights)
        return curve.average_precision_from_counts(more_sick, more_well)

    value = float(curve.average_precision_from_counts(sick, well))
    ends = bootstrap_ends(resampled(scored.groups, precision, draws.resamples, draws.seed))
    return Measure(quantity="average precision", value=value, intervals=ends)


def proportion(quantity: str, successes: int, trials: int) -> Measure:
    """A proportion with its exact interval; no value where nothing was tried."""
    if not trials:
        return Measure(quantity=quantity, value=None, counts=(successes, trials), note="no case counts")
    low, high = clopper_pearson(successes, trials)
    ends = [Ends(low=low, high=high, method=EXACT)]
    return Measure(quantity=quantity, value=successes / trials, counts=(successes, trials), intervals=ends)


def _of_decisions(scored: Scored, cells: Floats, draws: Draws) -> list[Measure]:
    """Proportions, and balanced accuracy, F1 and kappa, which no binomial distribution has.

    An exact interval takes cases for independent; where patients have several, the bootstrap's stands beside it.
    """
    columns: dict[str, Callable[[Counts], float]] = {
        **{quantity: partial(share, quantity) for quantity in TRIALS},
        "balanced accuracy": lambda c: (share("sensitivity", c) + share("specificity", c)) / 2,
        "F1": f1,
        "kappa": kappa,
    }

    def statistics(weights: Floats) -> Floats:
        a, b, c, d = cells @ weights.T
        counts = cast("Counts", (a, b, c, d))  # the same sums, of arrays
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([column(counts) for column in columns.values()], axis=-1)

    (values,) = statistics(np.ones((1, cells.shape[1])))
    drawn = resampled(scored.groups, statistics, draws.resamples, draws.seed)
    found = []
    for column, (quantity, value) in enumerate(zip(columns, values.tolist(), strict=True)):
        ends = bootstrap_ends(drawn[:, column])
        if quantity in TRIALS:
            a, b, c, d = cells.sum(axis=1).tolist()
            measure = proportion(quantity, *(round(each) for each in TRIALS[quantity]((a, b, c, d))))
            added = ends if scored.clustered and measure.value is not None else []
            found.append(measure.model_copy(update={"intervals": [*measure.intervals, *added]}))
        elif np.isnan(value):
            found.append(Measure(quantity=quantity, value=None, note=ONE_CLASS))
        else:
            found.append(Measure(quantity=quantity, value=value, intervals=ends))
    return found
