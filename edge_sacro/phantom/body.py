"""Soft tissue round the bones: how many mm of muscle, fat and gas each ray crosses. Computed on a coarse grid."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.phantom.projection import Camera
from edge_sacro.phantom.subject import Subject

F32 = npt.NDArray[np.float32]
COARSE_MM = 1.6


@dataclass(frozen=True, eq=False)
class SoftTissue:
    """Path lengths in mm on a coarse grid over the detector, and what was drawn.

    Attributes:
        muscle, fat, gas: rows x columns.
        thickness_mm: of the body at the hips.
        gas_drawn: True where there is bowel gas.
    """

    muscle: F32
    fat: F32
    gas: F32
    thickness_mm: float
    gas_drawn: bool


def coarse_shape(camera: Camera) -> tuple[int, int]:
    """Rows and columns of the coarse grid."""
    return tuple(max(8, round(n * camera.pitch / COARSE_MM)) for n in camera.shape)  # type: ignore[return-value]


def soft_tissue_from_rng(
    rng: np.random.Generator, subject: Subject, camera: Camera, thickness_mm: float | None, gas: bool | None
) -> SoftTissue:
    """Draw the body round a pelvis.

    Args:
        rng: draws it.
        subject: its size follows the pelvis.
        camera: what is seen.
        thickness_mm: of the body at the hips, or None.
        gas: whether there is bowel gas, or None.
    """
    drawn = float(np.clip(rng.normal(222, 32), 160, 340))
    depth = (drawn if thickness_mm is None else thickness_mm) / 2
    stout = (depth - 110.0) / 60.0
    shape = coarse_shape(camera)
    x, y = _patient_grid(camera, shape, subject)
    lean = 1.0 - np.clip(0.26 + 0.12 * stout + rng.normal(0, 0.03), 0.12, 0.55)
    torso = _torso(x, y, depth, stout, rng)
    legs = _legs(x, y, depth, stout)
    total = cv2.GaussianBlur(np.maximum(torso, legs), (0, 0), 6.0 / COARSE_MM).astype(np.float32)
    mottle = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 14.0 / COARSE_MM)
    mottle = mottle * np.float32(0.035 / max(float(mottle.std()), 1e-6))
    share = np.clip(lean + mottle + _muscles(x, y), 0.05, 0.97)
    edge = np.clip(total / (18.0 + 30.0 * max(stout, 0)), 0, 1)
    muscle = (total * share * edge).astype(np.float32)
    has_gas = bool(rng.random() < 0.9) if gas is None else gas
    air, stool = _bowel(rng, x, y)
    air *= np.clip(total / 60.0, 0, 1) * np.float32(has_gas)
    fill = np.clip((total - air) / np.maximum(total, 1.0), 0, 1)
    muscle = (muscle * fill - has_gas * stool).astype(np.float32)
    fat = (total * fill - muscle).astype(np.float32)
    return SoftTissue(np.maximum(muscle, 0), np.maximum(fat, 0), air.astype(np.float32), 2 * depth, has_gas)


def _patient_grid(camera: Camera, shape: tuple[int, int], subject: Subject) -> tuple[F32, F32]:
    """X and y of the mean pelvis, in mm, of the coarse grid's rays where they cross the coronal plane of the hips."""
    rows, columns = shape
    zoom = camera.distance / camera.source[2]
    u = camera.centre[0] + ((np.arange(columns) + 0.5) / columns - 0.5) * camera.shape[1] * camera.pitch
    v = camera.centre[1] - ((np.arange(rows) + 0.5) / rows - 0.5) * camera.shape[0] * camera.pitch
    x = camera.source[0] + (u - camera.source[0]) / zoom
    y = camera.source[1] + (v - camera.source[1]) / zoom
    roll = np.deg2rad(subject.roll_deg)
    xx, yy = np.meshgrid(x, y)
    x = (xx * np.cos(roll) + yy * np.sin(roll)) / subject.scale
    y = (yy * np.cos(roll) - xx * np.sin(roll)) / subject.scale
    return x.astype(np.float32), y.astype(np.float32)


def _torso(x: F32, y: F32, depth: float, stout: float, rng: np.random.Generator) -> F32:
    hips = 178.0 + 18.0 * stout + rng.normal(0, 5)
    waist = hips - np.clip(24.0 - 16.0 * stout + rng.normal(0, 6), 0, 45)
    half = waist + (hips - waist) * np.exp(-(((y + 15.0) / 95.0) ** 2))
    front = depth * (1.0 - 0.16 * (1 - np.exp(-(((y + 20.0) / 110.0) ** 2))) * (stout < 0.6))
    power = 2.6
    round_ = np.clip(1.0 - np.abs(x / half) ** power, 0, 1) ** (1 / power)
    crotch = np.clip((y + 108.0 + 0.30 * np.abs(x) - 0.0011 * x * x) / 95.0, 0, 1)
    out: F32 = (2 * front * round_ * crotch * crotch * (3.0 - 2.0 * crotch)).astype(np.float32)
    return out


