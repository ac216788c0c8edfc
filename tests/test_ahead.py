"""Reading ahead: the same answers in the same order, one instance ahead and no more, and no error out of its place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sacro.ahead import one_ahead
from edge_sacro.runtime import Runtime
from edge_sacro.types import State
from tests.tiny import without_timings, write_bundle, write_dicom


def test_answers_are_those_of_one_after_the_other(tmp_path: Path) -> None:
    files = [write_dicom(tmp_path / "a.dcm"), tmp_path / "missing.dcm", write_dicom(tmp_path / "b.dcm")]
    files.append(write_dicom(tmp_path / "chest.dcm", BodyPartExamined="CHEST"))
    with Runtime(str(write_bundle(tmp_path / "bundle")), threads=1) as runtime:
        one_by_one = [runtime.infer(file) for file in files]
        ahead = [runtime.infer(source) for source in runtime.read_ahead(files)]
    assert [without_timings(each) for each in ahead] == [without_timings(each) for each in one_by_one]
    assert [each.state for each in ahead].count(State.REFUSED) == 2
    assert [each.source.path for each in ahead] == [str(file) for file in files]
    for each in ahead:
        assert 0 < each.timings_ms["read"] <= each.timings_ms["total"]


def test_time_spent_on_reading_counts_against_the_deadline(tmp_path: Path) -> None:
    file = write_dicom(tmp_path / "a.dcm")
    with Runtime(str(write_bundle(tmp_path / "bundle")), threads=1, deadline_s=1e-6) as hurried:
        (result,) = (hurried.infer(source) for source in hurried.read_ahead([file]))
    assert result.reason_code == "deadline_exceeded"


def test_the_next_is_made_while_one_is_used_and_never_two() -> None:
    made: list[int] = []
    second = threading.Event()

    def make(number: int) -> int:
        made.append(number)
        if number == 1:
            second.set()
        return number

    stream: Iterator[int] = one_ahead(make, range(5))
    assert next(stream) == 0
    assert second.wait(10), "nothing was made ahead"
    assert made == [0, 1]
    assert list(stream) == [1, 2, 3, 4]
    assert list(one_ahead(make, [])) == []


def test_an_error_is_raised_in_its_items_place() -> None:
    def make(number: int) -> int:
        if number == 2:
            raise ValueError(number)
        return number

    stream = one_ahead(make, range(4))
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(ValueError, match="2"):
        next(stream)
