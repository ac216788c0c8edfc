"""Measured figures beside a published cohort's, and beside another model's on the same cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_sacro.errors import UsageError
from edge_sacro.evaluation.agreement import mcnemar_from_decisions
from edge_sacro.evaluation.bootstrap import resampled
from edge_sacro.evaluation.cohorts import Cohort
from edge_sacro.evaluation.delong import areas_from_scores, p_from_z
from edge_sacro.evaluation.document import Comparison, Discordance, Ends, Measure, Published
from edge_sacro.evaluation.measures import (
    DELONG,
    Draws,
    Scored,
    area_of_draws,
    bootstrap_ends,
    curves_from_scored,
    scored_from_cases,
)
from edge_sacro.evaluation.noninferiority import area_ends_from_counts, difference_interval, standing_from_interval
from edge_sacro.evaluation.predictions import Predictions
from edge_sacro.reference import Figure
from edge_sacro.reference.statistics import NORMAL_QUANTILE, TRIALS, Counts, wilson
from edge_sacro.types import OperatingPoint

SCORE = "score interval (Wilson)"
MOVER = "from both intervals (MOVER)"
EXACT_NUMBER = "the paper gives no interval and no counts: its figure is taken for exact"


def beside_published(measure: Measure, cohort: Cohort, margin: float) -> Measure:
    """The measure with the cohort's figure of the same quantity, where it has one.

    Args:
        measure: measured.
        cohort: published.
        margin: how far below is still not inferior, above 0.
    """
    figure = cohort.figures.get(measure.quantity)
    if figure is None or measure.value is None:
        return measure
    value, note = _value_from_figure(measure.quantity, figure, cohort)
    published = _published_interval(measure.quantity, value, figure, cohort)
    own = _own_interval(measure)
    notes = [note, "" if published else EXACT_NUMBER]
    ends = standing = None
    if own is not None:
        between = None if published is None else (published.low, published.high)
        low, high = difference_interval(measure.value, (own.low, own.high), value, between)
        ends = Ends(low=low, high=high, method=MOVER)
        if own.high > own.low:
            standing = standing_from_interval((low, high), margin)
    return measure.model_copy(
        update={
            "published": Published(
                value=value,
                printed=figure.printed + ("%" if figure.percent else ""),
                place=figure.place,
                interval=published,
                difference=measure.value - value,
                difference_interval=ends,
                standing=standing,
                note="; ".join(filter(None, notes)),
            )
        }
    )


def compared(first: Scored, other: Predictions, point: OperatingPoint | None, draws: Draws) -> Comparison:
    """Another model on the same cases, paired.

    Args:
        first: this model's, of one level.
        other: the other model's.
        point: decides for both; where None, their own decisions do.
        draws: of the bootstrap.

    Raises:
        UsageError: the other model lacks a case of this one's, or has another truth.
    """
    cases = {case.key: case for case in other.cases}
    for case in first.cases:
        named = " ".join(filter(None, case.key))
        if case.key not in cases:
            remedy = "Compare predictions of the same cases."
            raise UsageError(f"it lacks the case {named!r} of the first model", source=other.source, remedy=remedy)
        if cases[case.key].truth != case.truth:
            remedy = "Both models have to be held against one truth."
            raise UsageError(
                f"its truth of {named!r} differs from the first model's", source=other.source, remedy=remedy
            )
    kept = [case for case in first.cases if cases[case.key].score is not None]
    both = [scored_from_cases(each, point) for each in (kept, [cases[case.key] for case in kept])]
    both[1] = Scored(both[1].cases, both[1].scores, both[1].positive, both[1].called, both[0].groups)
    return _comparison(both, other.name, len(first.cases) - len(kept), draws)


def _comparison(both: Sequence[Scored], name: str, left_out: int, draws: Draws) -> Comparison:
    areas = areas_from_scores(np.stack([each.scores for each in both]), both[0].positive) if both[0].cases else None
    difference, ends, p = None, [], None
    if areas is not None:
        difference, error = areas.difference()
        half = NORMAL_QUANTILE * error
        ends.append(Ends(low=difference - half, high=difference + half, method=DELONG))
        p = p_from_z(difference / error) if error > 0 else None
        mine, others = (area_of_draws(each) for each in both)
        drawn = resampled(both[0].groups, lambda w: mine(w) - others(w), draws.resamples, draws.seed)
        ends += bootstrap_ends(drawn)
    return Comparison(
        name=name,
        cases=len(both[0].cases),
        left_out=left_out,
        auc=None if areas is None else float(areas.values[0]),
        other_auc=None if areas is None else float(areas.values[1]),
        difference=difference,
        intervals=ends,
        p=p,
        mcnemar=_discordances(both),
        curves=curves_from_scored(both[1]),
    )


def _discordances(both: Sequence[Scored]) -> list[Discordance]:
    first, second = (each.called for each in both)
    if first is None or second is None:
        return []
    truth = both[0].positive
    found = []
    for among, chosen in (("all", np.ones_like(truth)), ("positive", truth), ("negative", ~truth)):
        test = mcnemar_from_decisions(first[chosen], second[chosen], truth[chosen])
        found.append(
            Discordance.model_validate(
                {"among": among, "only_first": test.first, "only_second": test.second, "p": test.p}
            )
        )
    return found


def _value_from_figure(quantity: str, figure: Figure, cohort: Cohort) -> tuple[float, str]:
    """The value that the paper's counts give, where it has them, and what to say where its digits differ."""
    if cohort.matrix is None or quantity not in TRIALS:
        return figure.value, ""
    successes, trials = TRIALS[quantity](_counts(cohort))
    value = successes / trials
    if abs(value - figure.value) <= figure.unit:
        return value, ""
    return value, f"the paper prints {figure.printed}; its own counts, {successes} of {trials}, give {value:.4f}"


def _published_interval(quantity: str, value: float, figure: Figure, cohort: Cohort) -> Ends | None:
    """Score intervals of counts, else what the paper prints, else what its cohort's size gives an AUC."""
    if cohort.matrix is not None and quantity in TRIALS:
        successes, trials = TRIALS[quantity](_counts(cohort))
        low, high = wilson(round(successes), round(trials))
        return Ends(low=low, high=high, method=SCORE)
    if figure.interval is not None:
        low, high = (figure.from_digits(digits) for digits in (figure.interval.low, figure.interval.high))
        return Ends(low=low, high=high, method="printed")
    if quantity == "AUC" and cohort.sizes is not None:
        low, high = area_ends_from_counts(value, *cohort.sizes)
        return Ends(low=low, high=high, method="Hanley-McNeil, from the cohort's size")
    return None


def _own_interval(measure: Measure) -> Ends | None:
    """Newcombe's difference takes the score interval of a proportion; other figures have their first one."""
    if measure.counts is not None:
        low, high = wilson(*measure.counts)
        return Ends(low=low, high=high, method=SCORE)
    return measure.intervals[0] if measure.intervals else None


def _counts(cohort: Cohort) -> Counts:
    if cohort.matrix is None:
        raise AssertionError("asked for where there is a matrix alone")
    return cohort.matrix.tp, cohort.matrix.fp, cohort.matrix.fn, cohort.matrix.tn
