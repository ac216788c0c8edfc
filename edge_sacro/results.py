"""From an assessment, or a refusal, to the result that a report holds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from edge_sacro.bundle import Bundle
from edge_sacro.decide import Rule, rounded
from edge_sacro.errors import InputRefused, MultiFrameImage
from edge_sacro.orient import stored_box_from_canonical
from edge_sacro.reasons import IMAGE_REASONS, JOINT_REASONS
from edge_sacro.regions import JointRegion
from edge_sacro.report import AppliedOperatingPoint, BundleRecord, Joint, Joints, Source
from edge_sacro.systems import Assessment
from edge_sacro.types import Box, OperatingPoint, PixelSpacing, Radiograph, State

Fields = dict[str, object]
"""Fields of a result; the runtime adds those that every result of its bundle shares."""


@dataclass(frozen=True)
class Origin:
    """What an image came from.

    Attributes:
        label: path or name.
        sha256: of the file's bytes; None where there are none.
        frame: number of the frame, from 1, where the object holds several.
    """

    label: str
    sha256: str | None
    frame: int | None


def source_fields(origin: Origin, radiograph: Radiograph | None) -> Source:
    """Which image it is, as far as it could be read: a refused file has its hash too."""
    uid = None if radiograph is None else radiograph.sop_instance_uid
    return Source(path=origin.label, sha256=origin.sha256, sop_instance_uid=uid, frame=origin.frame)


def known_sha256(image: Radiograph | InputRefused, data: bytes | None) -> str | None:
    """The hash of the file's bytes, where there are any."""
    if isinstance(image, Radiograph):
        return image.sha256
    return None if data is None else hashlib.sha256(data).hexdigest()


def several_frames(radiograph: Radiograph) -> MultiFrameImage:
    """The refusal of an object of several frames where one result is asked for."""
    return MultiFrameImage(
        f"the object holds {radiograph.frames} frames, and one result would stand for a single one of them",
        source=radiograph.source,
        remedy="Have each frame answered: edge-sacro infer, or Runtime.infer_all.",
    )


def bundle_record(bundle: Bundle) -> BundleRecord:
    """The bundle as a report names it."""
    manifest = bundle.manifest
    return BundleRecord(
        name=manifest.name,
        version=manifest.version,
        fingerprint=bundle.fingerprint,
        signed_by=bundle.signed_by,
        demonstration=manifest.demonstration,
        statement=manifest.statement,
    )


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


def decided_fields(radiograph: Radiograph, assessment: Assessment, rule: Rule, notes: Sequence[str]) -> Fields:
    """An assessed instance, its boxes in the stored image's pixels.

    A probability comes with a state; none comes with ``not_assessable`` and a reason. Where a joint is missing and the
    image is positive if any joint is, one that is positive decides; any other says nothing of the missing one.
    """
    probability = None if assessment.probability is None else rounded(assessment.probability)
    if assessment.reason_code is not None and probability is not None and rule.state(probability) is not State.POSITIVE:
        probability = None
    decided: Fields
    if probability is None:
        decided = {
            "state": State.NOT_ASSESSABLE,
            "reason": _no_probability(assessment),
            "reason_code": assessment.reason_code,
            "high_risk": None,
        }
    else:
        decided = {
            "state": rule.state(probability),
            "reason": "; ".join([rule.sentence(probability), *_missing_joints(assessment)]),
            "reason_code": None,
            "high_risk": rule.is_high_risk(probability),
        }
    return {
        **decided,
        "remedy": None,
        "probability": probability,
        "crop_px": None if assessment.crop is None else _stored(assessment.crop, radiograph).as_list(),
        "joints": Joints(
            left=_joint(assessment.left, assessment.left_probability, rule, radiograph),
            right=_joint(assessment.right, assessment.right_probability, rule, radiograph),
        ),
        "notes": [*radiograph.notes, *notes, *assessment.notes],
    }


def applied(operating_point: OperatingPoint) -> AppliedOperatingPoint:
    """The operating point as a result states it."""
    return AppliedOperatingPoint(
        name=operating_point.name, threshold=operating_point.threshold, source=operating_point.source
    )


def _no_probability(assessment: Assessment) -> str:
    return "; ".join([IMAGE_REASONS[assessment.reason_code or ""], *_missing_joints(assessment)])


def _missing_joints(assessment: Assessment) -> list[str]:
    if assessment.reason_code != "joint_not_assessable":
        return []
    return [
        f"{side} joint: {JOINT_REASONS[region.reason]}"
        for side, region in (("left", assessment.left), ("right", assessment.right))
        if region.reason is not None
    ]


def _joint(region: JointRegion, probability: float | None, rule: Rule, radiograph: Radiograph) -> Joint:
    if region.box is None:
        sentence = JOINT_REASONS.get(region.reason or "") or IMAGE_REASONS[region.reason or ""]
        return Joint(state=State.NOT_ASSESSABLE, reason=sentence, box_px=None, box_mm=None, probability=None)
    box = _stored(region.box, radiograph)
    decided = None if probability is None else rounded(probability)
    no_probability = "probability: the system classifies both joints together"
    reasons = [no_probability if decided is None else rule.sentence(decided)]
    if radiograph.spacing is None:
        reasons.append("box_mm: the header has no pixel spacing")
    return Joint(
        state=State.LOCATED if decided is None else rule.state(decided),
        reason="; ".join(reasons),
        box_px=box.as_list(),
        box_mm=None if radiograph.spacing is None else _millimetres(box, radiograph.spacing),
        probability=decided,
    )


def _stored(box: Box, radiograph: Radiograph) -> Box:
    return stored_box_from_canonical(box, radiograph.orientation, (radiograph.rows, radiograph.columns))


def _millimetres(box: Box, spacing: PixelSpacing) -> list[float]:
    """The box's corners from the image's top left corner; spacing between rows is vertical (PS3.3 10.7.1.3)."""
    steps = (spacing.column_mm, spacing.row_mm, spacing.column_mm, spacing.row_mm)
    return [round(edge * step, 3) for edge, step in zip(box.as_list(), steps, strict=True)]
