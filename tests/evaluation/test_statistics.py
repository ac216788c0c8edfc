"""Each figure against scikit-learn, SciPy, a definition written out in full, or a published worked example."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from edge_sacro.evaluation import curves
from edge_sacro.evaluation.agreement import cells_of_cases, mcnemar_from_decisions
from edge_sacro.evaluation.bootstrap import percentile_interval, resampled
from edge_sacro.evaluation.delong import Areas, areas_from_scores, p_from_z
from edge_sacro.evaluation.noninferiority import (
    Standing,
    area_ends_from_counts,
    difference_interval,
    standing_from_interval,
)
from edge_sacro.reference.statistics import NORMAL_QUANTILE, f1, kappa, wilson
from tests.evaluation.drawn import Booleans, Floats, scores

RATED = {"normal": (33, 6, 6, 11, 2), "abnormal": (3, 2, 2, 11, 33)}
"""Hanley and McNeil 1982, Table I: ratings 1 to 5 of 58 normal and 51 abnormal CT images."""


def _rated() -> tuple[Floats, Booleans]:
    ratings = [np.repeat(np.arange(1, 6), RATED[kind]) for kind in ("normal", "abnormal")]
    return np.concatenate(ratings).astype(np.float64), np.repeat([False, True], [58, 51])


@pytest.mark.parametrize("decimals", [1, 2, 8])
def test_areas_and_curves_are_those_of_scikit_learn(decimals: int) -> None:
    values, positive = scores(decimals=decimals)
    _, sick, well = curves.counts_by_score(values, positive)
    assert curves.auc(values, positive) == pytest.approx(roc_auc_score(positive, values), abs=1e-12)
    precise = float(curves.average_precision_from_counts(sick, well))
    assert precise == pytest.approx(average_precision_score(positive, values), abs=1e-12)
    false, true, _ = roc_curve(positive, values, drop_intermediate=False)
    np.testing.assert_allclose(curves.roc_points(sick, well), np.stack([false, true], axis=1), atol=1e-12)
    precision, recall, _ = precision_recall_curve(positive, values)
    expected = np.stack([recall, precision], axis=1)[-2::-1]
    np.testing.assert_allclose(curves.precision_recall_points(sick, well), expected, atol=1e-12)
    assert precise != pytest.approx(average_precision_score(~positive, values), abs=1e-3), "negative control"


def test_weights_count_a_case_as_often_as_if_it_were_there_so_often() -> None:
    values, positive = scores(40)
    weights = np.random.default_rng(1).integers(0, 4, (3, 40)).astype(np.float64)
    _, sick, well = curves.counts_by_score(values, positive, weights)
    for row, area, precise in zip(
        weights, curves.area_from_counts(sick, well), curves.average_precision_from_counts(sick, well), strict=True
    ):
        often = row.astype(int)
        again = np.repeat(positive, often), np.repeat(values, often)
        assert area == pytest.approx(roc_auc_score(*again), abs=1e-12)
        assert precise == pytest.approx(average_precision_score(*again), abs=1e-12)


def test_there_is_no_area_of_one_class() -> None:
    assert curves.auc(np.array([0.1, 0.9]), np.array([True, True])) is None
    assert curves.auc(np.array([0.1, 0.9]), np.array([True, False])) == 0


def _delong_by_definition(rows: Floats, positive: Booleans) -> Areas:
    """Placements of each case among the other class, pair by pair, as DeLong 1988 defines them."""
    placed_sick, placed_well = [], []
    for row in rows:
        psi = np.array([[float(x > y) + 0.5 * (x == y) for y in row[~positive]] for x in row[positive]])
        placed_sick.append(psi.mean(axis=1))
        placed_well.append(psi.mean(axis=0))
    sick, well = np.array(placed_sick), np.array(placed_well)
    covariance = np.zeros((len(rows), len(rows)))
    for a, b in itertools.product(range(len(rows)), repeat=2):
        for placed in (sick, well):
            centred = (placed[a] - placed[a].mean()) * (placed[b] - placed[b].mean())
            covariance[a, b] += centred.sum() / (placed.shape[1] - 1) / placed.shape[1]
    return Areas(sick.mean(axis=1), covariance)


def test_delong_is_its_definition_pair_by_pair_and_its_normal_quantiles_are_scipys() -> None:
    first, positive = scores(60, decimals=1)
    rows = np.stack([first, scores(60, seed=5, decimals=1)[0]])
    found, expected = areas_from_scores(rows, positive), _delong_by_definition(rows, positive)
    assert found is not None
    np.testing.assert_allclose(found.values, [roc_auc_score(positive, row) for row in rows], atol=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-14)
    error = math.sqrt(expected.covariance[0, 0])
    assert found.interval() == pytest.approx(norm.interval(0.95, expected.values[0], error), abs=1e-9)
    difference, spread = found.difference()
    assert p_from_z(difference / spread) == pytest.approx(2 * norm.sf(abs(difference / spread)), rel=1e-9)
    unpaired = math.sqrt(expected.covariance[0, 0] + expected.covariance[1, 1])
    assert spread != pytest.approx(unpaired, rel=1e-3), "negative control: without the covariance it differs"


def test_the_rating_example_of_hanley_and_mcneil_comes_out_as_printed() -> None:
    """Area 0.893 and standard error 0.032; DeLong's, without a model of the scores, is near it."""
    values, positive = _rated()
    area = curves.auc(values, positive)
    assert area is not None
    assert round(area, 3) == 0.893
    low, high = area_ends_from_counts(area, 51, 58)
    assert (high - low) / 2 / NORMAL_QUANTILE == pytest.approx(0.032, abs=0.0006)
    found = areas_from_scores(values[None], positive)
    assert found is not None
    assert math.sqrt(found.covariance[0, 0]) == pytest.approx(0.032, abs=0.0015)
    other = areas_from_scores(values[None, ::2], positive[::2])
    assert other is not None
    assert math.sqrt(other.covariance[0, 0]) != pytest.approx(0.032, abs=0.0015), "negative control: half the images"


