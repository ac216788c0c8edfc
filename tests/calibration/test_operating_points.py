"""Cut-offs: what scikit-learn, SciPy and the published tables say of the same images, and files that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score, roc_auc_score, roc_curve

from calibration.__main__ import main
from calibration.operating_points import OperatingPoints, Options, choose
from calibration.roc import Curve, exact_interval
from calibration.scores import STEPS, Scores, scores_from_arrays
from edge_sacro.bundle import load_bundle
from edge_sacro.systems import SYSTEMS
from tests.tiny import write_bundle

QUICK = Options(repeats=5, resamples=100)


def _drawn(seed: int = 0, sick: int = 150, well: int = 79, apart: float = 1.2) -> Scores:
    """Probabilities of two normal groups, as many as Bressem's validation set has."""
    random = np.random.default_rng(seed)
    positive = np.r_[np.ones(sick, bool), np.zeros(well, bool)]
    logits = np.where(positive, apart, -apart) + random.normal(0, 1.2, sick + well)
    return scores_from_arrays(positive, 1 / (1 + np.exp(-logits)))


def _whole(scores: Scores) -> Curve:
    return Curve(scores, np.ones(len(scores.steps)))


@pytest.mark.parametrize("seed", range(2))
def test_the_curve_is_that_of_scikit_learn(seed: int) -> None:
    scores = _drawn(seed)
    curve = _whole(scores)
    for threshold, sensitivity, specificity in zip(curve.thresholds, curve.sensitivity, curve.specificity, strict=True):
        called = scores.steps > threshold
        assert sensitivity == pytest.approx(recall_score(scores.positive, called), abs=1e-12)
        assert specificity == pytest.approx(recall_score(scores.positive, called, pos_label=0), abs=1e-12)
    assert curve.auc() == pytest.approx(roc_auc_score(scores.positive, scores.steps), abs=1e-12)
    false, true, _ = roc_curve(scores.positive, scores.steps, drop_intermediate=False)
    ours = {(round(1 - sp, 9), round(se, 9)) for se, sp in zip(curve.sensitivity, curve.specificity, strict=True)}
    assert ours == {(round(x, 9), round(y, 9)) for x, y in zip(false, true, strict=True)}


@pytest.mark.parametrize("seed", range(5))
def test_each_weight_finds_the_largest_of_its_measure(seed: int) -> None:
    scores = _drawn(seed)
    curve = _whole(scores)
    grid = [scores.steps > threshold for threshold in range(1, STEPS)]
    false, true, _ = roc_curve(scores.positive, scores.steps)
    balanced, accurate = (scores.steps > curve.best(weight) for weight in (0.5, None))
    youden = recall_score(scores.positive, balanced) + recall_score(scores.positive, balanced, pos_label=0) - 1
    assert youden == pytest.approx((true - false).max(), abs=1e-12)
    assert balanced_accuracy_score(scores.positive, balanced) == pytest.approx((youden + 1) / 2)
    best = max(np.mean(called == scores.positive) for called in grid)
    assert accuracy_score(scores.positive, accurate) == pytest.approx(best)
    other = balanced_accuracy_score(scores.positive, scores.steps > curve.best(0.9))
    assert other < (youden + 1) / 2, "negative control: another weight is not the best by this measure"


def test_more_weight_on_sensitivity_never_gives_less_of_it() -> None:
    curve = _whole(_drawn())
    cut_offs = [curve.best(weight) for weight in np.linspace(0.05, 0.95, 19)]
    assert cut_offs == sorted(cut_offs, reverse=True)
    assert cut_offs[0] > cut_offs[-1]