def _legs(x: F32, y: F32, depth: float, stout: float) -> F32:
    radius = 0.88 * depth + 6.0 * stout
    centre = 92.0 + 4.0 * stout + 0.05 * np.clip(-y - 40.0, 0, None)
    away = (np.abs(x) - centre) / (82.0 + 14.0 * stout)
    leg = 2 * radius * np.sqrt(np.clip(1.0 - away**2, 0, 1))
    below = np.clip((25.0 - y) / 95.0, 0, 1)
    out: F32 = (leg * below * below * (3.0 - 2.0 * below)).astype(np.float32)
    return out


def _muscles(x: F32, y: F32) -> F32:
    """More muscle over the glutei and along the psoas, less between the thighs and in the fossae."""
    ax = np.abs(x)
    psoas = 0.07 * _step((48.0 + 0.18 * (100.0 - y) - ax) / 2.5) * np.clip((y - 20.0) / 60.0, 0, 1)
    gluteus = 0.08 * np.exp(-(((ax - 95.0) / 38.0) ** 2) - ((y - 10.0) / 60.0) ** 2)
    bladder = 0.10 * _step((1.0 - np.hypot(x / 38.0, (y - 5.0) / 27.0)) / 0.06)
    out: F32 = (psoas + gluteus + bladder - 0.05).astype(np.float32)
    return out


def _step(value: F32) -> F32:
    """0 to 1 over a few units round 0."""
    out: F32 = (0.5 + 0.5 * np.tanh(value / 2.0)).astype(np.float32)
    return out


def _bowel(rng: np.random.Generator, x: F32, y: F32) -> tuple[F32, F32]:
    """Mm of gas, and mm of muscle-like tissue that mottled stool takes away."""
    gas = np.zeros_like(x)
    stool = np.zeros_like(x)
    grain = cv2.GaussianBlur(rng.standard_normal(x.shape).astype(np.float32), (0, 0), 2.2 / COARSE_MM)
    grain = grain * np.float32(1.0 / max(float(grain.std()), 1e-6))
    paths = (
        ([(-112, 160), (-104, 120), (-96, 80), (-84, 58)], (15, 24), 0.8),
        ([(112, 165), (114, 120), (104, 82), (84, 62), (58, 48)], (11, 18), 0.75),
        ([(58, 48), (34, 62), (12, 44), (4, 18), (-3, 0)], (11, 19), 0.8),
        ([(-60, 92), (-30, 120), (10, 100), (45, 115)], (8, 14), 0.45),
        ([(-50, 60), (-20, 84), (20, 70)], (8, 13), 0.35),
    )
    for knots, size, likely in paths:
        if rng.random() > likely:
            continue
        line = np.array(knots, float) + rng.normal(0, 9, (len(knots), 2))
        loops = _haustra(rng, line, size, x, y)
        if rng.random() < 0.3:
            stool = np.maximum(stool, np.clip(loops * (0.28 + 0.24 * grain), 0, None))
        else:
            gas = np.maximum(gas, loops)
    return gas.astype(np.float32), stool.astype(np.float32)


def _haustra(rng: np.random.Generator, line: npt.NDArray[np.float64], size: tuple[int, int], x: F32, y: F32) -> F32:
    """Bubbles along a line of bowel, merged where they meet."""
    field = np.full(x.shape, -1e3, np.float32)
    reach = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    start, end = np.sort(rng.uniform(0, reach[-1], 2))
    width = 1.0
    for s in np.arange(start, max(end, start + 30.0), 13.0):
        cx, cy = np.interp(s, reach, line[:, 0]), np.interp(s, reach, line[:, 1])
        radius = rng.uniform(*size) * rng.uniform(0.75, 1.15)
        squash, turn = rng.uniform(0.7, 1.0), rng.uniform(0, np.pi)
        dx, dy = x - (cx + rng.normal(0, 3)), y - (cy + rng.normal(0, 3))
        a, b = dx * np.cos(turn) + dy * np.sin(turn), (dy * np.cos(turn) - dx * np.sin(turn)) / squash
        near = radius - np.hypot(a, b)
        k = np.clip(0.5 + 0.5 * (near - field) / 4.0, 0, 1)
        field = field + (near - field) * k + 4.0 * k * (1 - k)
        width = max(width, radius)
    inside = np.maximum(field, 0)
    out: F32 = (1.5 * np.sqrt(np.maximum(width**2 - np.maximum(width - inside, 0) ** 2, 0))).astype(np.float32)
    return out
