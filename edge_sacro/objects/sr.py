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
from edge_sacro.objects.frame import common_arguments, finished, source_reference
from edge_sacro.objects.sr_parts import algorithm, comment, document, evaluations, percent, reason_texts
from edge_sacro.objects.uids import tracking_uid
from edge_sacro.report import Joint
from edge_sacro.types import Side, State

TITLES: dict[Side, str] = {"left": "Left sacroiliac joint", "right": "Right sacroiliac joint"}
BOTH = "Both sacroiliac joints"


def sr_from_answer(answered: Answered, making: Making) -> Dataset:
    """The structured report of one image; there is one for every answer, a refusal too."""
    joints = answered.result.joints
    groups = [
        _image_group(answered, making),
        _joint_group(answered, making, "right", joints.right),
        _joint_group(answered, making, "left", joints.left),
    ]
    arguments = common_arguments(answered, making, "sr")
    dataset = document(answered, making, [source_reference(answered)], groups, arguments)
    return finished(dataset, answered, making, "sr")


def _joint_group(answered: Answered, making: Making, side: Side, joint: Joint) -> Any:
    from highdicom import sr

    source = source_reference(answered)
    said = evaluations(joint.state)
    if joint.state in codes.GRADE_OF_CLASS:
        said.append(sr.QualitativeEvaluation(codes.GRADE, codes.GRADE_OF_CLASS[joint.state]))
    arguments: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(tracking_uid(answered, side), TITLES[side]),
        "algorithm_id": algorithm(answered.result, making),
        "finding_sites": [sr.FindingSite(codes.SACROILIAC_JOINT, codes.LATERALITY[side])],
        "measurements": None if joint.probability is None else [percent(codes.CERTAINTY, joint.probability)],
        "qualitative_evaluations": said,
    }
    if joint.box_px is None:
        reference = sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)
        group = sr.MeasurementsAndQualitativeEvaluations(source_images=[reference], **arguments)
    else:
        x0, y0, x1, y1 = joint.box_px
        # The top left corner of the first pixel is 0, 0 (PS3.3 C.18.6.1.2), as it is for boxes here.
        region = sr.ImageRegion(
            sr.GraphicTypeValues.POLYLINE,
            np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], np.float64),
            sr.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID),
        )
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **arguments)
    if joint.reason is not None and joint.state is not State.LOCATED:
        group[0].ContentSequence.append(comment(joint.reason))
    return group


def _image_group(answered: Answered, making: Making) -> Any:
    """The answer that the image has as a whole, with everything that a reader must know of it."""
    from highdicom import sr

    result, source = answered.result, source_reference(answered)
    measurements = [percent(codes.CUT_OFF, result.operating_point.threshold)]
    if result.probability is not None:
        measurements.insert(0, percent(codes.CERTAINTY, result.probability))
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(tracking_uid(answered, "both"), BOTH),
        algorithm_id=algorithm(result, making),
        finding_sites=[sr.FindingSite(codes.SACROILIAC_JOINT, codes.BOTH_SIDES)],
        measurements=measurements,
        qualitative_evaluations=evaluations(result.state),
        source_images=[sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
    )
    for text in reason_texts(result.reason, result.reason_code, result.remedy, result.notes):
        group[0].ContentSequence.append(comment(text))
    return group
