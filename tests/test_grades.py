"""The modified New York criterion, forward and back, and that nothing else defines it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_sacro import grades
from edge_sacro.cli import main
from edge_sacro.errors import UsageError
from tests.conftest import ROOT

# van der Linden 1984, row: left grade, column: right grade
DEFINITE = (
    (0, 0, 0, 1, 1),
    (0, 0, 0, 1, 1),
    (0, 0, 1, 1, 1),
    (1, 1, 1, 1, 1),
    (1, 1, 1, 1, 1),
)
PAIRS = [(left, right) for left in range(5) for right in range(5)]


def _grade(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["grade", *arguments])


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_two_grades_meet_the_criterion_as_published(left: int, right: int) -> None:
    verdict = grades.verdict_from_grades(left, right)
    assert grades.is_definite(left, right) is verdict.definite is bool(DEFINITE[left][right])
    assert verdict.grounds.startswith("neither") is not verdict.definite
    assert (verdict.left_sacroiliitis, verdict.right_sacroiliitis) == (left >= 2, right >= 2)


def test_grounds_tell_which_part_of_the_criterion_is_met() -> None:
    assert grades.verdict_from_grades(2, 2).grounds == "grade 2 or more on both sides"
    assert grades.verdict_from_grades(0, 3).grounds == "grade 3 or more on one side"
    assert grades.verdict_from_grades(2, 4).grounds == "grade 2 or more on both sides and grade 3 or more on one side"


@pytest.mark.parametrize("definite", [True, False])
def test_the_way_back_gives_every_pair_of_a_verdict_and_no_other(definite: bool) -> None:
    back = grades.pairs_from_verdict(definite)
    assert set(back) == {pair for pair in PAIRS if bool(DEFINITE[pair[0]][pair[1]]) is definite}
    assert all(grades.is_definite(*pair) is definite for pair in back)
    assert len(set(back)) == len(back)


@pytest.mark.parametrize("wrong", [-1, 5])
def test_a_grade_that_does_not_exist_is_refused(wrong: int) -> None:
    for call in (grades.meaning_from_grade, grades.is_sacroiliitis, lambda grade: grades.is_definite(0, grade)):
        with pytest.raises(UsageError, match=f"no grade {wrong}"):
            call(wrong)


def test_the_command_tells_verdict_grounds_and_each_joint() -> None:
    done = _grade("1", "3")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "definite radiographic sacroiliitis: grade 3 or more on one side"
    assert "left joint: grade 1, suspicious changes; no sacroiliitis by Noh 2021" in done.stdout
    assert _grade("2", "1").stdout.startswith("no definite radiographic sacroiliitis: neither")


def test_the_command_answers_programs() -> None:
    assert json.loads(_grade("--json", "2", "2").stdout)["definite"] is True
    back = json.loads(_grade("--json", "--back", "not-definite").stdout)
    assert [tuple(pair) for pair in back["left_right"]] == list(grades.pairs_from_verdict(False))
    assert json.loads(_grade("--json", "--meaning", "4").stdout) == {"grade": 4, "meaning": "total ankylosis"}


def test_the_command_tells_a_meaning_and_the_way_back_in_words() -> None:
    assert _grade("--meaning", "4").stdout == "4: total ankylosis\n"
    assert "17 pairs of grades" in _grade("--back", "definite").stdout


@pytest.mark.parametrize(
    "arguments", [[], ["1"], ["1", "2", "3"], ["1", "5"], ["1", "2", "--meaning", "3"], ["--back", "maybe"]]
)
def test_what_cannot_be_meant_ends_with_the_usage_code(arguments: list[str]) -> None:
    assert _grade(*arguments).exit_code == 2


@pytest.mark.parametrize("folder", ["edge_sacro", "export", "calibration", "engines", "bench"])
def test_no_other_file_defines_the_criterion(folder: str) -> None:
    def defines(path: Path) -> bool:
        text = path.read_text(encoding="utf-8")
        return ">= 2" in text and ">= 3" in text and "grade" in text

    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py") if defines(path)}
    assert found == ({"edge_sacro/grades.py"} if folder == "edge_sacro" else set())
