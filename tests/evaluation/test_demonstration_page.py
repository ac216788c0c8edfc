"""The demonstration's results page says what its data say, and the shipped bundle still answers as they do."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from edge_sacro.evaluation.document import Document, Measure, Part
from edge_sacro.evaluation.evaluate import Settings, evaluate
from edge_sacro.evaluation.predictions import predictions_from_csv
from edge_sacro.grades import is_definite
from edge_sacro.phantom import PhantomOptions, write_study
from edge_sacro.reference.statistics import clopper_pearson
from edge_sacro.runtime import Runtime
from edge_sacro.types import OperatingPoint
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "demonstration"
PAGE = FOLDER / "evaluation.md"
SEED, CUT_OFF = 960_000, 0.59
LOW, HIGH = {0, 1}, {3, 4}


@pytest.fixture(scope="module")
def part() -> Part:
    (images,) = Document.model_validate_json((FOLDER / "evaluation.json").read_text()).parts
    return images


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (FOLDER / "evaluation.csv").open() as file:
        return list(csv.DictReader(file))


def table_below(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, its own headings left out."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def told(measure: Measure) -> list[str]:
    ends = measure.intervals[0]
    counts = "" if measure.counts is None else f"{measure.counts[0]} of {measure.counts[1]}"
    value = "" if measure.value is None else f"{measure.value:.4f}"
    return [measure.quantity, value, counts, f"{ends.low:.3f} to {ends.high:.3f}, {ends.method}"]


def test_the_page_says_first_that_all_is_simulated() -> None:
    title, _, first = PAGE.read_text().splitlines()[:3]
    assert "simulated" in title
    assert first.startswith("**All radiographs here are simulated and show no patient. Not for clinical use.**")
    document = json.loads((FOLDER / "evaluation.json").read_text())
    assert document["simulated"] == "the radiographs are simulated and show no patient"
    assert document["bundle"]["demonstration"] is True


def test_every_figure_of_the_page_is_that_of_its_data(part: Part) -> None:
    assert table_below("Performance per image") == [told(measure) for measure in part.measures]


def test_the_kept_predictions_give_the_same_figures(part: Part) -> None:
    (model,) = predictions_from_csv(FOLDER / "evaluation.csv")
    (again,) = evaluate(model, Settings(point=OperatingPoint("t", CUT_OFF, "--threshold"))).parts
    assert [told(measure) for measure in again.measures] == [told(measure) for measure in part.measures]
    (other,) = evaluate(model, Settings(point=OperatingPoint("t", CUT_OFF + 0.05, "--threshold"))).parts
    assert told(other.measure("sensitivity")) != told(part.measure("sensitivity"))


def test_the_table_of_grades_is_counted_from_them(rows: list[dict[str, str]]) -> None:
    groups = [(LOW, LOW), (LOW, {2}), ({2}, {2}), (LOW, HIGH), ({2}, HIGH), (HIGH, HIGH)]
    expected = []
    for lower, upper in groups:
        images = []
        for row in rows:
            pair = sorted((int(row["left_grade"]), int(row["right_grade"])))
            if pair[0] in lower and pair[1] in upper:
                images.append((is_definite(*pair), float(row["score"]) > CUT_OFF))
        (truth,) = {definite for definite, _ in images}
        positive = sum(called for _, called in images)
        right = positive if truth else len(images) - positive
        low, high = clopper_pearson(right, len(images))
        share, ends = f"{right / len(images):.3f}", f"{low:.3f} to {high:.3f}"
        expected.append([str(len(images)), "positive" if truth else "negative", str(positive), share, ends])
    assert [cells[1:] for cells in table_below("Where the errors are")] == expected
    assert sum(int(cells[0]) for cells in expected) == len(rows) == 500


def test_states_and_lookalikes_are_counted_from_them(rows: list[dict[str, str]]) -> None:
    text = " ".join(PAGE.read_text().split())
    states = [row["state"] for row in rows]
    counts = (states.count(each) for each in ("positive", "negative", "borderline"))
    assert "{} positive, {} negative, {} borderline".format(*counts) in text
    for name, word in (("condensans", "osteitis condensans"), ("bone_island", "bone island"), ("", "neither")):
        images = [
            row for row in rows if row["truth"] == "0" and (name in row["lookalike"] if name else not row["lookalike"])
        ]
        right = sum(float(row["score"]) <= CUT_OFF for row in images)
        assert re.search(rf"{right / len(images):.3f} \({right} of {len(images)}\)[^(]*{word}", text)
    sure = [row for row in rows if row["state"] != "borderline"]
    for truth in "10":
        images = [row for row in sure if row["truth"] == truth]
        right = sum((float(row["score"]) > CUT_OFF) == (truth == "1") for row in images)
        assert f"{right / len(images):.3f} ({right} of {len(images)})" in text


def test_the_shipped_bundle_answers_as_it_did(rows: list[dict[str, str]], tmp_path: Path) -> None:
    write_study(tmp_path, 2, SEED, PhantomOptions())
    with Runtime(threads=1) as runtime:
        found = [runtime.infer(tmp_path / row["id"]) for row in rows[:2]]
    expected = [float(row["score"]) for row in rows[:2]]
    assert [result.probability for result in found] == pytest.approx(expected, abs=5e-4)
    assert [result.state.value for result in found] == [row["state"] for row in rows[:2]]
    assert expected != pytest.approx(expected[::-1], abs=5e-4)
