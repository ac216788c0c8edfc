"""Result -> Comprehensive 3D SR, TID 1500 (PS3.16): a measurement group for each joint, and one for the image.

A joint with a box is a planar region on the source image (TID 1410); one without is a group all the same (TID 1501),
``Undetermined``, with the reason. Sacroiliitis stands as a question that is answered present, absent or undetermined,
and never as the finding of a group, which a display would take for asserted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from edge_sacro.objects import codes
from edge_sacro.objects.answer import Answered, Making
from edge_sacro.objects.frame import (
    MANUFACTURER,
    common_arguments,
    device_name,
    finished,
    source_reference,
    statement,
)
from edge_sacro.objects.identity import ascii_from_text
from edge_sacro.objects.uids import device_uid, tracking_uid
from edge_sacro.report import Joint, Result
from edge_sacro.types import Side, State

_TITLE_OF_SIDE: dict[Side, str] = {"left": "Left sacroiliac joint", "right": "Right sacroiliac joint"}
BOTH = "Both sacroiliac joints"
_TEXT = 1024


def sr_from_answer(answered: Answered, making: Making) -> Dataset:
    """The structured report of one image; there is one for every answer, a refusal too."""
    from highdicom import sr

    result = answered.result
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(answered, making)),
        procedure_reported=codes.COMPUTED_TOMOGRAPHY
        if source_reference(answered).Modality == "CT"
        else codes.PLAIN_RADIOGRAPHY,
        imaging_measurements=[
            _joint_group(answered, making, "right", result.joints.right),
            _joint_group(answered, making, "left", result.joints.left),
            _image_group(answered, making),
        ],
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(codes.ENGLISH),
    )
    root = report[0]
    # Before the measurements, where a reader begins.
    root.ContentSequence.insert(1, _comment(statement(making)))
    dataset = sr.Comprehensive3DSR(
        evidence=[source_reference(answered)],
        content=root,
        is_complete=True,
        is_final=False,
        **common_arguments(answered, making, "sr"),
    )
    dataset.CodingSchemeIdentificationSequence = [codes.coding_scheme()]
    return finished(dataset, answered, making, "sr")


def _observer(answered: Answered, making: Making) -> Any:
    from highdicom import sr

    attributes = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(answered, making),
        name=device_name(making),
        manufacturer_name=MANUFACTURER,
        model_name=ascii_from_text(f"Edge-Sacro {answered.result.system}"),
        serial_number=making.bundle.fingerprint,
    )
    return sr.ObserverContext(codes.DEVICE_OBSERVER, attributes)


def _joint_group(answered: Answered, making: Making, side: Side, joint: Joint) -> Any:
    from highdicom import sr

    source = source_reference(answered)
    measurements = [] if joint.probability is None else [_percent(codes.CERTAINTY, joint.probability)]
    evaluations = _evaluations(joint.state)
    if joint.state in codes.GRADE_OF_CLASS:
        evaluations.append(sr.QualitativeEvaluation(codes.GRADE, codes.GRADE_OF_CLASS[joint.state]))
    arguments: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(tracking_uid(answered, side), _TITLE_OF_SIDE[side]),
        "algorithm_id": _algorithm(answered.result, making),
        "finding_sites": [sr.FindingSite(codes.SACROILIAC_JOINT, codes.LATERALITY[side])],
        "measurements": measurements or None,
        "qualitative_evaluations": evaluations,
    }
    if joint.box_px is None:
        reference = sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)
        group = sr.MeasurementsAndQualitativeEvaluations(source_images=[reference], **arguments)
    else:
        x0, y0, x1, y1 = joint.box_px
        region = sr.ImageRegion(
            sr.GraphicTypeValues.POLYLINE,
            np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], np.float64),
            sr.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID),
        )
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **arguments)
    if joint.reason is not None:
        group[0].ContentSequence.append(_comment(joint.reason))
    return group


def _image_group(answered: Answered, making: Making) -> Any:
    """The answer that the image has as a whole, with everything that a reader must know of it."""
    from highdicom import sr

    result, source = answered.result, source_reference(answered)
    measurements = [_percent(codes.CUT_OFF, result.operating_point.threshold)]
    if result.probability is not None:
        measurements.insert(0, _percent(codes.CERTAINTY, result.probability))
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(tracking_uid(answered, "both"), BOTH),
        algorithm_id=_algorithm(result, making),
        finding_sites=[sr.FindingSite(codes.SACROILIAC_JOINT, codes.BOTH_SIDES)],
        measurements=measurements,
        qualitative_evaluations=_evaluations(result.state),
        source_images=[sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
    )
    code = "" if result.reason_code is None else f" [{result.reason_code}]"
    said = [f"{result.reason}{code}", *([] if result.remedy is None else [result.remedy])]
    for text in (*said, *(f"Note: {note}" for note in result.notes)):
        group[0].ContentSequence.append(_comment(text))
    return group


def _evaluations(state: State) -> list[Any]:
    from highdicom import sr

    answer = sr.QualitativeEvaluation(codes.ANSWER, codes.ANSWERS[state])
    if state not in codes.PRESENCE:
        return [answer]
    return [sr.QualitativeEvaluation(codes.SACROILIITIS, codes.PRESENCE[state]), answer]


def _percent(name: Any, share: float) -> Any:
    from highdicom import sr

    # The answer's own decimals: 0.59 is 59, and not 58.99999999999999.
    return sr.Measurement(name, round(share * 100, 9), codes.PERCENT)


def _algorithm(result: Result, making: Making) -> Any:
    from highdicom import sr

    point = result.operating_point
    parameters = [
        f"bundle: {making.bundle.name} {making.bundle.version}",
        f"bundle fingerprint: SHA-256 {making.bundle.fingerprint}",
        f"operating point: {point.name}, positive above {point.threshold}, {point.source}",
        f"precision: {result.backend.precision}",
        f"backend: {result.backend.name} {result.backend.version}",
        "statement: " + statement(making),
    ]
    return sr.AlgorithmIdentification(
        name=ascii_from_text(f"Edge-Sacro {result.system}"),
        version=ascii_from_text(f"{making.bundle.name} {making.bundle.version}"),
        parameters=[ascii_from_text(each, _TEXT) for each in parameters],
        family=codes.ARTIFICIAL_INTELLIGENCE,
        manufacturer=MANUFACTURER,
    )


def _comment(text: str) -> Any:
    from highdicom import sr

    return sr.TextContentItem(codes.COMMENT, ascii_from_text(text, _TEXT), sr.RelationshipTypeValues.CONTAINS)
