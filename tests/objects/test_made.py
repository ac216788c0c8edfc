"""One outcome for each kind: an object, or why there is none; and what is exported."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

import edge_sacro.objects
from edge_sacro.errors import OutputNotWritten, UsageError
from edge_sacro.objects import KINDS, Answered, Kind, Making, NoObject, ResultObject, result_objects, write_object
from edge_sacro.runtime import Runtime
from tests.conftest import ROOT
from tests.objects.answers import answered_from_bytes, with_result
from tests.objects.tools import complaints
from tests.systems.bundles import write_detector_bundle
from tests.tiny import write_standard_bundle

EXPORTED = [
    *("KINDS", "Answered", "Kind", "Making", "NoObject", "Outcome", "ResultObject", "check_objects"),
    *("bytes_from_object", "header_from_bytes", "result_objects", "series_report", "write_object"),
]


def test_exported_names_are_pinned() -> None:
    assert sorted(edge_sacro.objects.__all__) == sorted(EXPORTED)
    assert all(hasattr(edge_sacro.objects, name) for name in EXPORTED)


def test_the_maker_is_loaded_when_an_object_is_made_and_not_before() -> None:
    code = "import sys, edge_sacro.objects, edge_sacro.cli; print('highdicom' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_outcomes_come_in_one_order_whatever_is_asked_first(drawn: Answered, making: Making) -> None:
    kinds: list[Kind] = ["sc", "sr"]
    assert [made.kind for made in result_objects(drawn, making, kinds)] == ["sr", "sc"]
    assert result_objects(drawn, making, []) == []


def test_a_kind_that_does_not_exist_is_refused(drawn: Answered, making: Making) -> None:
    with pytest.raises(UsageError, match="'pdf'"):
        result_objects(drawn, making, cast("Any", ["pdf"]))


def test_a_header_that_cannot_be_copied_is_told_for_each_kind(drawn: Answered, making: Making) -> None:
    header = copy.deepcopy(drawn.header)
    tag = Tag("PregnancyStatus")
    header[tag] = RawDataElement(tag, "US", 3, b"abc", 0, True, True)
    outcomes = result_objects(replace(drawn, header=header), making)
    assert [outcome.kind for outcome in outcomes] == list(KINDS)
    for outcome in outcomes:
        assert isinstance(outcome, NoObject)
        assert outcome.failed
        assert "BytesLengthException" in outcome.reason
    assert all(isinstance(each, ResultObject) for each in result_objects(drawn, making)), "negative control"


def test_one_frame_among_several_is_reported_with_its_series(drawn: Answered, making: Making) -> None:
    source = {**drawn.result.source.model_dump(), "frame": 2}
    outcomes = result_objects(with_result(drawn, source=source), making)
    assert [outcome.kind for outcome in outcomes] == list(KINDS)
    assert not any(isinstance(outcome, ResultObject) or outcome.failed for outcome in outcomes)


def test_a_file_that_cannot_be_written_leaves_nothing(drawn: Answered, making: Making, tmp_path: Path) -> None:
    (made,) = result_objects(drawn, making, ["sr"])
    assert isinstance(made, ResultObject)
    with pytest.raises(OutputNotWritten):
        write_object(made, tmp_path / "absent")
    path, new = write_object(made, tmp_path)
    assert (path.read_bytes(), new) == (made.content, True)
    assert write_object(made, tmp_path) == (path, False)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [write_standard_bundle, write_detector_bundle])
def test_systems_that_segment_nothing_have_all_the_others(
    write: Callable[[Path], Path], drawn_bytes: bytes, making: Making, tmp_path: Path
) -> None:
    with Runtime(write(tmp_path / "bundle"), threads=1) as runtime:
        answered = answered_from_bytes(runtime, drawn_bytes)
    outcomes = result_objects(answered, making)
    assert NoObject("seg", "nothing was segmented") in outcomes
    made = [outcome for outcome in outcomes if isinstance(outcome, ResultObject)]
    assert [each.kind for each in made] == ["sr", "pr", "sc"]
    for each in made:
        path, _ = write_object(each, tmp_path)
        assert complaints(path) == []
