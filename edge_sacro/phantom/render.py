"""One simulated radiograph from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
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
from edge_sacro.phantom.bones import ProjectedBones, finer, projected_bones
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
from edge_sacro.phantom.projection import Camera
from edge_sacro.phantom.subject import Subject, camera_from_rng, subject_from_rng
from edge_sacro.phantom.truth import recorded, truth_from_bones
from edge_sacro.phantom.types import Phantom, PhantomOptions

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
    bones = projected_bones(rngs, subject, coarse, grades)
    soft = soft_tissue_from_rng(rngs["body"], subject, coarse, options.thickness_mm, options.gas)
    exposure = exposure_from_rng(rngs["exposure"], options.dose)
    collimation = collimation_from_rng(rngs["collimation"], options.collimation)
    marker = marker_from_rng(rngs["marker"], options.marker)
    metal, metal_kinds = metal_from_rng(rngs["marks"], subject, coarse, options.implant)
    shown, parameters = _exposed(rngs, camera, coarse, (bones, soft, metal), (exposure, collimation, marker))
    storage = storage_from_rng(rngs["storage"], options.photometric, options.bits_stored)
    pixels = stored_from_display(shown, storage)
    parameters |= {"metal": metal_kinds, **recorded(subject, camera, soft, exposure, collimation, marker)}
    truth = truth_from_bones(bones, factor, camera, parameters)
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


def _exposed(
    rngs: dict[str, np.random.Generator],
    camera: Camera,
    coarse: Camera,
    layers: tuple[ProjectedBones, SoftTissue, F32],
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
    body = ((muscle + fat) > 25.0) & (metal == 0)
    if camera.shape != coarse.shape:
        primary = finer(primary, camera.shape, cv2.INTER_CUBIC)
        body = finer(body.astype(np.uint8), camera.shape, cv2.INTER_NEAREST) > 0
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


def _window(pixels: npt.NDArray[np.uint16], shown: F32) -> tuple[float, float]:
    """Centre and width that hold 0.5 to 99.5 percent of what is neither black nor white border."""
    inner = pixels[::7, ::7][(shown[::7, ::7] > 0.02) & (shown[::7, ::7] < 0.995)]
    low, high = np.percentile(inner, [0.5, 99.5]) if inner.size else (0.0, float(pixels.max()))
    return float(round((low + high) / 2)), float(max(2, round(high - low)))