@pytest.mark.parametrize("images", [1, 2, 20, 79, 150, 1000])
def test_the_exact_interval_is_that_of_scipys_binomial_test(images: int) -> None:
    for hits in {0, 1, images // 3, images - 1, images}:
        found, expected = exact_interval(hits, images), binomtest(hits, images).proportion_ci(0.95, "exact")
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
        wilson = binomtest(hits, images).proportion_ci(0.95, "wilson")
        assert (found.low, found.high) != pytest.approx((wilson.low, wilson.high), abs=1e-4), "negative control"


CUT_OFFS = {point.name: point.threshold for point in SYSTEMS["bressem2021"].operating_points}
TABLES = {
    2: {"sensitivity": (149, 15, 150, 79), "specificity": (112, 78, 150, 79), "balanced": (131, 75, 150, 79)},
    3: {"sensitivity": (219, 36, 223, 129), "specificity": (182, 120, 223, 129), "balanced": (204, 104, 223, 129)},
}
"""Bressem 2021, Tables 2 and 3: r-axSpA and nr-axSpA called right at each cut-off, and how many there are."""


def _published(table: int) -> Scores:
    """Scores that give the published table: images stand in the middle between two cut-offs."""
    counts, order = TABLES[table], ("specificity", "balanced", "sensitivity")
    _, _, sick, well = counts["balanced"]
    above = [0, *(counts[name][0] for name in order), sick]
    falsely = [0, *(well - counts[name][1] for name in order), well]
    edges = [1.0, *(CUT_OFFS[name] for name in order), 0.0]
    positive: list[bool] = []
    probabilities: list[float] = []
    for part in range(4):
        for truth, heap in ((True, above), (False, falsely)):
            count = heap[part + 1] - heap[part]
            positive += [truth] * count
            probabilities += [(edges[part] + edges[part + 1]) / 2] * count
    return scores_from_arrays(positive, probabilities)


@pytest.mark.parametrize("table", TABLES)
def test_the_published_tables_come_out_at_the_published_cut_offs(table: int) -> None:
    scores = _published(table)
    for name, (true, right, sick, well) in TABLES[table].items():
        called = scores.steps > round(CUT_OFFS[name] * STEPS)
        assert (called[scores.positive].sum(), (~called[~scores.positive]).sum()) == (true, right)
        assert (sick, well) == (scores.positive.sum(), (~scores.positive).sum())


def test_the_default_weights_choose_the_published_three_and_the_bounds_in_the_docs_hold() -> None:
    curve = _whole(_published(2))

    def chosen(weight: float) -> str:
        called = {name: _published(2).steps > round(value * STEPS) for name, value in CUT_OFFS.items()}
        mine = _published(2).steps > curve.best(weight)
        return next(name for name, other in called.items() if np.array_equal(mine, other))

    for name, weight in Options().weights().items():
        if weight is not None:
            assert chosen(weight) == name
    assert [chosen(weight) for weight in (0.230, 0.231)] == ["specificity", "balanced"]
    assert [chosen(weight) for weight in (0.863, 0.864)] == ["balanced", "sensitivity"]


def test_the_published_accuracies_of_dorfner_are_balanced_ones() -> None:
    """3.1: 0.826 with 0.844 and 0.807, 0.836 with 0.844 and 0.828: the mean of both rates, to a unit of rounding."""
    for accuracy, specificity, sensitivity in ((0.826, 0.844, 0.807), (0.836, 0.844, 0.828)):
        assert (specificity + sensitivity) / 2 == pytest.approx(accuracy, abs=0.00101)


@pytest.fixture(scope="module")
def found() -> OperatingPoints:
    return choose(_drawn())


def test_the_points_are_ordered_and_their_figures_are_of_the_cut_off(found: OperatingPoints) -> None:
    scores, points = _drawn(), {point.name: point for point in found.points}
    assert points["sensitivity"].threshold < points["balanced"].threshold < points["specificity"].threshold
    assert points["sensitivity"].sensitivity.value > points["balanced"].sensitivity.value
    assert points["specificity"].specificity.value > points["balanced"].specificity.value
    for point in found.points:
        called = scores.steps > round(point.threshold * STEPS)
        assert point.sensitivity.value == recall_score(scores.positive, called)
        assert point.specificity.value == recall_score(scores.positive, called, pos_label=0)
        for rate in (point.sensitivity, point.specificity):
            exact = binomtest(rate.hits, rate.images).proportion_ci(0.95, "exact")
            assert (rate.exact.low, rate.exact.high) == pytest.approx((exact.low, exact.high))
            assert rate.bootstrap.low < rate.value < rate.bootstrap.high
            assert rate.bootstrap.high - rate.bootstrap.low == pytest.approx(exact.high - exact.low, abs=0.04)
            assert rate.spread.low <= rate.cross_validated <= rate.spread.high
        for interval in (point.bootstrap, point.spread):
            assert interval.low <= point.threshold <= interval.high


def test_cross_validation_takes_off_what_choosing_on_the_same_images_adds() -> None:
    """Where scores say nothing, the best cut-off seems to, and what is left out shows that it does not."""
    gains, honest = [], []
    for seed in range(12):
        (point,) = (p for p in choose(_drawn(seed, 60, 60, 0.0), QUICK).points if p.name == "balanced")
        gains.append(point.sensitivity.value + point.specificity.value - 1)
        honest.append(point.sensitivity.cross_validated + point.specificity.cross_validated - 1)
    assert np.mean(gains) > 0.05
    assert np.mean(honest) < np.mean(gains) / 2


def test_the_same_seed_gives_the_same_and_another_seed_does_not() -> None:
    scores = _drawn(3)
    assert choose(scores, QUICK) == choose(scores, QUICK)
    other = choose(scores, Options(repeats=5, resamples=100, seed=1))
    assert other.auc_bootstrap != choose(scores, QUICK).auc_bootstrap


def test_images_of_a_patient_are_never_on_both_sides_of_a_split() -> None:
    from calibration.operating_points import _resampled_weights, _splits

    single = _drawn(1, 60, 60)
    scores = Scores(single.positive, single.steps, np.arange(120) // 3)
    for folds in _splits(scores, QUICK):
        assert all(len(set(folds[scores.patients == patient])) == 1 for patient in range(40))
        assert set(folds) == set(range(10))
    for weights in _resampled_weights(scores, QUICK):
        assert np.array_equal(weights.reshape(40, 3).min(1), weights.reshape(40, 3).max(1))
    alone = _splits(single, QUICK)
    assert any(len(set(folds[:3])) > 1 for folds in alone), "negative control: without patients they are torn apart"


def test_images_that_are_repeated_narrow_the_interval_only_if_their_patient_is_not_told() -> None:
    single = _drawn(2, 60, 60)
    positive, steps = np.tile(single.positive, 4), np.tile(single.steps, 4)
    told = choose(Scores(positive, steps, np.tile(np.arange(120), 4)), QUICK).auc_bootstrap
    untold = choose(Scores(positive, steps, np.arange(480)), QUICK).auc_bootstrap
    once = choose(single, QUICK).auc_bootstrap
    assert told.high - told.low == pytest.approx(once.high - once.low, rel=0.15)
    assert untold.high - untold.low < 0.65 * (once.high - once.low)


def test_a_score_at_the_cut_off_is_negative() -> None:
    split = scores_from_arrays([True] * 20 + [False] * 20, [0.5001] * 20 + [0.5] * 20)
    point = choose(split, QUICK).points[2]
    assert point.threshold == 0.5
    assert (point.sensitivity.value, point.specificity.value) == (1.0, 1.0)


def _csv(path: Path, scores: Scores, heading: str = "truth,score") -> Path:
    rows = (f"{int(truth)},{step / STEPS}" for truth, step in zip(scores.positive, scores.steps, strict=True))
    path.write_text("\n".join([heading, *rows]) + "\n")
    return path


def _run(*arguments: Any, code: int = 0) -> Result:
    quick = ("--repeats", "3", "--resamples", "100")
    done = CliRunner().invoke(main, ["operating-points", *map(str, arguments), *quick])
    assert done.exit_code == code, done.output
    return done


def test_the_command_prints_a_table_or_json_and_refuses_with_the_codes_of_the_tree(tmp_path: Path) -> None:
    path = _csv(tmp_path / "scores.csv", _drawn())
    text = _run(path).stdout
    for part in (
        "229 images of 229 patients, 150 positive",
        "AUC 0.93",
        "sensitivity, w 0.9",
        "balanced, w 0.5",
        "exact",
    ):
        assert part in text
    document = json.loads(_run(path, "--json").stdout)
    assert [point["name"] for point in document["points"]] == ["sensitivity", "specificity", "balanced", "accuracy"]
    assert document["points"][2]["sensitivity"]["images"] == 150
    assert _run(path, "--json").stdout == _run(path, "--json").stdout
    _run(tmp_path / "absent.csv", code=2)
    (tmp_path / "few.csv").write_text("truth,score\n1,0.5\n")
    _run(tmp_path / "few.csv", code=82)


def test_cut_offs_are_written_into_a_bundle_with_their_source_and_replace_only_their_like(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    before = load_bundle(folder).manifest
    path = _csv(tmp_path / "scores.csv", _drawn())
    for seed in (0, 1):
        _run(path, "--bundle", folder, "--seed", seed)
    manifest = load_bundle(folder).manifest
    names = ["accuracy", "site-sensitivity", "site-specificity", "site-balanced", "site-accuracy"]
    assert [point.name for point in manifest.operating_points] == names
    assert manifest.operating_points[0] == before.operating_points[0], "the published one stays"
    assert manifest.model_copy(update={"operating_points": before.operating_points}) == before
    source = manifest.operating_point("site-balanced").source
    for part in ("3 x 10-fold", "seed 1", "229 images of 229 patients, 150 positive", "exact 95%", "SHA-256"):
        assert part in source
    _run(path, "--bundle", tmp_path / "nowhere", code=31)
