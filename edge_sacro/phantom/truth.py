"""What is true of a rendered image: boxes, masks, and the record of what was drawn."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from edge_sacro.phantom.acquisition import Exposure
from edge_sacro.phantom.body import SoftTissue
from edge_sacro.phantom.bones import ProjectedBones, finer, overlap
from edge_sacro.phantom.disease import JointDisease
from edge_sacro.phantom.joint import JointImage
from edge_sacro.phantom.processing import Collimation, Marker
from edge_sacro.phantom.projection import Camera
from edge_sacro.phantom.subject import Subject
from edge_sacro.phantom.types import LEFT_JOINT, RIGHT_JOINT, JointTruth, PhantomTruth
from edge_sacro.types import Box


def truth_from_bones(bones: ProjectedBones, factor: int, camera: Camera, parameters: dict[str, Any]) -> PhantomTruth:
    """Masks and boxes in stored pixels.

    Args:
        bones: on the grid that the bones were projected on.
        factor: how many stored pixels that grid's step is.
        camera: of the stored pixels.
        parameters: the record of what was drawn.
    """
    coarse = bones.masks.copy()
    joints = {}
    for side, bit in (("left", LEFT_JOINT), ("right", RIGHT_JOINT)):
        image, disease = bones.joints[side]
        there, here = overlap(image, (coarse.shape[0], coarse.shape[1]))
        coarse[there] |= (image.space[here] > 0.4).astype(np.uint8) * np.uint8(bit)
        joints[side] = _joint_truth(image, disease, factor, camera, (coarse.shape[0], coarse.shape[1]))
    masks = coarse if factor == 1 else finer(coarse, camera.shape, cv2.INTER_NEAREST)
    return PhantomTruth(joints["left"], joints["right"], masks, parameters)


def _joint_truth(
    image: JointImage, disease: JointDisease, factor: int, camera: Camera, coarse: tuple[int, int]
) -> JointTruth:
    """The box from the 0.5 and 99.5 percent of the joint space along columns and rows."""
    spans, inside = [], 1.0
    for axis, start, top, length in (
        (0, image.left, camera.shape[1], coarse[1]),
        (1, image.top, camera.shape[0], coarse[0]),
    ):
        amount = image.space.sum(axis=axis, dtype=np.float64)
        share = np.concatenate([[0.0], np.cumsum(amount) / amount.sum()])
        edge = np.arange(share.size) + start
        off = (length * factor - top) // 2
        low, high = (float(np.interp(q, share, edge)) * factor - off for q in (0.005, 0.995))
        inside = min(inside, float(np.interp((top + off) / factor, edge, share) - np.interp(off / factor, edge, share)))
        first = int(np.clip(np.floor(low), 0, top - 1))
        spans.append((first, int(np.clip(np.ceil(high), first + 1, top))))
    box = Box(spans[0][0], spans[1][0], spans[0][1], spans[1][1])
    return JointTruth(disease.grade, box, inside >= 0.98, disease)


def recorded(
    subject: Subject,
    camera: Camera,
    soft: SoftTissue,
    exposure: Exposure,
    collimation: Collimation,
    marker: Marker,
) -> dict[str, Any]:
    """Plain numbers and strings of what was drawn."""
    return {
        "subject": {
            "shape": "female" if subject.female else "male",
            "scale": round(subject.scale, 4),
            "tilt_deg": round(subject.tilt_deg, 3),
            "rotation_deg": round(subject.rotation_deg, 3),
            "roll_deg": round(subject.roll_deg, 3),
            "bone_density": round(subject.density, 3),
            "thickness_mm": round(soft.thickness_mm, 1),
            "gas": soft.gas_drawn,
        },
        "geometry": {
            "source_mm": [round(v, 2) for v in camera.source],
            "source_to_detector_mm": round(camera.distance, 2),
            "detector_z_mm": round(camera.detector_z, 2),
            "centre_mm": [round(v, 2) for v in camera.centre],
        },
        "exposure": {k: round(float(v), 4) for k, v in asdict(exposure).items()},
        "collimation": {
            "kind": collimation.kind,
            "edges_mm": [round(v, 2) for v in collimation.edges_mm],
            "turn_deg": round(collimation.turn_deg, 3),
            "soft_mm": collimation.soft_mm,
        },
        "marker": {
            "letter": marker.letter,
            "at": [round(v, 4) for v in marker.at],
            "height_mm": round(marker.height_mm, 2),
            "turn_deg": round(marker.turn_deg, 2),
            "lead": marker.lead,
        },
    }
