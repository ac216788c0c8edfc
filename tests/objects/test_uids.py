"""A retry is a duplicate, byte for byte; an answer that is another one has another UID."""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from edge_sacro.objects import KINDS, Answered, Making
from edge_sacro.objects.uids import instance_uid, series_uid
from edge_sacro.report import Result
from tests.objects.answers import BUNDLE, MOMENT, bytes_by_kind, objects_by_kind, with_result


def uids(drawn: Answered, making: Making) -> dict[str, str]:
    return {kind: instance_uid(drawn, making, kind) for kind in KINDS}


def series(drawn: Answered, making: Making) -> dict[str, str]:
    return {kind: series_uid(drawn, making, kind) for kind in KINDS}


def changed(drawn: Answered, **parts: dict[str, Any]) -> Answered:
    """The same image with values of parts of its answer replaced."""
    fields = drawn.result.model_dump()
    for part, values in parts.items():
        fields[part] = {**fields[part], **values}
    return replace(drawn, result=Result.model_validate(fields))


def with_header(drawn: Answered, **attributes: str) -> Answered:
    header = copy.deepcopy(drawn.header)
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return replace(drawn, header=header)


def test_a_retry_is_byte_for_byte_the_same(drawn: Answered, making: Making) -> None:
    first, second = bytes_by_kind(drawn, making), bytes_by_kind(copy.deepcopy(drawn), copy.deepcopy(making))
    assert sorted(first) == sorted(KINDS)
    assert first == second


def test_what_the_answer_does_not_depend_on_changes_no_byte(drawn: Answered, making: Making) -> None:
    moved = changed(
        drawn,
        source={"path": "elsewhere.dcm"},
        timings_ms={"read": 1.0},
        backend={"processor": "another machine"},
    )
    assert bytes_by_kind(moved, making) == bytes_by_kind(drawn, making)


def test_a_later_retry_has_the_same_uids_and_says_when_it_was_made(drawn: Answered, making: Making) -> None:
    later = replace(making, moment=MOMENT + dt.timedelta(days=1))
    assert uids(drawn, later) == uids(drawn, making)
    report = objects_by_kind(drawn, later)["sr"]
    assert (report.ContentDate, report.ContentTime) == ("20260305", "050607")


def test_times_are_in_the_zone_that_the_source_names(drawn: Answered, making: Making) -> None:
    for offset, date, time in (("+0930", "20260304", "143607"), ("-0600", "20260303", "230607")):
        report = objects_by_kind(with_header(drawn, TimezoneOffsetFromUTC=offset), making)["sr"]
        assert (report.TimezoneOffsetFromUTC, report.ContentDate, report.ContentTime) == (offset, date, time)


@pytest.mark.parametrize(
    "change",
    [
        {"operating_point": {"name": "sensitivity", "threshold": 0.475}},
        {"backend": {"precision": "int8"}},
        {"backend": {"name": "openvino"}},
    ],
)
def test_another_configuration_has_other_uids_and_series(
    drawn: Answered, making: Making, change: dict[str, Any]
) -> None:
    other = changed(drawn, **change)
    assert not set(uids(other, making).values()) & set(uids(drawn, making).values())
    assert not set(series(other, making).values()) & set(series(drawn, making).values())


def test_another_bundle_has_other_uids_and_series(drawn: Answered, making: Making) -> None:
    other = replace(making, bundle=BUNDLE)
    assert not set(uids(drawn, other).values()) & set(uids(drawn, making).values())
    assert not set(series(drawn, other).values()) & set(series(drawn, making).values())


def test_another_answer_is_another_object_of_the_same_series(drawn: Answered, making: Making) -> None:
    other = with_result(drawn, probability=0.5)
    assert not set(uids(other, making).values()) & set(uids(drawn, making).values())
    assert series(other, making) == series(drawn, making)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "PatientID", "StudyInstanceUID"])
def test_another_image_patient_or_study_has_other_uids(drawn: Answered, making: Making, keyword: str) -> None:
    other = with_header(drawn, **{keyword: "1.2.3.4"})
    assert not set(uids(other, making).values()) & set(uids(drawn, making).values())


def test_the_same_image_in_another_file_has_the_same_uids(drawn: Answered, making: Making) -> None:
    assert uids(changed(drawn, source={"sha256": "0" * 64}), making) == uids(drawn, making)


def test_objects_bear_these_uids_and_none_of_the_source_names_them(drawn: Answered, making: Making) -> None:
    header, made = drawn.header, objects_by_kind(drawn, making)
    assert {kind: dataset.SOPInstanceUID for kind, dataset in made.items()} == uids(drawn, making)
    assert {kind: dataset.SeriesInstanceUID for kind, dataset in made.items()} == series(drawn, making)
    for dataset in made.values():
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert dataset.StudyInstanceUID == header.StudyInstanceUID
    everything = [*uids(drawn, making).values(), *series(drawn, making).values()]
    assert len(set(everything)) == 2 * len(KINDS)
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in everything)
    assert not set(everything) & {header.SOPInstanceUID, header.SeriesInstanceUID, header.StudyInstanceUID}
