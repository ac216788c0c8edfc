"""The statistics beside SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score, precision_score

from edge_sacro.reference import statistics
from edge_sacro.reference.rules import RULES, Known
from edge_sacro.reference.types import Figure, Matrix, Paper

PROPORTIONS = [(0, 1), (1, 1), (0, 7), (7, 7), (3, 10), (156, 161), (190, 219), (165, 190), (1, 2000), (1999, 2000)]
TABLES = [(156, 29, 5, 190), (149, 64, 1, 15), (46, 2, 8, 44), (3, 1, 4, 1)]


@pytest.mark.parametrize(("k", "n"), PROPORTIONS)
def test_exact_interval_is_that_of_scipy(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(method="exact")
    assert statistics.clopper_pearson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("k", "n"), PROPORTIONS)
def test_score_interval_is_that_of_scipy(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert statistics.wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_exact_and_score_interval_are_told_apart() -> None:
    assert statistics.clopper_pearson(156, 161) != pytest.approx(statistics.wilson(156, 161), abs=1e-3)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_what_is_no_proportion_is_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="is no proportion"):
        statistics.clopper_pearson(k, n)
    with pytest.raises(ValueError, match="is no proportion"):
        statistics.wilson(k, n)


@pytest.mark.parametrize("table", TABLES)
def test_rules_of_matrices_are_those_of_scikit_learn(table: tuple[int, int, int, int]) -> None:
    tp, fp, fn, tn = table
    truth = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    called = np.repeat([1, 1, 0, 0], [tp, fp, fn, tn])
    figure = Figure("any", "0.5", "nowhere")
    known = Known(Paper("a paper", "none", (figure,), (Matrix("m", tp, fp, fn, tn, "nowhere"),)))
    found = {name: RULES[name].compute(known, figure, ("m",)).value for name in ("kappa", "F1", "precision")}
    assert found["kappa"] == pytest.approx(cohen_kappa_score(truth, called))
    assert found["F1"] == pytest.approx(f1_score(truth, called))
    assert found["precision"] == pytest.approx(precision_score(truth, called))
    shares = [statistics.proportion(of, table) for of in ("sensitivity", "specificity")]
    assert sum(shares) / 2 == pytest.approx(balanced_accuracy_score(truth, called))
    swapped = np.repeat([1, 1, 0, 0], [tp, fn, fp, tn])
    assert found["precision"] != pytest.approx(precision_score(np.repeat([1, 0, 1, 0], [tp, fn, fp, tn]), swapped))


def test_no_roc_curve_through_a_point_leaves_its_bounds() -> None:
    random = np.random.default_rng(3)
    for _ in range(50):
        scores = np.concatenate([random.normal(random.uniform(0, 2), 1, 40), random.normal(0, 1, 60)])
        positive, negative = scores[:40], scores[40:]
        auc = float((positive[:, None] > negative[None, :]).mean())
        point = float((positive > 0.8).mean()), float((negative <= 0.8).mean())
        low, high = statistics.auc_bounds([point])
        assert low - 1e-12 <= auc <= high + 1e-12
    assert statistics.auc_bounds([]) == (0.0, 1.0)
    assert statistics.auc_bounds([(0.9, 0.8)]) == pytest.approx((0.72, 0.98))


def test_no_auc_varies_more_than_its_largest_error() -> None:
    random = np.random.default_rng(4)
    positives, negatives = 47, 116
    aucs = []
    for _ in range(400):
        # the worst case: each positive is either above all or below all
        wins = random.random(positives) < 0.846
        aucs.append(wins.mean())
    largest = statistics.largest_auc_error(0.846, positives, negatives)
    assert np.std(aucs) == pytest.approx(largest, rel=0.1)
    assert largest == pytest.approx(0.0526, abs=1e-4)


def test_bootstrap_is_that_of_scipy_and_repeats() -> None:
    cells = (40, 20, 15, 60)
    answers = np.repeat([1.0, 0.0, 0.0, 1.0], cells)
    low, high, spread = statistics.bootstrap_interval((cells,), lambda n: (n[0] + n[3]) / n.sum(axis=0))
    oracle = stats.bootstrap(
        (answers,), np.mean, n_resamples=5000, method="percentile", random_state=np.random.default_rng(1)
    )
    assert (low, high) == pytest.approx(oracle.confidence_interval, abs=0.01)
    assert spread == pytest.approx(oracle.standard_error, rel=0.05)
    assert statistics.bootstrap_interval((cells,), lambda n: (n[0] + n[3]) / n.sum(axis=0)) == (low, high, spread)


def test_error_of_a_bootstrap_quantile_is_what_repetitions_show() -> None:
    random = np.random.default_rng(5)
    ends = np.quantile(random.normal(0, 2.0, (500, 1000)), 0.975, axis=1)
    assert statistics.quantile_error(2.0, 1000) == pytest.approx(ends.std(), rel=0.15)
