"""One patient drawn from the mean pelvis: a smooth deformation of space, and the pose before the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_sacro.phantom.mesh import Floats
from edge_sacro.phantom.projection import Camera

PIVOT = np.array([0.0, 45.0, -15.0])


@dataclass(frozen=True, eq=False)
class Subject:
    """A deformation of the mean anatomy and its pose.

    Attributes:
        female: whether the shape leans to the female side; a shape, no person.
        scale: overall size.
        stretch: further factors along x, y, z.
        flare: widening of the iliac wings, share.
        arch: widening below the hip centres, share (subpubic angle).
        inlet: widening at the pelvic inlet, share.
        bend: further sacral curvature, mm.
        skew: left against right, share.
        waves: k x 7 of a smooth random field: wave vector in rad/mm, phase, amplitudes in mm.
        tilt_deg, rotation_deg, roll_deg: about x (front down), y (towards the left), z.
        density: bone mineral against the mean.
    """

    female: bool
    scale: float
    stretch: tuple[float, float, float]
    flare: float
    arch: float
    inlet: float
    bend: float
    skew: float
    waves: Floats
    tilt_deg: float
    rotation_deg: float
    roll_deg: float
    density: float

    def deformed(self, points: Floats) -> Floats:
        """Points of the mean anatomy as this patient has them, n x 3, mm, before the pose."""
        x, y, z = points[:, 0], points[:, 1], points[:, 2]
        wide = 1.0 + self.flare * np.clip((y - 60.0) / 80.0, 0, 1.2) * np.clip(np.abs(x) / 60.0 - 0.9, 0, 1)
        wide = wide + self.arch * np.clip((-5.0 - y) / 60.0, 0, 1) + self.inlet * np.exp(-(((y - 42.0) / 42.0) ** 2))
        wide = wide + self.skew * np.tanh(x / 60.0)
        back = np.clip((-z - 20.0) / 40.0, 0, 1)
        moved = np.stack([x * wide, y, z + self.bend * back * (((y - 70.0) / 45.0) ** 2 - 0.3)], axis=1)
        for wave in self.waves:
            turn = wave[0] * x + wave[1] * y + wave[2] * z + wave[3]
            moved += np.sin(turn)[:, None] * wave[4:7]
        return moved * (self.scale * np.array(self.stretch))

    def posed(self, points: Floats) -> Floats:
        """Deformed and turned before the detector, n x 3, mm."""
        rel = self.deformed(points) - PIVOT
        # Written out, so that no matrix library's threads can change the last bit.
        turned = [row[0] * rel[:, 0] + row[1] * rel[:, 1] + row[2] * rel[:, 2] for row in self.rotation()]
        return np.asarray(np.stack(turned, axis=1) + PIVOT)

    def rotation(self) -> Floats:
        """The pose as a 3 x 3 rotation."""
        a, b, c = np.deg2rad([self.tilt_deg, self.rotation_deg, self.roll_deg])
        rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        return np.asarray(rz @ ry @ rx)


def subject_from_rng(rng: np.random.Generator) -> Subject:
    """Draw a patient."""
    female = bool(rng.random() < 0.5)
    lean = (0.7 if female else -0.7) + rng.normal(0, 0.5)
    waves = np.zeros((7, 7))
    for number, wave in enumerate(waves):
        direction = rng.normal(size=3)
        long = number < 5
        wave[:3] = (
            direction / np.linalg.norm(direction) * 2 * np.pi / (rng.uniform(110, 230) if long else rng.uniform(60, 95))
        )
        wave[3] = rng.uniform(0, 2 * np.pi)
        wave[4:] = rng.normal(0, 1.5 if long else 0.55, 3)
    return Subject(
        female=female,
        scale=float(np.clip(rng.normal(0.985 - 0.025 * lean, 0.035), 0.87, 1.1)),
        stretch=(1.0, float(rng.normal(1.0 - 0.015 * lean, 0.022)), float(rng.normal(1.0, 0.03))),
        flare=float(rng.normal(0.01, 0.045)),
        arch=float(0.05 * lean + rng.normal(0.02, 0.04)),
        inlet=float(0.03 * lean + rng.normal(0.0, 0.025)),
        bend=float(rng.normal(0, 3.0)),
        skew=float(rng.normal(0, 0.008)),
        waves=waves,
        tilt_deg=float(np.clip(rng.normal(0, 7.0), -16, 16)),
        rotation_deg=float(np.clip(rng.normal(0, 2.4), -7, 7)),
        roll_deg=float(np.clip(rng.normal(0, 1.5), -4, 4)),
        density=float(np.clip(rng.normal(1.0, 0.13), 0.65, 1.35)),
    )


def camera_from_rng(rng: np.random.Generator, pitch: float, shape: tuple[int, int]) -> Camera:
    """Draw where source and detector stand."""
    distance = float(rng.choice([1000.0, 1100.0, 1150.0, 1200.0]) + rng.normal(0, 15))
    below = float(rng.uniform(125, 185))
    aim = (float(rng.normal(0, 6)), float(rng.normal(30, 9)))
    source = (aim[0] + float(rng.normal(0, 8)), aim[1] + float(rng.normal(-8, 16)), distance - below)
    return Camera(source, -below, pitch, shape, aim)
