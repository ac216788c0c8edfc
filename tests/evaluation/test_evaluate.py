"""From predictions to the document: published numbers, cohorts, comparisons, and what is not said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score

from edge_sacro.errors import BudgetBroken, UsageError
from edge_sacro.evaluation.cohorts import COHORTS, cohort_from_name
from edge_sacro.evaluation.document import Document, Measure, json_from_document
from edge_sacro.evaluation.evaluate import MARGIN, UNDECIDED, Origin, Settings, check_noninferior, evaluate
from edge_sacro.evaluation.html import html_from_document
from edge_sacro.evaluation.measures import Draws
from edge_sacro.evaluation.noninferiority import Standing
from edge_sacro.evaluation.predictions import Predictions, predictions_from_csv
from edge_sacro.evaluation.text import text_from_document
from edge_sacro.evaluation.words import NO_CLINIC
from edge_sacro.reference import PAPERS
from edge_sacro.reference.statistics import TRIALS
from edge_sacro.types import OperatingPoint
from tests.conftest import ROOT
from tests.evaluation.drawn import rows_from_counts, rows_from_scores, scores, write_csv

DRAWS = Draws(400, 0)


def _read(folder: Path, rows: list[dict[str, object]], name: str = "model") -> Predictions:
    (found,) = predictions_from_csv(write_csv(folder / f"{name}.csv", rows))
    return found


def _of_scores(folder: Path, name: str = "model", **drawn: Any) -> Predictions:
    return _read(folder, rows_from_scores(*scores(**drawn)), name)


def _settings(reference: str | None = None, **changes: Any) -> Settings:
    cohort = None if reference is None else cohort_from_name(reference)
    return Settings(**{"cohort": cohort, "draws": DRAWS, **changes})


@pytest.mark.parametrize("level", ["joint", "image"])
def test_the_table_of_noh_comes_out_of_its_counts_with_its_exact_intervals(tmp_path: Path, level: str) -> None:
    """Table 2: every proportion and both ends, but for the accuracy per image that the paper itself contradicts."""
    cohort = cohort_from_name(f"noh2021/{level}")
    assert cohort.matrix is not None
    counts = (cohort.matrix.tp, cohort.matrix.fp, cohort.matrix.fn, cohort.matrix.tn)
    model = _read(tmp_path, rows_from_counts(*counts, side="left" if level == "joint" else ""))
    (part,) = evaluate(model, _settings(cohort.name)).parts
    compared = 0
    for quantity in TRIALS:
        measure, figure = part.measure(quantity), cohort.figures[quantity]
        assert measure.value is not None
        assert measure.published is not None
        assert measure.published.difference == pytest.approx(0, abs=1e-12)
        if (level, quantity) == ("image", "accuracy"):
            assert "its own counts, 165 of 190, give 0.8684" in measure.published.note
            continue
        assert figure.interval is not None
        assert measure.value == pytest.approx(figure.value, abs=0.5001 * figure.unit)
        printed = [figure.from_digits(digits) for digits in (figure.interval.low, figure.interval.high)]
        exact = measure.intervals[0]
        assert exact.method == "Clopper-Pearson"
        assert [exact.low, exact.high] == pytest.approx(printed, abs=0.5001 * figure.unit)
        assert measure.published.note == ""
        compared += 1
    assert compared == (5 if level == "joint" else 4)


@pytest.mark.parametrize("data", ["bressem2021/validation", "bressem2021/test", "poddubnyy2020/validation"])
def test_kappa_and_its_bootstrap_come_out_as_printed(tmp_path: Path, data: str) -> None:
    cohort = cohort_from_name(data)
    assert cohort.matrix is not None
    model = _read(tmp_path, rows_from_counts(cohort.matrix.tp, cohort.matrix.fp, cohort.matrix.fn, cohort.matrix.tn))
    found = evaluate(model, _settings(data, draws=Draws(4000, 0))).parts[0].measure("kappa")
    figure = cohort.figures["kappa"]
    assert figure.interval is not None
    assert found.value == pytest.approx(figure.value, abs=figure.unit), "the paper cuts digits off"
    printed = [figure.from_digits(digits) for digits in (figure.interval.low, figure.interval.high)]
    # Both are of resamplings: the paper's own thousand move its ends by about a hundredth.
    ends = [found.intervals[0].low, found.intervals[0].high]
    assert ends == pytest.approx(printed, abs=0.015)
    wrong = evaluate(_read(tmp_path, rows_from_counts(90, 40, 40, 90)), _settings(data)).parts[0].measure("kappa")
    assert wrong.value != pytest.approx(figure.value, abs=0.015), "negative control"


def test_the_figures_of_scores_are_those_of_scikit_learn_and_scipy(tmp_path: Path) -> None:
    values, positive = scores(seed=4)
    document = evaluate(_of_scores(tmp_path, seed=4), _settings(point=OperatingPoint("t", 0.6, "--threshold")))
    (part,) = document.parts
    assert part.measure("AUC").value == pytest.approx(roc_auc_score(positive, values))
    assert part.measure("average precision").value == pytest.approx(average_precision_score(positive, values))
    called = values > 0.6
    hits = int((called & positive).sum())
    sensitivity = part.measure("sensitivity")
    assert sensitivity.counts == (hits, int(positive.sum()))
    exact = binomtest(hits, int(positive.sum())).proportion_ci(0.95, "exact")
    assert (sensitivity.intervals[0].low, sensitivity.intervals[0].high) == pytest.approx((exact.low, exact.high))
    assert np.any(values == 0.6), "a score that is the cut-off is there"
    assert hits < int(((values >= 0.6) & positive).sum()), "negative control: a score at the cut-off is not positive"


def test_the_same_seed_gives_the_same_document_and_another_does_not(tmp_path: Path) -> None:
    model = _of_scores(tmp_path)
    first, again, other = (json_from_document(evaluate(model, _settings(draws=Draws(200, seed)))) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert Document.model_validate_json(first).schema_version == "1.0"


def test_cases_without_a_score_are_counted_and_in_no_figure(tmp_path: Path) -> None:
    rows = rows_from_scores(*scores(60))
    more: list[dict[str, object]] = [{"id": f"lost-{n}", "truth": n % 3 == 0, "score": ""} for n in range(9)]
    more = [{**row, "truth": int(bool(row["truth"]))} for row in more]
    (part,) = evaluate(_read(tmp_path, rows + more), _settings()).parts
    assert (part.cases, part.unscored_positive, part.unscored_negative) == (60, 3, 6)
    (whole,) = evaluate(_read(tmp_path, rows), _settings()).parts
    assert part.measure("AUC").value == whole.measure("AUC").value


def test_nothing_decides_unless_something_says_so(tmp_path: Path) -> None:
    model = _of_scores(tmp_path)
    (part,) = evaluate(model, _settings()).parts
    assert part.rule == UNDECIDED
    assert [measure.quantity for measure in part.measures] == ["AUC", "average precision"]
    (by_cohort,) = evaluate(model, _settings("bressem2021/test")).parts
    assert "above 0.724" in by_cohort.rule
    (by_point,) = evaluate(model, _settings("bressem2021/test", point=OperatingPoint("t", 0.3, "x"))).parts
    assert "above 0.3" in by_point.rule
    assert by_point.measure("sensitivity").value != by_cohort.measure("sensitivity").value


def test_a_part_of_the_decisions_is_refused(tmp_path: Path) -> None:
    rows = [{**row, "decision": "1" if n else ""} for n, row in enumerate(rows_from_scores(*scores(20)))]
    with pytest.raises(UsageError, match="1 of 20 images with a score have no decision"):
        evaluate(_read(tmp_path, rows), _settings())


def test_one_class_alone_has_no_area_and_says_why(tmp_path: Path) -> None:
    rows = [{**row, "truth": 1} for row in rows_from_scores(*scores(12))]
    document = evaluate(_read(tmp_path, rows), _settings("bressem2021/test"))
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
    document = evaluate(_read(tmp_path, rows), _settings("bressem2021/test"))
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
    (part,) = evaluate(_read(tmp_path, rows), _settings("bressem2021/test")).parts
    assert part.patients == 50
    assert [each.method for each in part.measure("AUC").intervals] == ["bootstrap over patients", "DeLong"]
    assert len(part.measure("sensitivity").intervals) == 2
    (single,) = evaluate(_of_scores(tmp_path, count=150), _settings("bressem2021/test")).parts
    assert [each.method for each in single.measure("AUC").intervals] == ["DeLong", "bootstrap over patients"]
    assert len(single.measure("sensitivity").intervals) == 1


def test_a_good_model_is_not_inferior_a_bad_one_is_and_few_images_show_nothing(tmp_path: Path) -> None:
    good = evaluate(_of_scores(tmp_path, count=900, apart=2.6, decimals=4), _settings("bressem2021/test"))
    bad = evaluate(_of_scores(tmp_path, count=900, apart=1.0, decimals=4), _settings("bressem2021/test"))
    few = evaluate(_of_scores(tmp_path, count=25, apart=2.2, decimals=4), _settings("bressem2021/test"))
    for document, standing, words in (
        (good, Standing.WITHIN, "is not inferior to the published 0.936 of bressem2021/test by the margin 0.05"),
        (bad, Standing.BEYOND, "is inferior to"),
        (few, Standing.OPEN, "is not shown to be non-inferior"),
    ):
        primary = document.primary()
        assert primary is not None
        assert primary.published is not None
        assert primary.published.standing is standing
        assert words in " ".join(text_from_document(document).split())
        assert words in html_from_document(document)
    check_noninferior(good)
    for document in (bad, few):
        with pytest.raises(BudgetBroken, match="inferior"):
            check_noninferior(document)


def test_the_margin_decides(tmp_path: Path) -> None:
    model = _of_scores(tmp_path, count=900, apart=2.1, decimals=4)
    found = [evaluate(model, _settings("bressem2021/test", margin=margin)).primary() for margin in (0.001, 0.3)]
    standings = [each.published.standing for each in found if each and each.published]
    assert standings[0] is not Standing.WITHIN
    assert standings[1] is Standing.WITHIN
    assert Settings().margin == MARGIN == 0.05
    with pytest.raises(UsageError, match="above 0 and below 1"):
        Settings(margin=0.0)


def test_simulated_data_never_show_clinical_non_inferiority(tmp_path: Path) -> None:
    model = _of_scores(tmp_path, count=900, apart=2.6, decimals=4)
    document = evaluate(model, _settings("bressem2021/test"), Origin(simulated="they are of nobody"))
    text, html = " ".join(text_from_document(document).split()), html_from_document(document)
    for shown in (text, html):
        assert NO_CLINIC in shown
        assert "they are of nobody" in shown
        assert "is not inferior to" not in shown
    assert 'class="verdict good"' not in html
    assert 'class="verdict good"' in html_from_document(evaluate(model, _settings("bressem2021/test")))
    with pytest.raises(BudgetBroken, match=NO_CLINIC):
        check_noninferior(document)
    check_noninferior(evaluate(model, _settings("bressem2021/test")))


def test_two_models_are_compared_on_the_cases_that_both_scored(tmp_path: Path) -> None:
    first = _of_scores(tmp_path, count=200, seed=1)
    values, positive = scores(200, 1)
    noisy = np.round(0.5 * values + 0.5 * np.random.default_rng(0).random(200), 4)
    rows = rows_from_scores(noisy, positive)
    rows[7]["score"] = ""
    other = _read(tmp_path, rows[::-1], "other")
    comparison = evaluate(first, _settings(point=OperatingPoint("t", 0.5, "x")), other=other).parts[0].comparison
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
    same = evaluate(first, _settings(point=OperatingPoint("t", 0.5, "x")), other=first).parts[0].comparison
    assert same is not None
    assert (same.difference, same.p) == (0, None), "negative control: a model beside itself"
    assert [each.p for each in same.mcnemar] == [1, 1, 1]


def test_models_of_other_cases_or_other_truth_are_not_compared(tmp_path: Path) -> None:
    first = _of_scores(tmp_path, count=30)
    rows = rows_from_scores(*scores(30))
    with pytest.raises(UsageError, match="lacks the case 'image-29'"):
        evaluate(first, _settings(), other=_read(tmp_path, rows[:-1], "short"))
    rows[3]["truth"] = 1 - int(str(rows[3]["truth"]))
    with pytest.raises(UsageError, match="truth of 'image-3' differs"):
        evaluate(first, _settings(), other=_read(tmp_path, rows, "turned"))


def test_images_and_joints_are_evaluated_apart(tmp_path: Path) -> None:
    joints = [{**row, "side": side} for row in rows_from_scores(*scores(40, 2)) for side in ("left", "right")]
    images = [{**row, "side": ""} for row in rows_from_scores(*scores(40, 3))]
    document = evaluate(_read(tmp_path, joints + images), _settings("noh2021/joint"))
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
        evaluate(_of_scores(tmp_path), _settings("noh2021/joint"))
    with pytest.raises(UsageError, match="no case has a score"):
        evaluate(_read(tmp_path, [{"id": "a", "truth": 1, "score": ""}]), _settings())
    with pytest.raises(UsageError, match="no published cohort") as refused:
        cohort_from_name("bressem2021")
    assert "bressem2021/test," in refused.value.remedy


@pytest.mark.parametrize("name", sorted(COHORTS))
def test_each_cohort_holds_figures_of_its_paper_and_can_be_held_against(tmp_path: Path, name: str) -> None:
    cohort = COHORTS[name]
    paper = PAPERS[name.partition("/")[0].partition("-")[0]]
    assert cohort.citation == paper.citation
    for quantity, figure in cohort.figures.items():
        assert paper.figure(figure.name) is figure
        assert 0 < figure.value <= 1, quantity
    rows = rows_from_scores(*scores(40))
    side = "left" if cohort.level == "joint" else ""
    (part,) = evaluate(_read(tmp_path, [{**row, "side": side} for row in rows]), _settings(name)).parts
    beside = {measure.quantity for measure in part.measures if measure.published}
    decided = cohort.cut_off is not None
    expected = {quantity for quantity in cohort.figures if decided or quantity == "AUC"} - {"mAP at IoU 0.5"}
    assert beside == expected
    for measure in part.measures:
        if measure.published is not None and measure.published.interval is not None:
            low, high = measure.published.interval.low, measure.published.interval.high
            assert low - 1e-9 <= measure.published.value <= high + 1e-9


def test_the_page_of_the_docs_lists_every_cohort() -> None:
    text = (ROOT / "docs" / "evaluation.md").read_text()
    assert sorted(re.findall(r"`([a-z0-9-]+/[a-z0-9-]+)`", text.partition("## Cohorts")[2])) == sorted(COHORTS)


def test_names_from_a_file_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    model = Predictions("<script>alert(1)</script>", "<b>", _of_scores(tmp_path).cases)
    html = html_from_document(evaluate(model, _settings("bressem2021/test")))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("<svg") == html.count("</svg>") == 2


def test_a_null_of_a_measure_is_null_in_json() -> None:
    assert json.loads(Measure(quantity="AUC", value=None).model_dump_json())["value"] is None
