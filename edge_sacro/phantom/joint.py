"""The sacroiliac joints in fine voxels: plates, joint space, and what sacroiliitis does to them.

The bones' meshes carry no cortical bone on the joint surfaces; this model adds it, for every grade alike, so that
nothing but the disease tells the grades apart. Its lattice is that of the mean left joint; the right one is its mirror
image. Fields over the joint surface are functions of y and z, and of the depth below the surface.

The grades follow the wording of the modified New York criteria (van der Linden 1984): 0 normal; 1 suspicious, blurred
margins; 2 minimal, small localised erosions or sclerosis, width kept; 3 unequivocal, erosions, sclerosis, widening,
narrowing or partial ankylosis; 4 total ankylosis. The numbers behind them are chosen by eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.phantom.hip import GRID as HIP_GRID
from edge_sacro.phantom.hip import auricular_depth, hip_field, joint_halfwidth, joint_middle
from edge_sacro.phantom.mesh import Floats, Grid, sample
from edge_sacro.phantom.projection import Camera
from edge_sacro.phantom.sacrum import GRID as SACRUM_GRID
from edge_sacro.phantom.sacrum import sacrum_field
from edge_sacro.phantom.subject import Subject

F32 = npt.NDArray[np.float32]
STEP, DEPTH_STEP = 0.6, 1.2
LOW, HIGH = (24.0, 38.0, -84.0), (80.0, 118.0, -14.0)
SPONGIOSA = 0.17
"""Share of mineralised bone in cancellous bone."""
ACROSS = 0.86
"""Distance across the joint for each mm along x."""


@dataclass(frozen=True, eq=False)
class _Lattice:
    """What every joint shares: z x y x x fields and z x y fields, float32."""

    x: F32
    y: F32
    z: F32
    across: F32
    halfwidth: F32
    inside: F32
    fade: F32
    in_hip: F32
    in_sacrum: F32
    synovial: F32


@dataclass(frozen=True)
class JointDisease:
    """What was drawn for one joint.

    Attributes:
        grade: 0 to 4.
        width: ``"kept"``, ``"widened"``, ``"narrowed"``, ``"mixed"`` or ``"fused"``.
        mimic: ``"none"``, ``"condensans"`` (iliac sclerosis beside a sound joint) or ``"bone_island"``.
        bridged: share of the joint surface that is bridged by bone.
        erosions: how many.
        sclerosis: peak of the added mineral share on the iliac side.
    """

    grade: int
    width: str
    mimic: str
    bridged: float
    erosions: int
    sclerosis: float


@cache
def _lattice() -> _Lattice:
    x, y = (np.arange(a, b, STEP, dtype=np.float32) for a, b in zip(LOW[:2], HIGH[:2], strict=True))
    z = np.arange(LOW[2], HIGH[2], DEPTH_STEP, dtype=np.float32)
    zz, yy = np.meshgrid(z, y, indexing="ij")
    middle = joint_middle(yy, zz)
    inside = auricular_depth(yy, zz).astype(np.float32)
    across = (ACROSS * (x[None, None, :] - middle[..., None])).astype(np.float32)
    points = np.stack(np.broadcast_arrays(x[None, None, :], yy[..., None], zz[..., None]), axis=-1).reshape(-1, 3)
    lower = np.clip((108.0 - yy) / 24.0, 0.25, 1.0) * np.clip((inside + 1.0) / 4.0, 0.0, 1.0)
    return _Lattice(
        x=x,
        y=y,
        z=z,
        across=across,
        halfwidth=(ACROSS * joint_halfwidth(yy, zz)).astype(np.float32),
        inside=inside,
        fade=np.clip((inside + 3.0) / 3.0, 0.0, 1.0).astype(np.float32),
        in_hip=_occupied(hip_field(), HIP_GRID, points, across.shape),
        in_sacrum=_occupied(sacrum_field(), SACRUM_GRID, points, across.shape),
        synovial=lower.astype(np.float32),
    )


def _occupied(field: F32, grid: Grid, points: Floats, shape: tuple[int, ...]) -> F32:
    distance = sample(field, (points - np.array(grid.origin)) / grid.step).reshape(shape)
    out: F32 = np.clip(0.5 - distance / 1.2, 0.0, 1.0).astype(np.float32)
    return out


def _noise(rng: np.random.Generator, size: float) -> F32:
    """A smooth random field over the joint surface, z x y, of unit spread; features of about ``size`` mm."""
    lattice = _lattice()
    rough = rng.standard_normal(lattice.halfwidth.shape).astype(np.float32)
    field = cv2.GaussianBlur(rough, (0, 0), sigmaX=size / STEP / 2, sigmaY=size / DEPTH_STEP / 2)
    out: F32 = ((field - field.mean()) / max(float(field.std()), 1e-6)).astype(np.float32)
    return out


@dataclass(eq=False)
class _Surface:
    """Fields over the joint surface while a joint is being drawn."""

    widen: F32
    iliac_pits: F32
    sacral_pits: F32
    blur: F32
    iliac_sclerosis: F32
    sacral_sclerosis: F32
    bridge: F32
    reach: tuple[float, float]


def _pits(rng: np.random.Generator, count: int, radius: tuple[float, float]) -> F32:
    """Depth of erosions below the plate, mm."""
    lattice = _lattice()
    depth = np.zeros(lattice.halfwidth.shape, np.float32)
    candidates = np.argwhere((lattice.inside > 0.5) & (lattice.synovial > 0.5))
    for _ in range(count):
        iz, iy = candidates[rng.integers(len(candidates))]
        r = rng.uniform(*radius)
        away = ((lattice.z - lattice.z[iz])[:, None] / 1.3) ** 2 + (lattice.y - lattice.y[iy])[None, :] ** 2
        np.maximum(depth, np.sqrt(np.maximum(r * r - away, 0.0)) * rng.uniform(0.8, 1.3), out=depth)
    return depth


def _healthy(rng: np.random.Generator) -> _Surface:
    lattice = _lattice()
    zero = np.zeros_like(lattice.halfwidth)
    physiologic = abs(rng.normal(0, 0.05)) * lattice.synovial
    return _Surface(
        widen=zero + np.float32(rng.normal(0.0, 0.22)) + np.float32(0.12) * _noise(rng, 12.0),
        iliac_pits=zero.copy(),
        sacral_pits=zero.copy(),
        blur=zero + np.float32(abs(rng.normal(0, 0.08))),
        iliac_sclerosis=physiologic.astype(np.float32),
        sacral_sclerosis=zero.copy(),
        bridge=zero.copy(),
        reach=(float(rng.uniform(3, 6)), 4.0),
    )


def _suspicious(s: _Surface, rng: np.random.Generator) -> tuple[str, int]:
    lattice = _lattice()
    s.blur += np.clip(0.45 + 0.25 * _noise(rng, 9.0), 0, 1) * lattice.synovial * np.float32(rng.uniform(0.7, 1.1))
    s.iliac_sclerosis += (
        np.float32(rng.uniform(0.03, 0.10)) * lattice.synovial * np.clip(0.5 + _noise(rng, 14.0), 0, 1.5)
    )
    count = int(rng.integers(0, 4))
    s.iliac_pits = _pits(rng, count, (0.7, 1.3))
    return "kept", count


def _minimal(s: _Surface, rng: np.random.Generator) -> tuple[str, int]:
    lattice = _lattice()
    s.blur += np.clip(0.5 + 0.3 * _noise(rng, 9.0), 0, 1) * lattice.synovial * np.float32(rng.uniform(0.6, 1.0))
    local = np.clip(0.5 + 0.9 * _noise(rng, 18.0), 0, 1.6) * lattice.synovial
    s.iliac_sclerosis += np.float32(rng.uniform(0.14, 0.26)) * local
    s.sacral_sclerosis += np.float32(rng.uniform(0.04, 0.12)) * local
    count = int(rng.integers(7, 15))
    s.iliac_pits = _pits(rng, count, (1.1, 2.2))
    s.sacral_pits = _pits(rng, count // 3, (0.8, 1.5))
    s.reach = (float(rng.uniform(4, 7)), float(rng.uniform(3, 5)))
    return "kept", count


def _definite(s: _Surface, rng: np.random.Generator) -> tuple[str, int]:
    lattice = _lattice()
    s.blur += np.clip(0.45 + 0.3 * _noise(rng, 9.0), 0, 1) * lattice.synovial * np.float32(rng.uniform(0.5, 1.0))
    broad = np.clip(0.85 + 0.5 * _noise(rng, 20.0), 0, 1.7) * lattice.synovial
    s.iliac_sclerosis += np.float32(rng.uniform(0.22, 0.42)) * broad
    s.sacral_sclerosis += np.float32(rng.uniform(0.12, 0.28)) * broad
    count = int(rng.integers(18, 40))
    s.iliac_pits = _pits(rng, count, (1.5, 3.8))
    s.sacral_pits = _pits(rng, count // 2, (1.2, 2.8))
    s.reach = (float(rng.uniform(6, 11)), float(rng.uniform(5, 8)))
    width = str(rng.choice(["widened", "narrowed", "mixed"], p=[0.45, 0.25, 0.3]))
    wave = _noise(rng, 14.0)
    if width == "widened":
        s.widen += np.clip(1.0 + 0.5 * wave, 0, 2.2) * lattice.synovial * np.float32(rng.uniform(0.6, 1.2))
    elif width == "narrowed":
        s.widen -= np.clip(0.9 + 0.4 * wave, 0, 1.4) * lattice.synovial * np.float32(rng.uniform(0.6, 0.95))
    else:
        s.widen += 0.75 * wave * lattice.synovial
    share = float(rng.uniform(0.0, 0.3))
    s.bridge = _bridges(rng, share)
    return width, count


def _fused(s: _Surface, rng: np.random.Generator) -> tuple[str, int]:
    lattice = _lattice()
    ghost = float(rng.uniform(0.0, 0.35))
    s.bridge = np.clip(1.0 - ghost * np.clip(0.5 + _noise(rng, 10.0), 0, 1), 0, 1).astype(np.float32)
    s.blur += np.float32(rng.uniform(0.5, 1.0))
    rest = np.clip(0.5 + 0.5 * _noise(rng, 16.0), 0, 1.3) * lattice.synovial * np.float32(rng.uniform(0.0, 0.16))
    s.iliac_sclerosis += rest
    s.sacral_sclerosis += 0.7 * rest
    s.reach = (8.0, 7.0)
    return "fused", 0


_DRAW = {1: _suspicious, 2: _minimal, 3: _definite, 4: _fused}


def _bridges(rng: np.random.Generator, share: float) -> F32:
    lattice = _lattice()
    field = _noise(rng, 12.0)
    level = float(np.quantile(field[lattice.inside > 0], 1.0 - share))
    out: F32 = (np.clip((field - level) * 3.0, 0, 1) * lattice.synovial * (share > 0.03)).astype(np.float32)
    return out


def joint_from_rng(rng: np.random.Generator, grade: int) -> tuple[F32, JointDisease]:
    """The mineral that one joint adds to (or takes from) what its bones' meshes hold.

    Args:
        rng: draws the details.
        grade: 0 to 4.

    Returns:
        z x y x x shares of cortical bone on the lattice of the mean left joint, and what was drawn.
    """
    lattice = _lattice()
    surface = _healthy(rng)
    width, erosions = _DRAW[grade](surface, rng) if grade else ("kept", 0)
    mimic = "none"
    chance = rng.random()
    if grade <= 1 and chance < 0.22:
        mimic = "condensans" if chance < 0.13 else "bone_island"
    added = _mineral(surface)
    if mimic == "condensans":
        triangle = np.clip((92.0 - lattice.y) / 30.0, 0, 1)[None, :] * lattice.fade
        beyond = np.maximum(lattice.across - lattice.halfwidth[..., None], 0.0)
        reach = (7.0 + 9.0 * np.clip((80.0 - lattice.y) / 30.0, 0, 1))[None, :, None]
        added += (
            rng.uniform(0.18, 0.4)
            * triangle[..., None]
            * (beyond > 0)
            * np.exp(-((beyond / reach) ** 4))
            * lattice.in_hip
        )
    elif mimic == "bone_island":
        added += _island(rng)
    peak = float(surface.iliac_sclerosis.max())
    info = JointDisease(grade, width, mimic, round(float(surface.bridge.mean()), 3), erosions, round(peak, 3))
    return added.astype(np.float32), info


def _island(rng: np.random.Generator) -> F32:
    lattice = _lattice()
    centre = (rng.uniform(46, 66), rng.uniform(60, 100), rng.uniform(-60, -35))
    size = rng.uniform(2.5, 5.0)
    away = (
        ((lattice.x - centre[0]) ** 2)[None, None, :]
        + ((lattice.y - centre[1]) ** 2)[None, :, None]
        + ((lattice.z - centre[2]) ** 2)[:, None, None]
    )
    out: F32 = (
        np.clip((size - np.sqrt(away)) / 1.0, 0, 1) * 0.75 * np.maximum(lattice.in_hip, lattice.in_sacrum)
    ).astype(np.float32)
    return out


def _mineral(s: _Surface) -> F32:
    """Shares of cortical bone against those of the meshes."""
    lattice = _lattice()
    space = np.maximum(lattice.halfwidth + s.widen, 0.15)
    total = np.zeros_like(lattice.across)
    sides = (
        (1.0, space + s.iliac_pits, s.iliac_sclerosis, s.reach[0], 1.0, lattice.in_hip),
        (-1.0, space + s.sacral_pits, s.sacral_sclerosis, s.reach[1], 0.8, lattice.in_sacrum),
    )
    fused = (s.bridge * lattice.fade)[..., None]
    for sign, edge, sclerosis, reach, wall, whole in sides:
        below = sign * lattice.across - edge[..., None]
        spread = 1.0 + 2.2 * s.blur
        soft = (0.7 + 1.8 * s.blur)[..., None]
        bone = np.clip(below / soft + 0.5, 0.0, 1.0)
        inner = np.clip((below - (wall * spread)[..., None]) / soft + 0.5, 0.0, 1.0)
        plate = (bone - inner) * ((1.0 - SPONGIOSA) / spread)[..., None] * (1.0 - 0.85 * fused)
        dense = sclerosis[..., None] * np.exp(-((np.maximum(below, 0.0) / np.float32(reach)) ** 2)) * bone
        near = np.abs(lattice.across) < lattice.halfwidth[..., None] + 2.5
        limit = np.where(near, 1.0, whole)
        mesh = np.clip((sign * lattice.across - lattice.halfwidth[..., None]) / 0.7 + 0.5, 0.0, 1.0)
        total += limit * (plate + dense + SPONGIOSA * (bone - np.where(near, mesh, 1.0) * (below > -9.0)))
    filled = np.clip(1.2 - (np.abs(lattice.across) - lattice.halfwidth[..., None]) / 0.7, 0.0, 1.0)
    total += fused * filled * SPONGIOSA * 1.15
    out: F32 = (total * lattice.fade[..., None]).astype(np.float32)
    return out


@dataclass(frozen=True, eq=False)
class JointImage:
    """One joint on the detector.

    Attributes:
        top, left: where the window begins, in pixels; may be negative.
        mineral: mm of cortical bone along z, in the window.
        space: mm of (healthy) joint space along z, in the window.
    """

    top: int
    left: int
    mineral: F32
    space: F32


def project_joint(added: F32, side: float, subject: Subject, camera: Camera) -> JointImage:
    """Sum the lattice along the rays, slice by slice.

    Args:
        added: from :func:`joint_from_rng`.
        side: 1 for the left joint, -1 for the right one.
        subject, camera: where the joint is seen from.
    """
    lattice = _lattice()
    ys, xs = np.meshgrid(lattice.y[::12], lattice.x[::12], indexing="ij")
    rows, cols = np.meshgrid(np.arange(0, lattice.y.size, 12), np.arange(0, lattice.x.size, 12), indexing="ij")
    index = np.stack([cols.ravel(), rows.ravel(), np.ones(cols.size)], axis=1)
    solve = np.linalg.pinv(index)
    flat = np.stack([side * xs.ravel(), ys.ravel(), np.zeros(xs.size)], axis=1)
    points = np.concatenate([flat + np.array([0.0, 0.0, z]) for z in lattice.z])
    column, row, depth = camera.project(subject.posed(points))
    column, row, depth = (v.reshape(lattice.z.size, -1) for v in (column, row, depth))
    left, top = int(np.floor(column.min())) - 2, int(np.floor(row.min())) - 2
    size = (int(np.ceil(column.max())) - left + 3, int(np.ceil(row.max())) - top + 3)
    thick = np.gradient(-depth.mean(axis=1))
    middle = (np.abs(lattice.across) < lattice.halfwidth[..., None]) & (lattice.inside > 0)[..., None]
    mineral, space = np.zeros(size[::-1], np.float32), np.zeros(size[::-1], np.float32)
    for k in range(lattice.z.size):
        map_to = np.stack([solve @ (column[k] - left), solve @ (row[k] - top)])
        if lattice.fade[k].any():
            mineral += float(thick[k]) * cv2.warpAffine(added[k], map_to, size, flags=cv2.INTER_LINEAR)
        if middle[k].any():
            space += float(thick[k]) * cv2.warpAffine(
                middle[k].astype(np.float32), map_to, size, flags=cv2.INTER_LINEAR
            )
    return JointImage(top, left, mineral, space)
