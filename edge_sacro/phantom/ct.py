"""A simulated CT series of the pelvis: axial slices through both sacroiliac joints, in Hounsfield units.

The bones are the mean pelvis' own signed distances, cut instead of projected; the joints hold what the radiographs'
joints hold, so a grade means the same in both. It is no patient and says nothing about clinical accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.errors import UsageError
from edge_sacro.phantom.ct_neighbours import neighbour_bones
from edge_sacro.phantom.disease import SPONGIOSA, JointDisease, joint_from_rng
from edge_sacro.phantom.hip import GRID as HIP_GRID
from edge_sacro.phantom.hip import hip_field
from edge_sacro.phantom.joint import DEPTH_STEP, LOW, STEP, joint_lattice
from edge_sacro.phantom.mesh import Floats, Grid, sample
from edge_sacro.phantom.sacrum import GRID as SACRUM_GRID
from edge_sacro.phantom.sacrum import sacrum_field
from edge_sacro.phantom.skeleton import hip_cortex, sacrum_cortex

F32 = npt.NDArray[np.float32]

AIR, FAT, MUSCLE = -1000.0, -95.0, 55.0
CORTICAL = 1350.0
"""Hounsfield units that a full share of cortical bone adds to muscle."""

JOINT_SPAN = (52.0, 110.0)
"""Heights of the mean joint, in mm above the hip centres, from its lower to its upper end."""

PELVIS_SPAN = (-20.0, 160.0)
"""Heights from the femoral heads to the disc above L5, in mm above the hip centres of the mean pelvis."""

_BLUR_MM = 0.45
_NOISE_HU = 22.0
_EDGE_MM = 1.0


@dataclass(frozen=True)
class CtOptions:
    """What is laid down beforehand; None is drawn from the seed.

    Attributes:
        slices: how many, from below the joints to above them, 1 to 200.
        size: rows and columns, 256 to 1024.
        field_mm: side of the square field, 360 to 500.
        left_grade, right_grade: 0 to 4, of the patient's left and right joint.
        pelvis: slices from the femoral heads to L5, with femora and vertebrae, in place of the joints alone.
    """

    slices: int = 24
    size: int = 512
    field_mm: float = 400.0
    left_grade: int | None = None
    right_grade: int | None = None
    pelvis: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (("slices", 1, 200), ("size", 256, 1024), ("field_mm", 360, 500)):
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"the phantom's {name} is {getattr(self, name)}, not {low} to {high}", source=name)
        for name in ("left_grade", "right_grade"):
            grade = getattr(self, name)
            if grade is not None and not 0 <= grade <= 4:
                raise UsageError(f"the phantom's {name} is {grade}, not 0 to 4", source=name)


@dataclass(frozen=True, eq=False)
class CtSlice:
    """One axial slice, seen from below: the patient's left on the right, the front at the top.

    Attributes:
        values: rows x columns, int16, Hounsfield units.
        height_mm: of its plane above the hip centres.
        joint: whether the plane cuts a sacroiliac joint.
    """

    values: npt.NDArray[np.int16]
    height_mm: float
    joint: bool


@dataclass(frozen=True, eq=False)
class CtSeries:
    """Slices from below upwards, and what is true of them.

    Attributes:
        slices: at equal distances.
        spacing_mm: of the pixels, both axes.
        distance_mm: of neighbouring planes.
        left, right: the patient's joints.
        seed: what it was drawn from.
        pelvis: as in the options.
    """

    slices: tuple[CtSlice, ...]
    spacing_mm: float
    distance_mm: float
    left: JointDisease
    right: JointDisease
    seed: tuple[int, ...]
    pelvis: bool = False


def render_ct(seed: int | Sequence[int], options: CtOptions | None = None) -> CtSeries:
    """Simulate one CT series.

    Args:
        seed: one or more non-negative integers; the same seed and options give the same values.
        options: what is laid down beforehand.
    """
    options = options or CtOptions()
    key = (seed,) if isinstance(seed, int) else tuple(int(each) for each in seed)
    streams = [np.random.Generator(np.random.PCG64(each)) for each in np.random.SeedSequence(key).spawn(5)]
    grades = streams[0].integers(0, 5, size=2)
    left, left_disease = joint_from_rng(streams[1], _given(options.left_grade, grades[0]))
    right, right_disease = joint_from_rng(streams[2], _given(options.right_grade, grades[1]))
    patient = _Patient.drawn(streams[3], left, right)
    low, high = (height * patient.scale[1] for height in JOINT_SPAN)
    margin = 6.0
    first, last = low - margin, high + margin
    if options.pelvis:
        first, last = (height * patient.scale[1] for height in PELVIS_SPAN)
    heights = np.linspace(first, last, options.slices) if options.slices > 1 else [(low + high) / 2]
    pixel = options.field_mm / options.size
    slices = tuple(
        CtSlice(values, float(height), bool(low < height < high))
        for height, values in zip(heights, _values(patient, heights, options, streams[4]), strict=True)
    )
    distance = float(heights[1] - heights[0]) if options.slices > 1 else 3.0
    return CtSeries(slices, pixel, distance, left_disease, right_disease, key, options.pelvis)


@dataclass(frozen=True, eq=False)
class _Patient:
    """Size, turn about the long axis, density and body of one patient, with what both joints add."""

    scale: tuple[float, float, float]
    turn: float
    density: float
    half: tuple[float, float]
    fat_mm: float
    added: dict[float, F32]

    @classmethod
    def drawn(cls, rng: np.random.Generator, left: F32, right: F32) -> _Patient:
        size = float(np.clip(rng.normal(0.98, 0.03), 0.9, 1.06))
        stretch = rng.normal(1.0, 0.02, 3).clip(0.95, 1.05)
        return cls(
            scale=(size * float(stretch[0]), size * float(stretch[1]), size * float(stretch[2])),
            turn=float(np.deg2rad(rng.normal(0.0, 2.0))),
            density=float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.3)),
            half=(float(rng.uniform(168, 186)), float(rng.uniform(108, 132))),
            fat_mm=float(rng.uniform(10, 28)),
            added={1.0: left, -1.0: right},
        )

    def mean_points(self, x: F32, front: F32, height: float) -> Floats:
        """Where points of this patient's plane lie in the mean anatomy, n x 3, mm."""
        turned_x = np.cos(self.turn) * x - np.sin(self.turn) * front
        turned_z = np.sin(self.turn) * x + np.cos(self.turn) * front
        points = np.stack([turned_x, np.full_like(x, height), turned_z - 30.0], axis=1)
        return np.asarray(points / np.array(self.scale))


