"""One simulated radiograph from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.phantom.acquisition import (
    Exposure,
    detected,
    exposure_from_rng,
    quanta_from_transmission,
    transmission,
)
from edge_sacro.phantom.body import SoftTissue, soft_tissue_from_rng
from edge_sacro.phantom.joint import SPONGIOSA, JointDisease, JointImage, joint_from_rng, project_joint
from edge_sacro.phantom.marks import metal_from_rng, texture_from_rng
from edge_sacro.phantom.processing import (
    Collimation,
    Marker,
    collimation_from_rng,
    display_from_quanta,
    field_from_collimation,
    marker_from_rng,
    processing_from_rng,
    stencil_from_marker,
    storage_from_rng,
    stored_from_display,
)
from edge_sacro.phantom.projection import Camera, thickness
from edge_sacro.phantom.skeleton import mean_bones
from edge_sacro.phantom.subject import Subject, camera_from_rng, subject_from_rng
from edge_sacro.phantom.types import (
    LEFT_HIP,
    LEFT_JOINT,
    RIGHT_HIP,
    RIGHT_JOINT,
    SACRUM,
    JointTruth,
    Phantom,
    PhantomOptions,
    PhantomTruth,
)
from edge_sacro.types import Box

F32 = npt.NDArray[np.float32]
STREAMS = (
    "grades",
    "subject",
    "camera",
    "left_joint",
    "right_joint",
    "body",
    "texture",
    "marks",
    "exposure",
    "noise",
    "processing",
    "collimation",
    "marker",
    "storage",
)
"""Each part draws from a stream of its own, so that laying one down leaves the others as they were."""
COARSEST_MM = 0.3
"""Bones are projected on a grid at least this coarse; finer pixels interpolate it."""
MASK_BITS = {"sacrum": SACRUM, "left_hip": LEFT_HIP, "right_hip": RIGHT_HIP}


@dataclass(frozen=True, eq=False)
class _Bones:
    """Path lengths along z in mm on the bone grid: mineral, cancellous bone; the masks, the joints."""

    mineral: F32
    cancellous: F32
    masks: npt.NDArray[np.uint8]
    joints: dict[str, tuple[JointImage, JointDisease]]


def render(seed: int | Sequence[int], options: PhantomOptions | None = None) -> Phantom:
    """Simulate one AP pelvic radiograph.

    Args:
        seed: one or more non-negative integers; the same seed and options give the same pixels.
        options: what is laid down beforehand.

    Returns:
        stored values and truth.
    """
    options = options or PhantomOptions()
    key = (seed,) if isinstance(seed, int) else tuple(int(s) for s in seed)
    spawned = np.random.SeedSequence(key).spawn(len(STREAMS))
    rngs = {name: np.random.Generator(np.random.PCG64(s)) for name, s in zip(STREAMS, spawned, strict=True)}
    grades = _grades(rngs["grades"], options)
    subject = _subject(rngs["subject"], options)
    camera = _camera(rngs["camera"], options)
    factor = max(1, int(np.ceil(COARSEST_MM / camera.pitch - 1e-9)))
    rows, columns = (int(np.ceil(n / factor)) for n in camera.shape)
    coarse = replace(camera, pitch=camera.pitch * factor, shape=(rows, columns))
    bones = _projected_bones(rngs, subject, coarse, grades)
    soft = soft_tissue_from_rng(rngs["body"], subject, coarse, options.thickness_mm, options.gas)
    exposure = exposure_from_rng(rngs["exposure"], options.dose)
    collimation = collimation_from_rng(rngs["collimation"], options.collimation)
    marker = marker_from_rng(rngs["marker"], options.marker)
    metal, metal_kinds = metal_from_rng(rngs["marks"], subject, coarse, options.implant)
    shown, parameters = _exposed(rngs, camera, coarse, (bones, soft, metal), (exposure, collimation, marker))
    storage = storage_from_rng(rngs["storage"], options.photometric, options.bits_stored)
    pixels = stored_from_display(shown, storage)
    parameters |= {"metal": metal_kinds, **_recorded(subject, camera, soft, exposure, collimation, marker)}
    truth = _truth(bones, factor, camera, parameters)
    return Phantom(
        pixels=pixels,
        bits_stored=storage.bits_stored,
        photometric_interpretation=storage.photometric,
        spacing_mm=camera.pitch,
        window=_window(pixels, shown),
        seed=key,
        truth=truth,
    )


def _grades(rng: np.random.Generator, options: PhantomOptions) -> tuple[int, int]:
    """A third sound on both sides; else both sides about equally diseased, a quarter of them one-sided."""
    sound = rng.random() < 0.34
    first, other = (int(g) for g in rng.choice(5, size=2, p=[0.10, 0.20, 0.25, 0.27, 0.18]))
    apart, turn = rng.random() < 0.27, rng.random() < 0.5
    near = int(np.clip(first + rng.choice([-1, 0, 0, 0, 1]), 0, 4))
    pair = (first, other if apart else near)
    left, right = (0, 0) if sound else (pair[::-1] if turn else pair)
    return (
        left if options.left_grade is None else options.left_grade,
        right if options.right_grade is None else options.right_grade,
    )


def _subject(rng: np.random.Generator, options: PhantomOptions) -> Subject:
    drawn = subject_from_rng(rng)
    return replace(
        drawn,
        tilt_deg=drawn.tilt_deg if options.tilt_deg is None else options.tilt_deg,
        rotation_deg=drawn.rotation_deg if options.rotation_deg is None else options.rotation_deg,
        roll_deg=drawn.roll_deg if options.roll_deg is None else options.roll_deg,
    )


def _camera(rng: np.random.Generator, options: PhantomOptions) -> Camera:
    drawn = (float(rng.choice([320.0, 340.0, 350.0, 360.0])), float(rng.choice([390.0, 400.0, 420.0])))
    height, width = options.field_mm or drawn
    shape = (round(height / options.spacing_mm), round(width / options.spacing_mm))
    return camera_from_rng(rng, options.spacing_mm, shape)


def _projected_bones(
    rngs: dict[str, np.random.Generator], subject: Subject, camera: Camera, grades: tuple[int, int]
) -> _Bones:
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
    mineral *= np.float32(subject.density)
    joints = {}
    for side, sign, grade in (("left", 1.0, grades[0]), ("right", -1.0, grades[1])):
        added, disease = joint_from_rng(rngs[f"{side}_joint"], grade)
        image = project_joint(added, sign, subject, camera)
        _add(mineral, image)
        joints[side] = (image, disease)
    return _Bones(np.maximum(mineral, 0.0), cancellous, masks, joints)


def _overlap(image: JointImage, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of an image of ``shape`` that a joint's window covers, and that part of the window."""
    ends = (image.top + image.mineral.shape[0], image.left + image.mineral.shape[1])
    spans = [
        (max(a, 0), max(min(b, n), max(a, 0))) for a, b, n in zip((image.top, image.left), ends, shape, strict=True)
    ]
    there = (slice(*spans[0]), slice(*spans[1]))
    here = (
        slice(spans[0][0] - image.top, spans[0][1] - image.top),
        slice(spans[1][0] - image.left, spans[1][1] - image.left),
    )
    return there, here