def test_delong_says_nothing_of_a_class_of_one() -> None:
    assert areas_from_scores(np.array([[0.1, 0.2, 0.9]]), np.array([False, False, True])) is None


def test_the_bootstrap_agrees_with_delong_on_independent_cases_and_is_reproducible() -> None:
    values, positive = scores(400, decimals=6)

    def area(weights: Floats) -> Floats:
        _, sick, well = curves.counts_by_score(values, positive, weights)
        return curves.area_from_counts(sick, well)

    names = [str(index) for index in range(400)]
    drawn = resampled(names, area, 1500, 3)
    delong = areas_from_scores(values[None], positive)
    assert delong is not None
    assert percentile_interval(drawn) == pytest.approx(delong.interval(), abs=0.006)
    np.testing.assert_array_equal(drawn, resampled(names, area, 1500, 3))
    assert not np.array_equal(drawn, resampled(names, area, 1500, 4)), "negative control: another seed"


def test_cases_of_a_patient_are_drawn_together() -> None:
    """Every case four times over says no more than once, where the four are of one patient."""
    values, positive = scores(80, decimals=6)
    values, positive = np.repeat(values, 4), np.repeat(positive, 4)

    def area(weights: Floats) -> Floats:
        _, sick, well = curves.counts_by_score(values, positive, weights)
        return curves.area_from_counts(sick, well)

    patients = [str(index // 4) for index in range(320)]
    together = percentile_interval(resampled(patients, area, 800, 0))
    apart = percentile_interval(resampled([str(index) for index in range(320)], area, 800, 0))
    once = areas_from_scores(values[None, ::4], positive[::4])
    assert together is not None
    assert apart is not None
    assert once is not None
    low, high = once.interval()
    assert together[1] - together[0] == pytest.approx(high - low, rel=0.15)
    assert apart[1] - apart[0] < 0.6 * (together[1] - together[0]), "negative control: drawn apart"


def test_there_is_no_bootstrap_interval_where_most_draws_have_no_value() -> None:
    assert percentile_interval(np.array([0.5, np.nan, np.nan])) is None
    assert percentile_interval(np.array([0.5, 0.5, np.nan])) == (0.5, 0.5)


def test_kappa_and_f1_of_the_counts_are_scikit_learns() -> None:
    values, positive = scores()
    called = values > 0.5
    a, b, c, d = cells_of_cases(called, positive).sum(axis=1).tolist()
    assert kappa((a, b, c, d)) == pytest.approx(cohen_kappa_score(called, positive))
    assert f1((a, b, c, d)) == pytest.approx(f1_score(positive, called))
    assert kappa((a, c, d, b)) != pytest.approx(cohen_kappa_score(called, positive), abs=1e-3), "negative control"


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (5, 5), (3, 11), (0, 30), (400, 340)])
def test_mcnemar_is_scipys_binomial_test_of_the_discordant_cases(first: int, second: int) -> None:
    positive = np.ones(first + second + 7, np.bool_)
    mine, others = positive.copy(), positive.copy()
    others[:first] = False
    mine[first : first + second] = False
    found = mcnemar_from_decisions(mine, others, positive)
    assert (found.first, found.second) == (first, second)
    expected = binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert found.p == pytest.approx(expected, rel=1e-9)
    if first + second > 3:
        uneven = binomtest(first, first + second, 0.4).pvalue
        assert found.p != pytest.approx(uneven, rel=1e-3), "negative control"


def test_mcnemar_is_that_of_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    positive = np.ones(40, np.bool_)
    mine, others = positive.copy(), positive.copy()
    others[:9], mine[9:12] = False, False
    expected = tables.mcnemar([[28, 9], [3, 0]], exact=True).pvalue
    assert mcnemar_from_decisions(mine, others, positive).p == pytest.approx(expected)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((10, 10), (0, 10), 0.6075, 1.0)],
)
def test_the_difference_of_proportions_is_newcombes_printed_one(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe 1998, Table II, method 10."""
    one, two = first[0] / first[1], second[0] / second[1]
    found = difference_interval(one, wilson(*first), two, wilson(*second))
    assert found == pytest.approx((low, high), abs=5.1e-5)
    exact = difference_interval(one, wilson(*first), two, None)
    assert exact != pytest.approx((low, high), abs=0.01), "negative control: the other figure taken for exact"


def test_non_inferiority_asks_for_the_whole_interval_above_the_margin() -> None:
    assert standing_from_interval((-0.049, 0.1), 0.05) is Standing.WITHIN
    assert standing_from_interval((-0.05, 0.1), 0.05) is Standing.OPEN
    assert standing_from_interval((-0.2, -0.05), 0.05) is Standing.OPEN
    assert standing_from_interval((-0.2, -0.051), 0.05) is Standing.BEYOND
