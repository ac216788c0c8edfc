"""A retry is a duplicate, byte for byte; an answer that is another one has another UID."""

from __future__ import annotations

import copy
import datetime as dt
import io
from dataclasses import replace
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from edge_sacro.objects import KINDS, Answered, Making
from edge_sacro.report import Result
from tests.objects.answers import BUNDLE, MOMENT, bytes_by_kind, objects_by_kind, with_result


def uids(answered: Answered, making: Making) -> dict[str, str]:
    return {kind: str(dataset.SOPInstanceUID) for kind, dataset in objects_by_kind(answered, making).items()}


def series(answered: Answered, making: Making) -> dict[str, str]:
    return {kind: str(dataset.SeriesInstanceUID) for kind, dataset in objects_by_kind(answered, making).items()}


def changed(answered: Answered, **parts: dict[str, Any]) -> Answered:
    """The same image with values of parts of its answer replaced."""
    fields = answered.result.model_dump()
    for part, values in parts.items():
        fields[part] = {**fields[part], **values}
    return replace(answered, result=Result.model_validate(fields))


def with_header(answered: Answered, **attributes: str) -> Answered:
    header = copy.deepcopy(answered.header)
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return replace(answered, header=header)


def test_a_retry_is_byte_for_byte_the_same(answered: Answered, making: Making) -> None:
    first, second = bytes_by_kind(answered, making), bytes_by_kind(copy.deepcopy(answered), copy.deepcopy(making))
    assert sorted(first) == sorted(KINDS)
    assert first == second


def test_what_the_answer_does_not_depend_on_changes_no_byte(answered: Answered, making: Making) -> None:
    moved = changed(
        answered,
        source={"path": "elsewhere.dcm"},
        timings_ms={"read": 1.0},
        backend={"processor": "another machine"},
    )
    assert bytes_by_kind(moved, making) == bytes_by_kind(answered, making)


def test_a_later_retry_has_the_same_uids_and_says_when_it_was_made(answered: Answered, making: Making) -> None:
    later = replace(making, moment=MOMENT + dt.timedelta(days=1))
    assert uids(answered, later) == uids(answered, making)
    report = objects_by_kind(answered, later)["sr"]
    assert (report.ContentDate, report.ContentTime) == ("20260305", "050607")


def test_times_are_in_the_zone_that_the_source_names(answered: Answered, making: Making) -> None:
    for offset, date, time in (("+0930", "20260304", "143607"), ("-0600", "20260303", "230607")):
        report = objects_by_kind(with_header(answered, TimezoneOffsetFromUTC=offset), making)["sr"]
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
    answered: Answered, making: Making, change: dict[str, Any]
) -> None:
    other = changed(answered, **change)
    assert not set(uids(other, making).values()) & set(uids(answered, making).values())
    assert not set(series(other, making).values()) & set(series(answered, making).values())


def test_another_bundle_has_other_uids_and_series(answered: Answered, making: Making) -> None:
    other = replace(making, bundle=BUNDLE)
    assert not set(uids(answered, other).values()) & set(uids(answered, making).values())
    assert not set(series(answered, other).values()) & set(series(answered, making).values())


def test_another_answer_is_another_object_of_the_same_series(answered: Answered, making: Making) -> None:
    other = with_result(answered, probability=0.5)
    assert not set(uids(other, making).values()) & set(uids(answered, making).values())
    assert series(other, making) == series(answered, making)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "PatientID", "StudyInstanceUID"])
def test_another_image_patient_or_study_has_other_uids(answered: Answered, making: Making, keyword: str) -> None:
    other = with_header(answered, **{keyword: "1.2.3.4"})
    assert not set(uids(other, making).values()) & set(uids(answered, making).values())


def test_the_same_image_in_another_file_has_the_same_uids(answered: Answered, making: Making) -> None:
    assert uids(changed(answered, source={"sha256": "0" * 64}), making) == uids(answered, making)


def drawn_uids(dataset: Dataset) -> set[str]:
    """Every UID that begins as one derived from a UUID."""
    return {str(e.value) for e in dataset.iterall() if e.VR == "UI" and str(e.value).startswith("2.25.")}


def test_no_uid_is_drawn_at_random_and_none_of_the_source_names_the_result(answered: Answered, making: Making) -> None:
    header = answered.header
    for kind, content in bytes_by_kind(answered, making).items():
        dataset = pydicom.dcmread(io.BytesIO(content))
        assert drawn_uids(dataset) == drawn_uids(pydicom.dcmread(io.BytesIO(bytes_by_kind(answered, making)[kind])))
        assert len(dataset.SOPInstanceUID) <= 64
        assert dataset.SOPInstanceUID != header.SOPInstanceUID
        assert dataset.SeriesInstanceUID != header.SeriesInstanceUID
        assert dataset.StudyInstanceUID == header.StudyInstanceUID
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    everything = [*uids(answered, making).values(), *series(answered, making).values()]
    assert len(set(everything)) == 2 * len(KINDS)