def _add(mineral: F32, image: JointImage) -> None:
    there, here = _overlap(image, (mineral.shape[0], mineral.shape[1]))
    mineral[there] += image.mineral[here]


def _exposed(
    rngs: dict[str, np.random.Generator],
    camera: Camera,
    coarse: Camera,
    layers: tuple[_Bones, SoftTissue, F32],
    taking: tuple[Exposure, Collimation, Marker],
) -> tuple[F32, dict[str, Any]]:
    """Display values, and the style that made them."""
    (bones, soft, metal), (exposure, collimation, marker) = layers, taking
    rows, columns = coarse.shape
    slant = coarse.obliquity()
    muscle, fat = (cv2.resize(v, (columns, rows), interpolation=cv2.INTER_LINEAR) for v in (soft.muscle, soft.fat))
    texture = texture_from_rng(rngs["texture"], bones.cancellous, bones.mineral, coarse.pitch)
    bone = np.maximum(bones.mineral * texture, 0.0)
    primary = transmission(muscle * slant, fat * slant, bone * slant, metal, exposure)
    body = (muscle + fat) > 25.0
    if camera.shape != coarse.shape:
        primary = _finer(primary, camera.shape, cv2.INTER_CUBIC)
        body = _finer(body.astype(np.uint8), camera.shape, cv2.INTER_NEAREST) > 0
    field = field_from_collimation(collimation, camera.shape, camera.pitch)
    stencil = stencil_from_marker(marker, camera.shape, camera.pitch)
    if marker.lead:
        primary = primary * (1.0 - 0.97 * stencil)
    quanta = quanta_from_transmission(np.maximum(primary, 1e-6), field, soft, exposure, camera.pitch)
    processing = processing_from_rng(rngs["processing"])
    noisy = detected(rngs["noise"], quanta)
    shown = display_from_quanta(noisy, body & (field > 0.95), processing, camera.pitch)
    if not marker.lead:
        shown = np.maximum(shown, stencil)
    if collimation.kind != "none":
        outside = np.float32(0.0 if collimation.kind == "black" else 1.0)
        shown = np.where(field > 0.5, shown, outside)
    return shown, {"processing": asdict(processing)}


def _finer(image: npt.NDArray[Any], shape: tuple[int, int], how: int) -> npt.NDArray[Any]:
    """The coarse grid's image on the detector's pixels; the coarse grid may reach beyond the detector by a pixel."""
    factor = int(np.ceil(shape[1] / image.shape[1]))
    whole = cv2.resize(image, (image.shape[1] * factor, image.shape[0] * factor), interpolation=how)
    off = [(w - n) // 2 for w, n in zip(whole.shape, shape, strict=True)]
    return np.ascontiguousarray(whole[off[0] : off[0] + shape[0], off[1] : off[1] + shape[1]])


def _truth(bones: _Bones, factor: int, camera: Camera, parameters: dict[str, Any]) -> PhantomTruth:
    coarse = bones.masks.copy()
    joints = {}
    for side, bit in (("left", LEFT_JOINT), ("right", RIGHT_JOINT)):
        image, disease = bones.joints[side]
        there, here = _overlap(image, (coarse.shape[0], coarse.shape[1]))
        coarse[there] |= (image.space[here] > 0.4).astype(np.uint8) * np.uint8(bit)
        joints[side] = _joint_truth(image, disease, factor, camera, (coarse.shape[0], coarse.shape[1]))
    masks = coarse if factor == 1 else _finer(coarse, camera.shape, cv2.INTER_NEAREST)
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


def _recorded(
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


def _window(pixels: npt.NDArray[np.uint16], shown: F32) -> tuple[float, float]:
    """Centre and width that hold 0.5 to 99.5 percent of what is neither black nor white border."""
    inner = pixels[::7, ::7][(shown[::7, ::7] > 0.02) & (shown[::7, ::7] < 0.995)]
    low, high = np.percentile(inner, [0.5, 99.5]) if inner.size else (0.0, float(pixels.max()))
    return float(round((low + high) / 2)), float(max(2, round(high - low)))
