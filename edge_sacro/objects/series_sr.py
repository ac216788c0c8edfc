"""The answer to a CT series -> one Comprehensive 3D SR (PS3.16 TID 1500) that refers to the slices that it counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset

from edge_sacro import __version__
from edge_sacro.objects import codes
from edge_sacro.objects.answer import Answered, Making
from edge_sacro.objects.frame import common_arguments, finished, source_reference
from edge_sacro.objects.identity import identity_from_header, source_uid
from edge_sacro.objects.sr import BOTH
from edge_sacro.objects.sr_parts import algorithm, comment, document, evaluations, percent, reason_texts
from edge_sacro.objects.uids import digest_from_elements, uid_from_parts
from edge_sacro.report import Series


def sr_from_series(series: Series, slices: Sequence[Answered], making: Making) -> Dataset:
    """The structured report of one CT series; there is one for every answer, a refusal too.

    Args:
        series: the answer.
        slices: the images that it counts; where it counts none, any of the series.
        making: the bundle, and the moment.
    """
    first = slices[0]
    references = _references(slices)
    arguments = common_arguments(first, making, "sr")
    arguments.update(sop_instance_uid=_instance_uid(series, slices, making), instance_number=1)
    group = _series_group(series, slices, making)
    return finished(document(first, making, references, [group], arguments), first, making, "sr")


def _references(slices: Sequence[Answered]) -> list[Dataset]:
    """Each object once, however many of its frames are slices."""
    found = {source_uid(each.header, "SOPInstanceUID"): each for each in slices}
    return [source_reference(each) for each in found.values()]


def _series_group(series: Series, slices: Sequence[Answered], making: Making) -> Any:
    from highdicom import sr

    measurements = [percent(codes.CUT_OFF, series.operating_point.threshold)]
    if series.probability is not None:
        measurements.insert(0, percent(codes.CERTAINTY, series.probability))
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid_from_parts("tracking", series.series_instance_uid, "both"), f"{BOTH}, whole series"
        ),
        algorithm_id=algorithm(slices[0].result, making),
        finding_sites=[sr.FindingSite(codes.SACROILIAC_JOINT, codes.BOTH_SIDES)],
        measurements=measurements,
        qualitative_evaluations=evaluations(series.state),
        source_images=_source_images(slices),
    )
    counted = (
        f"{len(series.selected)} of {len(series.slices)} slices count: {series.positive} positive, "
        f"{series.borderline} borderline, {series.negative} negative, {series.not_assessable} not assessable"
    )
    texts = reason_texts(series.reason, series.reason_code, series.remedy, [counted, *series.notes])
    for text in texts:
        group[0].ContentSequence.append(comment(text))
    return group


def _source_images(slices: Sequence[Answered]) -> list[Any]:
    from highdicom import sr

    frames: dict[tuple[str, str], list[int]] = {}
    for each in slices:
        key = source_uid(each.header, "SOPClassUID"), source_uid(each.header, "SOPInstanceUID")
        numbers = frames.setdefault(key, [])
        if each.result.source.frame is not None:
            numbers.append(each.result.source.frame)
    return [
        sr.SourceImageForMeasurementGroup(class_uid, uid, referenced_frame_numbers=numbers or None)
        for (class_uid, uid), numbers in frames.items()
    ]


def _instance_uid(series: Series, slices: Sequence[Answered], making: Making) -> str:
    """As an image's object has it: from all that the report says, save the moment."""
    sources = [[source_uid(each.header, "SOPInstanceUID"), each.result.source.frame] for each in slices]
    backend = slices[0].result.backend.model_dump(exclude={"processor"})
    return uid_from_parts(
        "series report",
        json.dumps(sources),
        digest_from_elements(identity_from_header(slices[0].header)),
        making.bundle.fingerprint,
        __version__,
        json.dumps(series.model_dump(mode="json"), sort_keys=True),
        json.dumps(backend, sort_keys=True),
    )
