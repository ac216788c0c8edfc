"""Published cohorts: their numbers come out again, and models are held against them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_sacro.errors import BudgetBroken, UsageError
from edge_sacro.evaluation.cohorts import COHORTS, cohort_from_name
from edge_sacro.evaluation.evaluate import MARGIN, Origin, Settings, check_noninferior, evaluate
from edge_sacro.evaluation.html import html_from_document
from edge_sacro.evaluation.measures import Draws
from edge_sacro.evaluation.noninferiority import Standing
from edge_sacro.evaluation.text import text_from_document
from edge_sacro.evaluation.words import NO_CLINIC
from edge_sacro.reference import PAPERS
from edge_sacro.reference.statistics import TRIALS
from tests.conftest import ROOT
from tests.evaluation.drawn import (
    predictions_from_rows,
    predictions_from_scores,
    rows_from_counts,
    rows_from_scores,
    scores,
    settings_for,
)


@pytest.mark.parametrize("level", ["joint", "image"])
def test_the_table_of_noh_comes_out_of_its_counts_with_its_exact_intervals(tmp_path: Path, level: str) -> None:
    """Table 2: every proportion and both ends, but for the accuracy per image that the paper itself contradicts."""
    cohort = cohort_from_name(f"noh2021/{level}")
    assert cohort.matrix is not None
    counts = (cohort.matrix.tp, cohort.matrix.fp, cohort.matrix.fn, cohort.matrix.tn)
    model = predictions_from_rows(tmp_path, rows_from_counts(*counts, side="left" if level == "joint" else ""))
    (part,) = evaluate(model, settings_for(cohort.name)).parts
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
    model = predictions_from_rows(
        tmp_path, rows_from_counts(cohort.matrix.tp, cohort.matrix.fp, cohort.matrix.fn, cohort.matrix.tn)
    )
    found = evaluate(model, settings_for(data, draws=Draws(4000, 0))).parts[0].measure("kappa")
    figure = cohort.figures["kappa"]
    assert figure.interval is not None
    assert found.value == pytest.approx(figure.value, abs=figure.unit), "the paper cuts digits off"
    printed = [figure.from_digits(digits) for digits in (figure.interval.low, figure.interval.high)]
    # Both are of resamplings: the paper's own thousand move its ends by about a hundredth.
    ends = [found.intervals[0].low, found.intervals[0].high]
    assert ends == pytest.approx(printed, abs=0.015)
    wrong = (
        evaluate(predictions_from_rows(tmp_path, rows_from_counts(90, 40, 40, 90)), settings_for(data))
        .parts[0]
        .measure("kappa")
    )
    assert wrong.value != pytest.approx(figure.value, abs=0.015), "negative control"


def test_a_good_model_is_not_inferior_a_bad_one_is_and_few_images_show_nothing(tmp_path: Path) -> None:
    good = evaluate(
        predictions_from_scores(tmp_path, count=900, apart=2.6, decimals=4), settings_for("bressem2021/test")
    )
    bad = evaluate(
        predictions_from_scores(tmp_path, count=900, apart=1.0, decimals=4), settings_for("bressem2021/test")
    )
    few = evaluate(predictions_from_scores(tmp_path, count=25, apart=2.2, decimals=4), settings_for("bressem2021/test"))
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
    model = predictions_from_scores(tmp_path, count=900, apart=2.1, decimals=4)
    found = [evaluate(model, settings_for("bressem2021/test", margin=margin)).primary() for margin in (0.001, 0.3)]
    standings = [each.published.standing for each in found if each and each.published]
    assert standings[0] is not Standing.WITHIN
    assert standings[1] is Standing.WITHIN
    assert Settings().margin == MARGIN == 0.05
    with pytest.raises(UsageError, match="above 0 and below 1"):
        Settings(margin=0.0)


def test_simulated_data_never_show_clinical_non_inferiority(tmp_path: Path) -> None:
    model = predictions_from_scores(tmp_path, count=900, apart=2.6, decimals=4)
    document = evaluate(model, settings_for("bressem2021/test"), Origin(simulated="they are of nobody"))
    text, html = " ".join(text_from_document(document).split()), html_from_document(document)
    for shown in (text, html):
        assert NO_CLINIC in shown
        assert "they are of nobody" in shown
        assert "is not inferior to" not in shown
    of_patients = html_from_document(evaluate(model, settings_for("bressem2021/test")))
    for green in ('class="verdict good"', '<td class="good"'):
        assert green not in html
        assert green in of_patients
    with pytest.raises(BudgetBroken, match=NO_CLINIC):
        check_noninferior(document)
    check_noninferior(evaluate(model, settings_for("bressem2021/test")))


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
    (part,) = evaluate(
        predictions_from_rows(tmp_path, [{**row, "side": side} for row in rows]), settings_for(name)
    ).parts
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
