"""Predictions from CSV: what is read, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sacro.errors import UsageError
from edge_sacro.evaluation.predictions import Case, Predictions, csv_from_predictions, predictions_from_csv
from edge_sacro.grades import is_definite, is_sacroiliitis
from edge_sacro.types import Box
from tests.evaluation.drawn import write_csv


def _written(folder: Path, text: str) -> Path:
    path = folder / "p.csv"
    path.write_text(text)
    return path


def test_every_column_is_read(tmp_path: Path) -> None:
    text = (
        "\ufeffid, truth ,score,decision,group,side,box,truth_box,box_score,seen by\n"
        "a,1,0.75,1,p1,,,,,x\n"
        'a,0,0.25,0,p1,left,"[1, 2, 30, 40]",1 2 30 41,0.5,y\n'
        "b,0,,,,,,,,\n"
    )
    (found,) = predictions_from_csv(_written(tmp_path, text))
    assert found.name == "p"
    assert found.cases == (
        Case("a", None, "p1", True, 0.75, True),
        Case("a", "left", "p1", False, 0.25, False, Box(1, 2, 30, 40), Box(1, 2, 30, 41), 0.5),
        Case("b", None, "b", False, None),
    )
    assert [case.id for case in found.of_level(joints=False)] == ["a", "b"]
    assert [case.side for case in found.of_level(joints=True)] == ["left"]


def test_grades_are_judged_by_the_one_definition_of_the_criterion(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": f"{left}-{right}", "side": "", "score": 0.5, "grade": "", "left_grade": left, "right_grade": right}
        for left in range(5)
        for right in range(5)
    ]
    empty = {"score": 0.5, "left_grade": "", "right_grade": ""}
    rows += [{"id": f"joint-{grade}", "side": "right", "grade": grade, **empty} for grade in range(5)]
    (found,) = predictions_from_csv(write_csv(tmp_path / "g.csv", rows))
    for case, row in zip(found.cases, rows, strict=True):
        if case.side is None:
            assert case.truth == is_definite(int(str(row["left_grade"])), int(str(row["right_grade"])))
        else:
            assert case.truth == is_sacroiliitis(int(str(row["grade"])))
    images = found.of_level(joints=False)
    assert sum(case.truth for case in images) == 9 + 8, "both 2 or more; one 3 or more beside 0 or 1"
    assert {case.id: case.truth for case in images}["2-1"] is False, "negative control: grade 2 on one side"


def test_a_column_of_models_makes_several(tmp_path: Path) -> None:
    found = predictions_from_csv(_written(tmp_path, "model,id,truth,score\nA,x,1,0.5\nB,x,1,0.75\nA,y,0,0.25\n"))
    assert [(model.name, len(model.cases)) for model in found] == [("A", 2), ("B", 1)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    cases = (
        Case("a, b", None, "p", True, 0.1 + 0.2, False),
        Case("a, b", "right", "p", False, None, None, Box(1, 2, 3, 4), Box(5, 6, 7, 8), 0.25),
    )
    text = csv_from_predictions(Predictions('the "model"', "", cases))
    (found,) = predictions_from_csv(_written(tmp_path, text))
    assert (found.name, found.cases) == ('the "model"', cases)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("truth,score\n1,0.5\n", "'id' is missing"),
        ("id,truth\na,1\n", "'score' is missing"),
        ("id,score\na,1\n", "'truth' is missing"),
        ("id,truth,score,score\na,1,1,1\n", "'score' is there twice"),
        ("id,truth,score\n", "holds no case"),
        ("", "'id' is missing"),
        ("id,truth,score\na,1\n", "line 2: it has not the 3 fields"),
        ("id,truth,score\na,1,0.5,7\n", "line 2: it has not the 3 fields"),
        ("id,truth,score\na,yes,0.5\n", "line 2: truth is 'yes'"),
        ("id,truth,score\na,,0.5\n", "neither a truth nor"),
        ("id,truth,score\na,1,1.5\n", "score is '1.5'"),
        ("id,truth,score\na,1,nan\n", "score is 'nan'"),
        ("id,truth,score\n,1,0.5\n", "the id is empty"),
        ("id,truth,score\na,1,0.5\na,0,0.5\n", "line 3: the case 'a' is there twice"),
        ("id,truth,score,side\na,1,0.5,L\n", "side is 'L'"),
        ("id,truth,score,decision\na,1,0.5,2\n", "decision is '2'"),
        ("id,score,left_grade,right_grade\na,0.5,2,5\n", "right_grade is '5'"),
        ("id,score,left_grade,right_grade\na,0.5,2,\n", "neither a truth nor"),
        ("id,truth,score,left_grade,right_grade\na,1,0.5,2,1\n", "the grades [2, 1] make it 0"),
        ("id,truth,score,side,box\na,1,0.5,left,1 2 3\n", "box is '1 2 3'"),
        ("id,truth,score,side,box\na,1,0.5,left,9 2 3 4\n", "box is '9 2 3 4'"),
        ('id,truth,score\n"a,1,0.5\n', "it is no CSV"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        predictions_from_csv(_written(tmp_path, text))
    assert words in str(refused.value)
    assert str(tmp_path / "p.csv") in str(refused.value.source)
    assert refused.value.remedy != UsageError.default_remedy


def test_a_file_that_is_absent_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        predictions_from_csv(tmp_path / "none.csv")
    (tmp_path / "p.csv").write_bytes(b"id,truth,score\n\xff\n")
    with pytest.raises(UsageError, match="no UTF-8 text"):
        predictions_from_csv(tmp_path / "p.csv")
