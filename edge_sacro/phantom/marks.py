"""What is neither bone nor soft tissue: trabecular texture, phleboliths, clips, buttons, a hip prosthesis."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.phantom.hip import HIP_CENTRE
from edge_sacro.phantom.mesh import Floats
from edge_sacro.phantom.projection import Camera
from edge_sacro.phantom.subject import Subject

F32 = npt.NDArray[np.float32]


def texture_from_rng(rng: np.random.Generator, cancellous: F32, mineral: F32, pitch: float) -> F32:
    """A factor on the mineral, about 1, that varies as projected trabeculae do.

    Args:
        rng: draws it.
        cancellous: mm of cancellous bone along each ray; more of it averages the texture out.
        mineral: mm of mineral; cortical bone has no texture.
        pitch: pixel distance in mm.
    """
    strength = float(rng.uniform(0.6, 1.5))
    rough = rng.standard_normal(cancellous.shape, dtype=np.float32)
    grain = np.zeros_like(rough)
    for size, weight in ((0.28, 0.9), (0.55, 1.0), (1.1, 0.75), (2.4, 0.5)):
        sigma = size / pitch
        band = cv2.GaussianBlur(rough, (0, 0), sigma) - cv2.GaussianBlur(rough, (0, 0), 1.8 * sigma)
        grain += band * np.float32(weight / max(float(band.std()), 1e-9))
    for angle in rng.uniform(0, np.pi, 3):
        grain += 0.45 * _streaks(rough, float(angle), pitch)
    grain *= np.float32(1.0 / max(float(grain.std()), 1e-9))
    share = 0.17 * cancellous / np.maximum(mineral, 0.3)
    depth = np.float32(0.5 * strength) / np.sqrt(1.0 + cancellous / 4.0)
    out: F32 = (1.0 + grain * depth * np.clip(share, 0.0, 1.0)).astype(np.float32)
    return out


def _streaks(rough: F32, angle: float, pitch: float) -> F32:
    """The noise drawn out along one direction."""
    half = max(2, int(1.6 / pitch))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    dx, dy = half * np.cos(angle), half * np.sin(angle)
    ends = [(round(half - dx), round(half - dy)), (round(half + dx), round(half + dy))]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    drawn = cv2.filter2D(rough, -1, kernel / kernel.sum())
    drawn = drawn - cv2.GaussianBlur(drawn, (0, 0), 1.0 / pitch)
    out: F32 = (drawn / max(float(drawn.std()), 1e-9)).astype(np.float32)
    return out


def metal_from_rng(
    rng: np.random.Generator, subject: Subject, camera: Camera, implant: bool | None
) -> tuple[F32, list[str]]:
    """Mm of metal (steel-like) along each ray, and what was drawn: ``"clips"``, ``"button"``, ``"left_implant"`` ..."""
    out = np.zeros(camera.shape, np.float32)
    kinds: list[str] = []
    has_implant = bool(rng.random() < 0.05)
    side = 1.0 if rng.random() < 0.5 else -1.0
    if has_implant if implant is None else implant:
        _implant(out, subject, camera, side)
        kinds.append("left_implant" if side > 0 else "right_implant")
    if rng.random() < 0.10:
        kinds.append("clips")
        for x, y in rng.normal((0, 0), (35, 30), (int(rng.integers(2, 8)), 2)):
            a = rng.uniform(0, np.pi)
            ends = np.array([(x, y, 0.0), (x + 5 * np.cos(a), y + 5 * np.sin(a), 0.0)])
            _line(out, ends, 0.5, 0.8, subject, camera)
    if rng.random() < 0.06:
        kinds.append("button")
        _disc(out, np.array([(rng.normal(0, 15), rng.uniform(60, 130), 90.0)]), 7.0, 0.8, subject, camera)
    if rng.random() < 0.35:
        kinds.append("phleboliths")
        for _ in range(int(rng.integers(1, 6))):
            at = np.array([(rng.choice([-1, 1]) * rng.uniform(25, 55), rng.uniform(-15, 15), -15.0)])
            _disc(out, at, float(rng.uniform(1.2, 2.6)), 0.16, subject, camera)
    return out, kinds


def _pixels(points: Floats, subject: Subject, camera: Camera) -> tuple[npt.NDArray[np.int32], float]:
    """Pixels with 4 fractional bits, and how many pixels 1 mm is."""
    column, row, depth = camera.project(subject.posed(points))
    zoom = camera.distance / float(depth.mean()) / camera.pitch
    return np.rint(np.stack([column, row], axis=1) * 16).astype(np.int32), zoom


def _layer(out: F32, drawn: npt.NDArray[np.uint8], mm: float) -> None:
    np.maximum(out, drawn.astype(np.float32) * np.float32(mm / 255.0), out=out)


def _line(out: F32, ends: Floats, half: float, mm: float, subject: Subject, camera: Camera) -> None:
    at, zoom = _pixels(ends, subject, camera)
    drawn = np.zeros(out.shape, np.uint8)
    width = max(1, round(2 * half * zoom))
    cv2.line(drawn, tuple(map(int, at[0])), tuple(map(int, at[1])), 255, width, cv2.LINE_AA, 4)
    _layer(out, drawn, mm)


def _disc(out: F32, centre: Floats, radius: float, mm: float, subject: Subject, camera: Camera) -> None:
    at, zoom = _pixels(centre, subject, camera)
    drawn = np.zeros(out.shape, np.uint8)
    cv2.circle(drawn, tuple(map(int, at[0])), max(1, round(radius * zoom * 16)), 255, -1, cv2.LINE_AA, 4)
    _layer(out, drawn, mm)


def _implant(out: F32, subject: Subject, camera: Camera, side: float) -> None:
    """A cup, a ball, a neck and a stem."""
    x, y, z = HIP_CENTRE
    centre = np.array([(side * x, y, z)])
    _disc(out, centre, 27.0, 6.0, subject, camera)
    _disc(out, centre, 16.0, 25.0, subject, camera)
    _line(out, np.array([(side * x, y, z), (side * (x + 34), y - 32, z)]), 7.0, 14.0, subject, camera)
    stem = np.array(
        [
            (side * (x + 26), -14.0, z),
            (side * (x + 46), -34.0, z),
            (side * (x + 35), -165.0, z),
            (side * (x + 28), -165.0, z),
        ]
    )
    at, _ = _pixels(np.concatenate([stem, [(side * (x + 24), -60.0, z)]]), subject, camera)
    drawn = np.zeros(out.shape, np.uint8)
    cv2.fillPoly(drawn, [at], 255, cv2.LINE_AA, 4)
    _layer(out, drawn, 14.0)
