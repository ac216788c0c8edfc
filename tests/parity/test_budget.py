"""The budget: each line can break, none breaks at its limit, a missing row is an error."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from edge_sacro.errors import InputNotFound, UsageError
from edge_sacro.manifest import Precision
from edge_sacro.parity.budget import BUDGETS, breaches, budget_for, budgets_from_file
from edge_sacro.parity.document import Area, Budget, Summary, Worst
from edge_sacro.parity.tensors import Difference, auc, map_agreement
from tests.conftest import ROOT

BUDGET = Budget(probability=0.02, auc=0.005, auc_pairs=200, box_iou=0.9, explanation=0.8, flips=1, disagreements=1)


def worst(value: float) -> Worst:
    return Worst(value=value, instance="pelvis.dcm")


def area(difference: float, judged: bool = True) -> Area:
    return Area(reference=0.9, contender=0.9 + difference, difference=difference, pairs=500, judged=judged)


AT_THE_LIMIT: dict[str, Any] = {
    "instances": 3,
    "with_probability": 1,
    "probability": worst(-0.02),
    "probability_median": 0.001,
    "area": area(-0.005),
    "box_iou": worst(0.9),
    "explanation": worst(0.8),
    "flips_outside": 1,
    "flips_inside": 9,
    "disagreements": 1,
    "tensors": [],
}


def test_what_reaches_the_limit_holds() -> None:
    assert breaches(BUDGET, Summary(**AT_THE_LIMIT), [], None) == []


@pytest.mark.parametrize(
    ("measure", "change"),
    [
        ("probability", {"probability": worst(-0.0201)}),
        ("probability", {"probability": worst(0.0201)}),
        ("auc", {"area": area(-0.0051)}),
        ("auc", {"area": area(0.0051)}),
        ("box_iou", {"box_iou": worst(0.899)}),
        ("explanation", {"explanation": worst(0.799)}),
        ("flips", {"flips_outside": 2}),
        ("disagreements", {"disagreements": 2}),
        ("nothing_compared", {"with_probability": 0, "probability": None}),
    ],
)
def test_each_line_of_the_budget_can_break(measure: str, change: dict[str, Any]) -> None:
    found = breaches(BUDGET, Summary(**{**AT_THE_LIMIT, **change}), [], None)
    assert [breach.measure for breach in found] == [measure]
    if isinstance(next(iter(change.values())), Worst):
        assert "pelvis.dcm" in found[0].sentence


def test_a_failure_breaks_it_and_an_area_of_few_images_does_not() -> None:
    few = Summary(**{**AT_THE_LIMIT, "area": area(0.5, judged=False)})
    assert breaches(BUDGET, few, [], None) == []
    assert [each.measure for each in breaches(BUDGET, few, [], "refused")] == ["failure"]


def test_every_precision_has_a_row_and_none_is_looser_than_a_coarser_ones() -> None:
    order: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    rows = [budget_for(BUDGETS, precision) for precision in order]
    for finer, coarser in itertools.pairwise(rows):
        assert finer.probability <= coarser.probability <= 0.02
        assert finer.box_iou >= coarser.box_iou
        assert finer.flips == coarser.flips == 0


def test_the_docs_table_is_the_budget() -> None:
    text = (ROOT / "docs" / "parity.md").read_text()
    for precision, row in BUDGETS.items():
        cells = (row.probability, row.auc, row.box_iou, row.explanation, row.flips, row.disagreements)
        assert f"| `{precision}` | {' | '.join(f'{cell:g}' for cell in cells)} |" in text
        assert f"from {row.auc_pairs} pairs" in text


def test_a_budget_from_a_file_takes_the_tables_place(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    path.write_text(f'{{"int8": {BUDGET.model_dump_json()}}}')
    budgets = budgets_from_file(str(path))
    assert budget_for(budgets, "int8") == BUDGET
    with pytest.raises(UsageError, match="no row for fp16"):
        budget_for(budgets, "fp16")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('{"int8": {"probability": 0.02}}', "int8.auc"),
        ('{"int4": {}}', "int4"),
        (f'{{"int8": {BUDGET.model_dump_json()[:-1]}, "luck": 1}}}}', "luck"),
        ("no json", "file: "),
    ],
)
def test_a_file_that_is_no_budget_is_refused_with_the_place(tmp_path: Path, content: str, match: str) -> None:
    (tmp_path / "budget.json").write_text(content)
    with pytest.raises(UsageError, match=match):
        budgets_from_file(str(tmp_path / "budget.json"))
    with pytest.raises(InputNotFound):
        budgets_from_file(str(tmp_path / "absent.json"))


def test_the_area_is_scikit_learns_with_ties_too() -> None:
    generator = np.random.default_rng(0)
    truth = generator.uniform(size=60) > 0.6
    scores = np.round(generator.uniform(size=60) + 0.3 * truth, 1)
    assert auc(scores, truth) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert auc(-scores, truth) == pytest.approx(1 - roc_auc_score(truth, scores), abs=1e-12)
    with pytest.raises(ValueError, match="no area"):
        auc(scores, np.zeros(60, bool))


def test_differences_are_numpys_and_pool_over_calls() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, 3, 40)).astype(np.float32)
    pooled = Difference()
    for one, other in zip(a, b, strict=True):
        pooled.add(one, other)
    assert pooled.max_abs == np.abs(b.astype(np.float64) - a).max()
    assert pooled.rms == pytest.approx(np.sqrt(np.mean((b - a) ** 2)), rel=1e-6)
    assert pooled.relative_rms == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-6)
    assert pooled.cosine == pytest.approx(np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-5)
    with pytest.raises(ValueError, match="no difference"):
        pooled.add(a, b[0])


@pytest.mark.parametrize(("one", "other", "expected"), [(0.0, 0.0, (0.0, 1.0)), (0.0, 1.0, (1.0, 0.0))])
def test_a_tensor_of_zeros_has_a_defined_difference(one: float, other: float, expected: tuple[float, float]) -> None:
    difference = Difference()
    difference.add(np.full(4, one), np.full(4, other))
    assert (difference.relative_rms, difference.cosine) == expected


def test_a_map_that_vanished_on_one_side_does_not_agree() -> None:
    some = np.random.default_rng(2).uniform(size=(1, 2, 5, 5)).astype(np.float32)
    vanished = some.copy()
    vanished[:, 1] = 0
    correlation, distance = map_agreement(some, some)
    assert (correlation, distance) == (pytest.approx(1), 0)
    assert map_agreement(some, vanished)[0] == 0
    assert map_agreement(vanished, vanished)[0] == pytest.approx(1)


def test_a_channel_that_holds_rounding_alone_is_left_out_and_one_that_does_not_is_judged() -> None:
    random = np.random.default_rng(3)
    one = random.uniform(size=(1, 2, 5, 5)).astype(np.float32)
    other = one.copy()
    for part, agree in ((1e-4, True), (1e-2, False)):
        one[:, 0], other[:, 0] = part * random.uniform(size=(2, 5, 5))
        correlation, _ = map_agreement(one, other)
        assert (correlation > 0.99) == agree, correlation
