"""Bones and joints on one grid of rays, and the masks that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.phantom.disease import SPONGIOSA, JointDisease, joint_from_rng
from edge_sacro.phantom.joint import JointImage, project_joint
from edge_sacro.phantom.projection import Camera, thickness
from edge_sacro.phantom.skeleton import mean_bones
from edge_sacro.phantom.subject import Subject
from edge_sacro.phantom.types import LEFT_HIP, RIGHT_HIP, SACRUM

F32 = npt.NDArray[np.float32]
MASK_BITS = {"sacrum": SACRUM, "left_hip": LEFT_HIP, "right_hip": RIGHT_HIP}


@dataclass(frozen=True, eq=False)
class ProjectedBones:
    """Path lengths along z in mm on the bone grid: mineral, cancellous bone; the masks, the joints."""

    mineral: F32
    cancellous: F32
    masks: npt.NDArray[np.uint8]
    joints: dict[str, tuple[JointImage, JointDisease]]


def projected_bones(
    rngs: dict[str, np.random.Generator], subject: Subject, camera: Camera, grades: tuple[int, int]
) -> ProjectedBones:
    """Every bone and both joints on the camera's grid.

    Args:
        rngs: streams ``"left_joint"`` and ``"right_joint"``.
        subject: the patient.
        camera: the grid.
        grades: of the left and the right joint.
    """
    mineral, cancellous = np.zeros(camera.shape, np.float32), np.zeros(camera.shape, np.float32)
    masks = np.zeros(camera.shape, np.uint8)
    for bone in mean_bones():
        vertices = bone.outer.vertices
        outer = thickness(bone.outer.moved(subject.posed(vertices)), camera)
        inner = np.minimum(thickness(bone.outer.moved(subject.posed(vertices + bone.inward)), camera), outer)
        mineral += outer - inner
        cancellous += inner
        if bone.name in MASK_BITS:
            masks |= (outer > 0.3).astype(np.uint8) * np.uint8(MASK_BITS[bone.name])
    mineral += np.float32(SPONGIOSA) * cancellous
    joints = {}
    for side, sign, grade in (("left", 1.0, grades[0]), ("right", -1.0, grades[1])):
        added, disease = joint_from_rng(rngs[f"{side}_joint"], grade)
        image = project_joint(added, sign, subject, camera)
        _add(mineral, image)
        joints[side] = (image, disease)
    mineral *= np.float32(subject.density)
    return ProjectedBones(np.maximum(mineral, 0.0), cancellous, masks, joints)


def overlap(image: JointImage, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of an image of ``shape`` that a joint's window covers, and that part of the window."""
    ends = (image.top + image.mineral.shape[0], image.left + image.mineral.shape[1])
    spans = [(max(a, 0), max(min(b, n), a, 0)) for a, b, n in zip((image.top, image.left), ends, shape, strict=True)]
    there = (slice(*spans[0]), slice(*spans[1]))
    here = (
        slice(spans[0][0] - image.top, spans[0][1] - image.top),
        slice(spans[1][0] - image.left, spans[1][1] - image.left),
    )
    return there, here


def _add(mineral: F32, image: JointImage) -> None:
    there, here = overlap(image, (mineral.shape[0], mineral.shape[1]))
    mineral[there] += image.mineral[here]


def finer(image: npt.NDArray[Any], shape: tuple[int, int], how: int) -> npt.NDArray[Any]:
    """The coarse grid's image on the detector's pixels; the coarse grid may reach beyond the detector by a pixel."""
    factor = int(np.ceil(shape[1] / image.shape[1]))
    whole = cv2.resize(image, (image.shape[1] * factor, image.shape[0] * factor), interpolation=how)
    off = [(w - n) // 2 for w, n in zip(whole.shape, shape, strict=True)]
    return np.ascontiguousarray(whole[off[0] : off[0] + shape[0], off[1] : off[1] + shape[1]])
