"""A file of scores is read as the runtime would decide on it, or refused with the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.operating_points import Options, choose
from calibration.scores import STEPS, scores_from_arrays, scores_from_csv
from edge_sacro.decide import state_from_probability
from edge_sacro.errors import CalibrationRefused, UsageError
from edge_sacro.types import OperatingPoint, State

QUICK = Options(repeats=5, resamples=100)


def test_an_image_is_called_here_as_the_runtime_calls_it() -> None:
    random = np.random.default_rng(5)
    probabilities = [*random.random(400), 0.59, 0.5901, 0.59005, 0.59004999, 0.59006, 0.58995]
    scores = scores_from_arrays([True, False] * 203, probabilities)
    for threshold in (0.59, 0.5901, 0.1234):
        point = OperatingPoint("any", threshold, "test")
        states = [state_from_probability(float(each), point, 0.0) is State.POSITIVE for each in probabilities]
        assert states == list(scores.steps > round(threshold * STEPS))


GOOD = "truth,score\n" + "1,0.8\n0,0.2\n" * 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 'truth' is missing"),
        ("truth\n1\n", "column 'score' is missing"),
        ("truth,score,score\n1,0.5,0.5\n", "column 'score' is there twice"),
        (GOOD + "1\n", "line 42: it has not the 2 fields"),
        (GOOD + "1,0.5,7\n", "line 42: it has not the 2 fields"),
        (GOOD + "2,0.5\n", "line 42: truth is '2'"),
        (GOOD + "yes,0.5\n", "line 42: truth is 'yes'"),
        (GOOD + ",0.5\n", "line 42: truth is ''"),
        (GOOD + "1,nan\n", "line 42: score is 'nan'"),
        (GOOD + "1,\n", "line 42: score is ''"),
        (GOOD + "1,inf\n", "line 42: score is 'inf'"),
        (GOOD + "1,1.01\n", "line 42: score is '1.01'"),
        (GOOD + "1,-0.1\n", "line 42: score is '-0.1'"),
        (GOOD + '1,"0.5\n', "line 4.: it is no CSV"),
        ("truth,score,group\n1,0.5,\n", "line 2: the patient's name is empty"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        scores_from_csv(tmp_path / "a.csv")


def test_too_few_images_one_class_equal_scores_and_too_few_patients_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text, message in (
        ("truth,score\n", "0 images are positive"),
        ("truth,score\n" + "1,0.8\n" * 30, "0 images are negative, and 20"),
        ("truth,score\n" + "1,0.8\n0,0.2\n" * 19, "19 images are positive, and 20"),
    ):
        path.write_text(text)
        with pytest.raises(CalibrationRefused, match=message):
            scores_from_csv(path)
    path.write_text("truth,score\n" + "1,0.5\n0,0.5\n" * 20)
    with pytest.raises(CalibrationRefused, match="all scores are the same"):
        choose(scores_from_csv(path), QUICK)
    path.write_text("truth,score,group\n" + "1,0.8,a\n0,0.2,b\n" * 20)
    with pytest.raises(CalibrationRefused, match="1 patients have positive images, and 10 folds"):
        choose(scores_from_csv(path), QUICK)
    for options in ({"weight": 0.5}, {"weight": 1.0}, {"folds": 1}, {"repeats": 0}, {"resamples": 1}, {"seed": -1}):
        with pytest.raises(UsageError):
            Options(**options)  # type: ignore[arg-type]


def test_other_columns_a_byte_order_mark_and_both_names_of_a_patient_are_read(tmp_path: Path) -> None:
    rows = "".join(f"x,{number % 2},0.{number:03d},i{number},g{number // 2}\n" for number in range(1, 61))
    (tmp_path / "a.csv").write_text("site,truth, score,id,group\n" + rows, encoding="utf-8-sig")
    scores = scores_from_csv(tmp_path / "a.csv")
    assert len(scores.steps) == 60
    assert scores.patient_count == 31
    assert scores.steps[4] == 50
