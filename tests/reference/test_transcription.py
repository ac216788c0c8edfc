"""Every figure is digit for digit what its paper prints, and no number of a table or a results section is left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_sacro.reference import PAPERS, Figure, Paper

pytestmark = pytest.mark.shared


@dataclass(frozen=True)
class Zone:
    """Part of a paper's text, from one marker up to another; numbers in it that are no figures of ours."""

    start: str
    end: str
    others: frozenset[str] = frozenset()


def _zone(start: str, end: str, others: str = "") -> Zone:
    return Zone(start, end, frozenset(others.split()))


FILES = {
    "noh2021": "noh2021_efficientdet_d4.txt",
    "bressem2021": "bressem2021_resnet50.txt",
    "poddubnyy2020": "poddubnyy2020_preprint_resnet50.txt",
    "dorfner2024": "dorfner2024_anatomy_aware.txt",
    "fu2024": "fu2024_ct_classifiers.txt",
}
MATRIX_WORDS = "95 1 2 3"
ZONES: dict[str, dict[str, Zone]] = {
    "noh2021": {
        "Abstract": _zone("# Abstract", "## Introduction", "478 468 241 433 40 8 2 4 2107 0.918 0.5 95"),
        "Methods, Subjects": _zone("### Subjects", "### Data", "10 1 2002 2020"),
        "Methods, Training": _zone("### Training", "## Evaluation"),
        "Methods, Evaluation": _zone("## Evaluation", "## Results"),
        "Results, Subjects": _zone("## Results\n\n### Subjects", "### Accuracy in detecting", "1 33.3 5.2"),
        "Results, Accuracy in detecting": _zone("### Accuracy in detecting", "# Diagnostic Performance", "2 3 0.5"),
        "Results, Per joint": _zone("## Per joint performance", "## Per image performance", "95 2 3"),
        "Results, Per image": _zone("## Per image performance", "## Discussion", "95 2"),
        "Table 1": _zone("**Table 1.**", "**Table 2.**", "1 0 0 2 3 4 241 433 468 478 946 100"),
        "Table 2": _zone("**Table 2.**", "## Figures", "2 1 95"),
    },
    "bressem2021": {
        "Abstract": _zone("Abstract\n", "Conclusion:", "1553 1324 229 458"),
        "Methods, Cohort": _zone("Cohort description", "Assessment of radiographic"),
        "Methods, Image selection": _zone("Image selection and pre-processing", "Model training"),
        "Results, Model performance in the validation": _zone(
            "Model performance in the validation dataset", "Model performance on the independent dataset", "1 0 2"
        ),
        "Results, Model performance on the independent": _zone(
            "Model performance on the independent dataset", "Discussion\n", "352 106 458 " + MATRIX_WORDS + " 4"
        ),
        "Results": _zone("Results\n\nDefinite", "Model performance in the validation", "1 2 1324 229"),
        "Table 1": _zone(
            "Table 1 Baseline characteristics", "definite radiographic sacroiliitis and", "1 0 10 27 1553 458"
        ),
        "Table 2": _zone("Table 2 Confusion", "cut-off, aiming", MATRIX_WORDS),
        "Table 3": _zone("Table 3 Confusion", "between reader 1 and", MATRIX_WORDS),
    },
    "poddubnyy2020": {
        "Abstract": _zone(" ABSTRACT", " INTRODUCTION", "525 100"),
        "Cohort description": _zone("Cohort description", "Assessment of radiographic"),
        "Image selection": _zone("Image selection and pre-processing", "Model Training"),
        "Results, Model performance in the validation": _zone(
            "Model performance in the validation data set", "Model performance in the independent data set", "2 0 95 1"
        ),
        "Results, Model performance in the independent": _zone(
            "Model performance in the independent data set", " DISCUSSION", "3 4 5 2 1"
        ),
        "Results": _zone(" RESULTS", "Model performance in the validation", "1404 247 1 2 100"),
        "Table 1": _zone(" Table 1 – Confusion", "Table 1 provides", MATRIX_WORDS),
        "Table 2": _zone(" Table 2 – Confusion", "Table 2 provides", MATRIX_WORDS),
        "Figure 5": _zone("ACTIVATION MAPS", " Table 1 – Confusion"),
    },
    "dorfner2024": {
        "Abstract": _zone("ABSTRACT", "Conclusion: Anatomical", "4 1483 1261 222 436 340 163 311 95 2"),
        "Section 2.1": _zone("2.1 Cohort Description", "Table 1 shows further", "29 1 8 9 10 11 12 13 110 89"),
        "Section 2.3": _zone("2.3 Datasets", "2.4 Model training", "3 14 15"),
        "Section 2.5": _zone("2.5 Follow-up", "2.6 Statistical", "2"),
        "Section 3,": _zone("3 Results\n", "3.1 Validation", "1261 222 145 219 436 47 163 61 340"),
        "Section 3.1": _zone("3.1 Validation", "3.2 Test"),
        "Section 3.2": _zone("3.2 Test", "Table 2: Classification", "2"),
        "Section 3.5": _zone("3.5 Identifying", "4 Discussion", "2 95"),
        "Table 1": _zone("Table 1: Patient", "ASDAS, Ankylosing", "1 1,483 436 340 163 27"),
        "Table 2": _zone("Table 2: Classification", "Figure 3:", "2 95"),
        "Figure 10": _zone("Figure 10:", "Figure 11:", "10 1"),
        "Figure 11": Zone("Figure 11:", "", frozenset({"11", "1"})),
    },
    "fu2024": {
        "Data Collection": _zone("Data Collection and Pre-Processing", "The classification of CT"),
        "Training": _zone("Training\n\nThe training phase", "Grad-CAM\n"),
        "Results": _zone("Results\n\nFig. 4", "The Grad-CAM visualization results", "4 5 20 1 99 97"),
        "Table 1": _zone("Table 1. Evaluation", "AUC, Area", "1 16 101 4 50"),
    },
}
METHODS = ("Methods", "Training", "Cohort", "Image selection")
"""Parts whose other numbers are of machines and pictures, not of patients and performance."""
COMPLETE = [(paper, zone) for paper in ZONES for zone in ZONES[paper] if not zone.startswith(METHODS)]
INDEPENDENT = "Results, Model performance on the independent"
WITHIN = {("bressem2021", INDEPENDENT): ("Table 2", "Table 3")}
"""Tables that the text sets inside a section."""
NUMBER = re.compile(r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?")


def _text(paper: str, shared_dir: Path) -> str:
    text = (shared_dir / "papers" / FILES[paper]).read_text(encoding="utf-8")
    return re.sub(r"(?<=\d)[-–](?=\d)|/", " ", text)


def _part(text: str, zone: Zone) -> str:
    start = text.index(zone.start) + len(zone.start)
    end = text.index(zone.end, start) if zone.end else len(text)
    return text[start:end]


def _digits(text: str) -> set[str]:
    return {number.rstrip(",") for number in NUMBER.findall(text)}


def _printed(figure: Figure) -> list[str]:
    ends = [figure.interval.low, figure.interval.high] if figure.interval else []
    return [figure.printed, *ends]


def _place(paper: str, place: str) -> str:
    found = [zone for zone in ZONES[paper] if place.startswith(zone)]
    assert found, f"{paper}: no part of the text is known for {place!r}"
    return max(found, key=len)


def _held(paper: Paper, zone: str) -> set[str]:
    here = [figure for figure in paper.figures if _place(paper.name, figure.place) == zone]
    cells = [
        str(cell)
        for matrix in paper.matrices
        if _place(paper.name, matrix.place) == zone
        for cell in (matrix.tp, matrix.fp, matrix.fn, matrix.tn)
    ]
    return {digits for figure in here for digits in _printed(figure)} | set(cells)


@pytest.mark.parametrize("name", PAPERS)
def test_every_figure_stands_in_the_part_of_the_paper_that_its_place_names(name: str, shared_dir: Path) -> None:
    text = _text(name, shared_dir)
    for figure in PAPERS[name].figures:
        if not figure.published:
            continue
        part = _part(text, ZONES[name][_place(name, figure.place)])
        for digits in _printed(figure):
            known = (
                _digits(part)
                if digits[0].isdigit() and ":" not in digits
                else {digits} & {word.strip(".,") for word in part.split()}
            )
            assert digits in known, f"{figure.name}: {digits} is not in {figure.place}"


@pytest.mark.parametrize("name", PAPERS)
def test_every_cell_of_a_matrix_stands_in_its_table(name: str, shared_dir: Path) -> None:
    text = _text(name, shared_dir)
    for matrix in PAPERS[name].matrices:
        known = _digits(_part(text, ZONES[name][_place(name, matrix.place)]))
        assert {str(cell) for cell in (matrix.tp, matrix.fp, matrix.fn, matrix.tn)} <= known, matrix.name


@pytest.mark.parametrize(("name", "zone"), COMPLETE)
def test_no_number_of_a_table_or_a_results_section_is_left_out(name: str, zone: str, shared_dir: Path) -> None:
    part = ZONES[name][zone]
    held = set().union(*(_held(PAPERS[name], each) for each in (zone, *WITHIN.get((name, zone), ()))))
    missing = _digits(_part(_text(name, shared_dir), part)) - held - part.others
    assert not missing, f"{name}, {zone}: {sorted(missing)}"


def test_a_wrong_digit_would_show(shared_dir: Path) -> None:
    part = _part(_text("noh2021", shared_dir), ZONES["noh2021"]["Table 2"])
    assert "96.9" in _digits(part)
    assert not {"96.8", "6.9", "96"} & _digits(part)


def test_matrices_are_those_of_the_tables_row_for_row(shared_dir: Path) -> None:
    bressem = re.findall(
        r"nr-axSpA\t(\d+)\t(\d+)\t\d+\nModel predicts r-axSpA\t(\d+)\t(\d+)", _text("bressem2021", shared_dir)
    )
    preprint = re.findall(
        r"Model negative (\d+) (\d+) \d+ \n\s*Model positive (\d+) (\d+)", _text("poddubnyy2020", shared_dir)
    )
    for name, rows in (("bressem2021", bressem), ("poddubnyy2020", preprint)):
        held = [(matrix.tn, matrix.fn, matrix.fp, matrix.tp) for matrix in PAPERS[name].matrices]
        assert [tuple(map(int, row)) for row in rows] == held


def test_rows_of_dorfner_table_2_are_held_in_their_order(shared_dir: Path) -> None:
    part = _part(_text("dorfner2024", shared_dir), ZONES["dorfner2024"]["Table 2"])
    cells = re.findall(r"(\d\.\d+) \(95% CI: (\d\.\d+), (\d\.\d+)\)", part)
    held = [
        tuple(_printed(PAPERS["dorfner2024"].figure(f"{data} {model} {quantity}")))
        for data in ("GESPIC", "DAMACT", "OptiRef")
        for quantity in ("AUC", "balanced accuracy", "sensitivity", "specificity")
        for model in ("standard", "anatomy-aware")
    ]
    assert cells == held


def test_rows_of_fu_table_1_are_held_in_their_order(shared_dir: Path) -> None:
    part = _part(_text("fu2024", shared_dir), ZONES["fu2024"]["Table 1"])
    rows = re.findall(r"^(\S+)\t(\d+)%\t(\d+)%\t(\d+)%\t(\d+)%$", part, re.MULTILINE)
    assert len(rows) == 5
    for network, *cells in rows:
        quantities = ("accuracy", "AUC", "recall", "F1")
        assert cells == [PAPERS["fu2024"].figure(f"{network} {quantity}").printed for quantity in quantities]
