"""From an assessment, or a refusal, to the result that a report holds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from edge_sacro.decide import is_high_risk, rounded, state_from_probability
from edge_sacro.errors import InputRefused
from edge_sacro.orient import stored_box_from_canonical
from edge_sacro.reasons import IMAGE_REASONS, JOINT_REASONS
from edge_sacro.regions import JointRegion
from edge_sacro.report import AppliedOperatingPoint, Joint, Joints, Source
from edge_sacro.systems import Assessment
from edge_sacro.types import Box, OperatingPoint, PixelSpacing, Radiograph, State

Fields = dict[str, object]
"""Fields of a result; the runtime adds those that every result of its bundle shares."""


def source_fields(label: str, data: bytes | None, radiograph: Radiograph | None) -> Source:
    """Which instance it is, as far as it could be read: a refused file has its hash too."""
    if radiograph is not None:
        return Source(path=label, sha256=radiograph.sha256, sop_instance_uid=radiograph.sop_instance_uid)
    sha256 = None if data is None else hashlib.sha256(data).hexdigest()
    return Source(path=label, sha256=sha256, sop_instance_uid=None)


def refused_fields(refusal: InputRefused) -> Fields:
    """A refused instance: no box, no probability, and what to do about it."""
    joint = Joint(state=State.REFUSED, reason=refusal.what, box_px=None, box_mm=None, probability=None)
    return {
        "state": State.REFUSED,
        "reason": refusal.what,
        "reason_code": refusal.code,
        "remedy": refusal.remedy,
        "probability": None,
        "high_risk": None,
        "crop_px": None,
        "joints": Joints(left=joint, right=joint),
        "notes": [],
    }


def decided_fields(
    radiograph: Radiograph,
    assessment: Assessment,
    operating_point: OperatingPoint,
    guard_band: float,
    notes: Sequence[str],
) -> Fields:
    """An assessed instance, its boxes in the stored image's pixels.

    A probability comes with a state; none comes with ``not_assessable`` and a reason.
    """
    probability = None if assessment.probability is None else rounded(assessment.probability)
    if probability is None:
        state, high_risk = State.NOT_ASSESSABLE, None
        reason = _no_probability(assessment)
    else:
        state, high_risk = state_from_probability(probability, operating_point, guard_band), is_high_risk(probability)
        reason = _decision(state, probability, operating_point, guard_band)
    return {
        "state": state,
        "reason": reason,
        "reason_code": assessment.reason_code,
        "remedy": None,
        "probability": probability,
        "high_risk": high_risk,
        "crop_px": None if assessment.crop is None else _stored(assessment.crop, radiograph).as_list(),
        "joints": Joints(left=_joint(assessment.left, radiograph), right=_joint(assessment.right, radiograph)),
        "notes": [*radiograph.notes, *notes, *assessment.notes],
    }


def applied(operating_point: OperatingPoint) -> AppliedOperatingPoint:
    """The operating point as a result states it."""
    return AppliedOperatingPoint(
        name=operating_point.name, threshold=operating_point.threshold, source=operating_point.source
    )


def _decision(state: State, probability: float, point: OperatingPoint, guard_band: float) -> str:
    cut_off = f"the cut-off {point.threshold:g} ({point.name})"
    if state is State.BORDERLINE:
        return f"probability {probability:.4f} is within {guard_band:g} of {cut_off}: no decision can be relied on"
    return f"probability {probability:.4f} is {'above' if state is State.POSITIVE else 'not above'} {cut_off}"


def _no_probability(assessment: Assessment) -> str:
    sentence = IMAGE_REASONS[assessment.reason_code or ""]
    missing = [
        f"{side} joint: {JOINT_REASONS[region.reason]}"
        for side, region in (("left", assessment.left), ("right", assessment.right))
        if region.reason is not None and assessment.reason_code == "joint_not_assessable"
    ]
    return "; ".join([sentence, *missing])


def _joint(region: JointRegion, radiograph: Radiograph) -> Joint:
    if region.box is None:
        sentence = JOINT_REASONS.get(region.reason or "") or IMAGE_REASONS[region.reason or ""]
        return Joint(state=State.NOT_ASSESSABLE, reason=sentence, box_px=None, box_mm=None, probability=None)
    box = _stored(region.box, radiograph)
    reasons = ["probability: the system classifies both joints together"]
    if radiograph.spacing is None:
        reasons.append("box_mm: the header has no pixel spacing")
    return Joint(
        state=State.LOCATED,
        reason="; ".join(reasons),
        box_px=box.as_list(),
        box_mm=None if radiograph.spacing is None else _millimetres(box, radiograph.spacing),
        probability=None,
    )


def _stored(box: Box, radiograph: Radiograph) -> Box:
    return stored_box_from_canonical(box, radiograph.orientation, (radiograph.rows, radiograph.columns))


def _millimetres(box: Box, spacing: PixelSpacing) -> list[float]:
    """The box's corners from the image's top left corner; spacing between rows is vertical (PS3.3 10.7.1.3)."""
    steps = (spacing.column_mm, spacing.row_mm, spacing.column_mm, spacing.row_mm)
    return [round(edge * step, 3) for edge, step in zip(box.as_list(), steps, strict=True)]
