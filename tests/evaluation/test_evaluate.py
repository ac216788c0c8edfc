"""From predictions to the document: published numbers, cohorts, comparisons, and what is not said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from edge_sacro.errors import BudgetBroken, UsageError
from edge_sacro.evaluation.cohorts import cohort_from_name
from edge_sacro.evaluation.document import Document, Measure, json_from_document
from edge_sacro.evaluation.evaluate import UNDECIDED, check_noninferior, evaluate
from edge_sacro.evaluation.html import html_from_document
from edge_sacro.evaluation.measures import Draws
from edge_sacro.evaluation.predictions import Predictions
from edge_sacro.types import OperatingPoint
from tests.evaluation.drawn import (
    predictions_from_rows,
    predictions_from_scores,
    rows_from_scores,
    scores,
    settings_for,
)


def test_the_figures_of_scores_are_those_of_scikit_learn_and_scipy(tmp_path: Path) -> None:
    values, positive = scores(seed=4)
    document = evaluate(
        predictions_from_scores(tmp_path, seed=4), settings_for(point=OperatingPoint("t", 0.6, "--threshold"))
    )
    (part,) = document.parts
    assert part.measure("AUC").value == pytest.approx(roc_auc_score(positive, values))
    assert part.measure("average precision").value == pytest.approx(average_precision_score(positive, values))
    called = values > 0.6
    hits = int((called & positive).sum())
    sensitivity = part.measure("sensitivity")
    assert sensitivity.counts == (hits, int(positive.sum()))
    exact = binomtest(hits, int(positive.sum())).proportion_ci(0.95, "exact")
    assert (sensitivity.intervals[0].low, sensitivity.intervals[0].high) == pytest.approx((exact.low, exact.high))
    for quantity, expected in (
        ("specificity", recall_score(positive, called, pos_label=0)),
        ("accuracy", accuracy_score(positive, called)),
        ("precision", precision_score(positive, called)),
        ("negative predictive value", precision_score(positive, called, pos_label=0)),
        ("balanced accuracy", balanced_accuracy_score(positive, called)),
        ("F1", f1_score(positive, called)),
        ("kappa", cohen_kappa_score(positive, called)),
    ):
        measure = part.measure(quantity)
        assert measure.value == pytest.approx(expected)
        assert measure.value != pytest.approx(1 - expected, abs=1e-3), "negative control"
        assert measure.intervals[0].low < expected < measure.intervals[0].high
    assert np.any(values == 0.6), "a score that is the cut-off is there"
    assert hits < int(((values >= 0.6) & positive).sum()), "negative control: a score at the cut-off is not positive"


def test_the_same_seed_gives_the_same_document_and_another_does_not(tmp_path: Path) -> None:
    model = predictions_from_scores(tmp_path)
    first, again, other = (
        json_from_document(evaluate(model, settings_for(draws=Draws(200, seed)))) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert Document.model_validate_json(first).schema_version == "1.0"


def test_cases_without_a_score_are_counted_and_in_no_figure(tmp_path: Path) -> None:
    rows = rows_from_scores(*scores(60))
    more: list[dict[str, object]] = [{"id": f"lost-{n}", "truth": n % 3 == 0, "score": ""} for n in range(9)]
    more = [{**row, "truth": int(bool(row["truth"]))} for row in more]
    (part,) = evaluate(predictions_from_rows(tmp_path, rows + more), settings_for()).parts
    assert (part.cases, part.unscored_positive, part.unscored_negative) == (60, 3, 6)
    (whole,) = evaluate(predictions_from_rows(tmp_path, rows), settings_for()).parts
    assert part.measure("AUC").value == whole.measure("AUC").value


def test_nothing_decides_unless_something_says_so(tmp_path: Path) -> None:
    model = predictions_from_scores(tmp_path)
    (part,) = evaluate(model, settings_for()).parts
    assert part.rule == UNDECIDED
    assert [measure.quantity for measure in part.measures] == ["AUC", "average precision"]
    (by_cohort,) = evaluate(model, settings_for("bressem2021/test")).parts
    assert "above 0.724" in by_cohort.rule
    (by_point,) = evaluate(model, settings_for("bressem2021/test", point=OperatingPoint("t", 0.3, "x"))).parts
    assert "above 0.3" in by_point.rule
    assert by_point.measure("sensitivity").value != by_cohort.measure("sensitivity").value


def test_a_part_of_the_decisions_is_refused(tmp_path: Path) -> None:
    rows = [{**row, "decision": "1" if n else ""} for n, row in enumerate(rows_from_scores(*scores(20)))]
    with pytest.raises(UsageError, match="1 of 20 images with a score have no decision"):
        evaluate(predictions_from_rows(tmp_path, rows), settings_for())


def test_one_class_alone_has_no_area_and_says_why(tmp_path: Path) -> None:
    rows = [{**row, "truth": 1} for row in rows_from_scores(*scores(12))]
    document = evaluate(predictions_from_rows(tmp_path, rows), settings_for("bressem2021/test"))
    (part,) = document.parts
    assert part.measure("AUC").value is None
    assert "one class" in part.measure("AUC").note
    assert part.measure("specificity").value is None
    assert part.measure("kappa").value is None or part.measure("kappa").value == 0
    assert part.curves is None
    assert "Infinity" not in json_from_document(document)
    assert "NaN" not in json_from_document(document)
    assert "Images" in html_from_document(document)


def test_perfect_separation_is_not_judged_by_an_interval_without_width(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": str(n), "truth": int(n > 4), "score": 0.1 + 0.08 * n} for n in range(10)]
    document = evaluate(predictions_from_rows(tmp_path, rows), settings_for("bressem2021/test"))
    primary = document.primary()
    assert primary is not None
    assert primary.value == 1
    assert "no width" in primary.note
    assert primary.published is not None
    assert primary.published.standing is None
    with pytest.raises(BudgetBroken):
        check_noninferior(document)


def test_patients_with_several_images_have_the_bootstraps_interval_first(tmp_path: Path) -> None:
    rows = [{**row, "group": f"p{n // 3}"} for n, row in enumerate(rows_from_scores(*scores(150)))]
    (part,) = evaluate(predictions_from_rows(tmp_path, rows), settings_for("bressem2021/test")).parts
    assert part.patients == 50
    assert [each.method for each in part.measure("AUC").intervals] == ["bootstrap over patients", "DeLong"]
    assert len(part.measure("sensitivity").intervals) == 2
    (single,) = evaluate(predictions_from_scores(tmp_path, count=150), settings_for("bressem2021/test")).parts
    assert [each.method for each in single.measure("AUC").intervals] == ["DeLong", "bootstrap over patients"]
    assert len(single.measure("sensitivity").intervals) == 1


def test_two_models_are_compared_on_the_cases_that_both_scored(tmp_path: Path) -> None:
    first = predictions_from_scores(tmp_path, count=200, seed=1)
    values, positive = scores(200, 1)
    noisy = np.round(0.5 * values + 0.5 * np.random.default_rng(0).random(200), 4)
    rows = rows_from_scores(noisy, positive)
    rows[7]["score"] = ""
    other = predictions_from_rows(tmp_path, rows[::-1], "other")
    comparison = evaluate(first, settings_for(point=OperatingPoint("t", 0.5, "x")), other=other).parts[0].comparison
    assert comparison is not None
    kept = np.arange(200) != 7
    assert (comparison.cases, comparison.left_out) == (199, 1)
    assert comparison.auc == pytest.approx(roc_auc_score(positive[kept], values[kept]))
    assert comparison.other_auc == pytest.approx(roc_auc_score(positive[kept], noisy[kept]))
    assert comparison.p is not None
    assert comparison.p < 0.05
    right, others = (((each > 0.5) == positive)[kept] for each in (values, noisy))
    everyone = comparison.mcnemar[0]
    assert (everyone.only_first, everyone.only_second) == ((right & ~others).sum(), (~right & others).sum())
    assert sum(each.only_first for each in comparison.mcnemar[1:]) == everyone.only_first
    same = evaluate(first, settings_for(point=OperatingPoint("t", 0.5, "x")), other=first).parts[0].comparison
    assert same is not None
    assert (same.difference, same.p) == (0, None), "negative control: a model beside itself"
    assert [each.p for each in same.mcnemar] == [1, 1, 1]


def test_models_of_other_cases_or_other_truth_are_not_compared(tmp_path: Path) -> None:
    first = predictions_from_scores(tmp_path, count=30)
    rows = rows_from_scores(*scores(30))
    with pytest.raises(UsageError, match="lacks the case 'image-29'"):
        evaluate(first, settings_for(), other=predictions_from_rows(tmp_path, rows[:-1], "short"))
    rows[3]["truth"] = 1 - int(str(rows[3]["truth"]))
    with pytest.raises(UsageError, match="truth of 'image-3' differs"):
        evaluate(first, settings_for(), other=predictions_from_rows(tmp_path, rows, "turned"))


def test_images_and_joints_are_evaluated_apart(tmp_path: Path) -> None:
    joints = [{**row, "side": side} for row in rows_from_scores(*scores(40, 2)) for side in ("left", "right")]
    images = [{**row, "side": ""} for row in rows_from_scores(*scores(40, 3))]
    document = evaluate(predictions_from_rows(tmp_path, joints + images), settings_for("noh2021/joint"))
    assert [(part.level, part.cases, part.patients) for part in document.parts] == [
        ("image", 40, 40),
        ("joint", 80, 40),
    ]
    image, joint = document.parts
    assert joint.measure("AUC").published is not None
    assert image.measure("AUC").published is None
    assert image.rule == UNDECIDED
    assert "above 0.5" in joint.rule
    assert "noh2021/joint" in html_from_document(document)


def test_a_cohort_that_counts_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="counted in joints, and no joint has a score"):
        evaluate(predictions_from_scores(tmp_path), settings_for("noh2021/joint"))
    with pytest.raises(UsageError, match="no case has a score"):
        evaluate(predictions_from_rows(tmp_path, [{"id": "a", "truth": 1, "score": ""}]), settings_for())
    with pytest.raises(UsageError, match="no published cohort") as refused:
        cohort_from_name("bressem2021")
    assert "bressem2021/test," in refused.value.remedy


def test_the_roc_curve_marks_decisions_and_speaks_of_marks_only_where_there_are_some(tmp_path: Path) -> None:
    model = predictions_from_scores(tmp_path)
    undecided, decided, beside = (
        html_from_document(evaluate(model, settings))
        for settings in (
            settings_for(),
            settings_for(point=OperatingPoint("half", 0.5, "a test")),
            settings_for("bressem2021/test"),
        )
    )
    assert "A mark" not in undecided
    assert "decisions here: sensitivity" not in undecided
    for html in (decided, beside):
        assert "A mark: decisions" in html
        assert "decisions here: sensitivity" in html
    assert "bressem2021/test, published: sensitivity 0.9148, specificity 0.8062" in beside
    assert "published: sensitivity" not in decided


def test_names_from_a_file_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    model = Predictions("<script>alert(1)</script>", "<b>", predictions_from_scores(tmp_path).cases)
    html = html_from_document(evaluate(model, settings_for("bressem2021/test")))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("<svg") == html.count("</svg>") == 2


def test_a_null_of_a_measure_is_null_in_json() -> None:
    assert json.loads(Measure(quantity="AUC", value=None).model_dump_json())["value"] is None