def _given(grade: int | None, drawn: int) -> int:
    return int(drawn) if grade is None else grade


def _values(
    patient: _Patient, heights: Sequence[float] | Floats, options: CtOptions, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int16]]:
    pixel = options.field_mm / options.size
    axis = ((np.arange(options.size) - (options.size - 1) / 2) * pixel).astype(np.float32)
    x, front = np.meshgrid(axis, -axis)
    for height in heights:
        soft, inside = _soft_tissue(patient, x, front, rng)
        mineral = _mineral(patient, x.ravel(), front.ravel(), float(height), options.pelvis).reshape(x.shape)
        values = soft + CORTICAL * patient.density * mineral * inside
        blurred = cv2.GaussianBlur(values.astype(np.float32), (0, 0), _BLUR_MM / pixel)
        noise = cv2.GaussianBlur(rng.normal(size=x.shape).astype(np.float32), (0, 0), 0.8)
        noisy = blurred + noise * np.float32(_NOISE_HU / noise.std())
        yield np.clip(np.rint(noisy), -1024, 3071).astype(np.int16)


def _soft_tissue(patient: _Patient, x: F32, front: F32, rng: np.random.Generator) -> tuple[F32, F32]:
    """Hounsfield units without bone, and 1 inside the body. Fat under the skin, muscle, fat and bowel in the pelvis."""
    radius = np.hypot(x / patient.half[0], front / patient.half[1])
    inside = np.clip((1.0 - radius) * patient.half[1] / _EDGE_MM + 0.5, 0.0, 1.0)
    wall = np.clip((1.0 - radius) * patient.half[1] - patient.fat_mm, -1.0, 1.0) / 2 + 0.5
    cavity = np.clip((1.0 - np.hypot(x / 78.0, (front - 48.0) / 42.0)) * 20.0 + 0.5, 0.0, 1.0)
    loops = cv2.GaussianBlur(rng.normal(size=x.shape).astype(np.float32), (0, 0), 9.0 * x.shape[0] / 512)
    bowel = np.where(loops > 0, 25.0, FAT)
    tissue = FAT + wall * (MUSCLE - FAT)
    tissue = tissue + cavity * (bowel - tissue)
    return (AIR + inside * (tissue - AIR)).astype(np.float32), inside.astype(np.float32)


def _mineral(patient: _Patient, x: F32, front: F32, height: float, neighbours: bool) -> F32:
    """Shares of cortical bone in the plane, 0 to about 1."""
    points = patient.mean_points(x, front, height)
    mirrored = points * np.array([-1.0, 1.0, 1.0])
    total = _bone(points, sacrum_field(), SACRUM_GRID, sacrum_cortex(points))
    for side, there in ((1.0, points), (-1.0, mirrored)):
        total = np.maximum(total, _bone(there, hip_field(), HIP_GRID, hip_cortex(there)))
        total = total + _joint(there, patient.added[side])
    if neighbours:
        for bone in neighbour_bones():
            total = np.maximum(total, _bone(bone.own_points(points), bone.field(), bone.grid, bone.wall_mm))
    return np.clip(total, 0.0, 1.3).astype(np.float32)


def _bone(points: Floats, field: F32, grid: Grid, wall: Floats | float) -> Floats:
    place = (points - np.array(grid.origin)) / grid.step
    held = np.all((place >= 0) & (place <= np.array(grid.shape) - 1), axis=1)
    distance = np.full(len(points), 99.0)
    distance[held] = sample(field, place[held])
    occupied = np.clip(0.5 - distance / _EDGE_MM, 0.0, 1.0)
    inner = np.clip(0.5 - (distance + wall) / _EDGE_MM, 0.0, 1.0)
    return np.asarray(SPONGIOSA * inner + (occupied - np.minimum(inner, occupied)))


def _joint(points: Floats, added: F32) -> Floats:
    lattice = joint_lattice()
    place = (points[:, ::-1] - np.array(LOW[::-1])) / np.array([DEPTH_STEP, STEP, STEP])
    held = np.all((place >= 0) & (place <= np.array(lattice.across.shape) - 1), axis=1)
    out = np.zeros(len(points))
    out[held] = sample(added, place[held])
    return out
