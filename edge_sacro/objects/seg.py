"""Label map -> Segmentation (PS3.3 A.51): the bones that the anatomy-aware system found, on the source's pixels.

The networks' names for the halves of the pelvis are sides of the image. Here a half is the patient's, by where it lies
beside the sacrum in canonical view, as the joints' sides are found (``edge_sacro.regions``); where that cannot be told,
it has no laterality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from edge_sacro import __version__
from edge_sacro.locate import LEFT_PELVIS, RIGHT_PELVIS, SACRUM, Labels
from edge_sacro.objects import codes
from edge_sacro.objects.answer import Answered, Making, NoObject
from edge_sacro.objects.frame import (
    common_arguments,
    content_description,
    device_name,
    finished,
    model_name,
    source_reference,
)
from edge_sacro.objects.uids import tracking_uid, uid_from_parts
from edge_sacro.orient import stored_from_canonical
from edge_sacro.preprocess.components import extents
from edge_sacro.types import Side

_COLOURS = {SACRUM: (93.4, -23.0, 87.0), LEFT_PELVIS: (74.6, -2.2, 50.9), RIGHT_PELVIS: (62.0, -14.4, -46.2)}
"""CIELab of Okabe and Ito's yellow, orange and sky blue, in which the overlay draws the sides too."""


@dataclass(frozen=True, eq=False)
class _Bone:
    """One segment: the label map's number, and which bone of the patient it is."""

    label: int
    name: str
    side: Side | None


def seg_from_answer(answered: Answered, making: Making) -> Dataset | NoObject:
    """The segmentation of one image, or why there is none."""
    radiograph, labels = answered.radiograph, answered.labels
    if radiograph is None or labels is None:
        return NoObject("seg", "nothing was segmented")
    bones = _bones(labels)
    if not bones:
        return NoObject("seg", "the segmentation is empty")
    import highdicom as hd

    stored = stored_from_canonical(labels, radiograph.orientation)
    segments = np.stack([stored == bone.label for bone in bones], axis=-1)[None]
    reference = source_reference(answered)
    reference.PatientOrientation = [radiograph.orientation.row, radiograph.orientation.column]
    dataset = hd.seg.Segmentation(
        source_images=[reference],
        pixel_array=segments,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(number + 1, bone, answered, making) for number, bone in enumerate(bones)],
        manufacturer_model_name=model_name(answered.result),
        software_versions=__version__,
        device_serial_number=making.bundle.fingerprint,
        content_label="PELVIC_BONES",
        content_description=content_description(making, "seg"),
        **common_arguments(answered, making, "seg"),
    )
    dataset.PatientOrientation = [radiograph.orientation.row, radiograph.orientation.column]
    _make_dimensions_deterministic(dataset)
    return finished(dataset, answered, making, "seg")


def _bones(labels: Labels) -> list[_Bone]:
    boxes = {label: extent.box for label, extent in extents(labels).items()}
    sides = {label: _side(boxes[label], boxes[SACRUM]) for label in (LEFT_PELVIS, RIGHT_PELVIS)}
    if sides[LEFT_PELVIS] == sides[RIGHT_PELVIS]:
        sides = dict.fromkeys(sides)
    bones = [] if boxes[SACRUM] is None else [_Bone(SACRUM, "Sacrum", None)]
    for label, side in sides.items():
        if boxes[label] is not None:
            bones.append(_Bone(label, "Ilium" if side is None else f"{side.capitalize()} ilium", side))
    return bones


def _side(ilium: Any, sacrum: Any) -> Side | None:
    """The patient's side, in canonical view: the patient's right is at the image's left."""
    if ilium is None or sacrum is None:
        return None
    return "right" if ilium.x0 + ilium.x1 < sacrum.x0 + sacrum.x1 else "left"


def _description(number: int, bone: _Bone, answered: Answered, making: Making) -> Any:
    import highdicom as hd

    segment = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=bone.name,
        segmented_property_category=codes.ANATOMICAL_STRUCTURE,
        segmented_property_type=codes.SACRUM if bone.label == SACRUM else codes.ILIUM,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=model_name(answered.result),
            family=codes.ARTIFICIAL_INTELLIGENCE,
            version=device_name(making),
            source="Edge-Sacro",
        ),
        tracking_uid=tracking_uid(answered, bone.name),
        tracking_id=bone.name,
        display_color=hd.color.CIELabColor(*_COLOURS[bone.label]),
    )
    if bone.side is not None:
        laterality = codes.code_item(codes.LATERALITY[bone.side])
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [laterality]
    return segment


def _make_dimensions_deterministic(dataset: Dataset) -> None:
    """Replace what the constructor drew at random: the UID of the dimension organisation, at each of its places."""
    uid = uid_from_parts("dimensions", str(dataset.SOPInstanceUID))
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
    if "FrameOfReferenceUID" in dataset:
        dataset.FrameOfReferenceUID = uid_from_parts("frame of reference", str(dataset.SOPInstanceUID))
