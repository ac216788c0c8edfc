"""What one sacroiliac joint holds beside its bones' meshes: plates, joint space, and what sacroiliitis does to them.

The bones' meshes carry no cortical bone on the joint surfaces; this model adds it, for every grade alike, so that
nothing but the disease tells the grades apart. Fields over the joint surface are functions of y and z, and of the depth
below the surface.

The grades follow the wording of the modified New York criteria (van der Linden 1984): 0 normal; 1 suspicious, blurred
margins; 2 minimal, small localised erosions or sclerosis, width kept; 3 unequivocal, erosions, sclerosis, widening,
narrowing or partial ankylosis; 4 total ankylosis. The numbers behind them are chosen by eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.phantom.joint import DEPTH_STEP, STEP, joint_lattice

F32 = npt.NDArray[np.float32]
SPONGIOSA = 0.17
"""Share of mineralised bone in cancellous bone."""


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


def _noise(rng: np.random.Generator, size: float) -> F32:
    """A smooth random field over the joint surface, z x y, of unit spread; features of about ``size`` mm."""
    lattice = joint_lattice()
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
    lattice = joint_lattice()
    depth = np.zeros(lattice.halfwidth.shape, np.float32)
    candidates = np.argwhere((lattice.inside > 0.5) & (lattice.synovial > 0.5))
    for _ in range(count):
        iz, iy = candidates[rng.integers(len(candidates))]
        r = rng.uniform(*radius)
        away = ((lattice.z - lattice.z[iz])[:, None] / 1.3) ** 2 + (lattice.y - lattice.y[iy])[None, :] ** 2
        np.maximum(depth, np.sqrt(np.maximum(r * r - away, 0.0)) * rng.uniform(0.8, 1.3), out=depth)
    return depth


def _healthy(rng: np.random.Generator) -> _Surface:
    lattice = joint_lattice()
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
    lattice = joint_lattice()
    s.blur += np.clip(0.45 + 0.25 * _noise(rng, 9.0), 0, 1) * lattice.synovial * np.float32(rng.uniform(0.7, 1.1))
    s.iliac_sclerosis += (
        np.float32(rng.uniform(0.02, 0.08)) * lattice.synovial * np.clip(0.5 + _noise(rng, 14.0), 0, 1.5)
    )
    count = int(rng.integers(0, 4))
    s.iliac_pits = _pits(rng, count, (0.7, 1.3))
    return "kept", count


def _minimal(s: _Surface, rng: np.random.Generator) -> tuple[str, int]:
    lattice = joint_lattice()
    s.blur += np.clip(0.5 + 0.3 * _noise(rng, 9.0), 0, 1) * lattice.synovial * np.float32(rng.uniform(0.6, 1.0))
    local = np.clip(0.5 + 0.9 * _noise(rng, 18.0), 0, 1.6) * lattice.synovial
    s.iliac_sclerosis += np.float32(rng.uniform(0.20, 0.34)) * local
    s.sacral_sclerosis += np.float32(rng.uniform(0.06, 0.14)) * local
    count = int(rng.integers(9, 18))
    s.iliac_pits = _pits(rng, count, (1.4, 2.7))
    s.sacral_pits = _pits(rng, count // 3, (1.0, 1.8))
    s.reach = (float(rng.uniform(4, 7)), float(rng.uniform(3, 5)))
    return "kept", count


def _definite(s: _Surface, rng: np.random.Generator) -> tuple[str, int]:
    lattice = joint_lattice()
    s.blur += np.clip(0.45 + 0.3 * _noise(rng, 9.0), 0, 1) * lattice.synovial * np.float32(rng.uniform(0.5, 1.0))
    broad = np.clip(0.85 + 0.5 * _noise(rng, 20.0), 0, 1.7) * lattice.synovial
    s.iliac_sclerosis += np.float32(rng.uniform(0.26, 0.46)) * broad
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
    lattice = joint_lattice()
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
    lattice = joint_lattice()
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
    lattice = joint_lattice()
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
    lattice = joint_lattice()
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
    lattice = joint_lattice()
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
