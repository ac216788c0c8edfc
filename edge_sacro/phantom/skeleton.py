"""The bones of the mean pelvis: an outer surface each, and how thick the cortical bone under it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from edge_sacro.phantom.hip import (
    ARCUATE,
    CREST,
    HEAD_RADIUS,
    HIP_CENTRE,
    auricular_depth,
    hip_field,
    joint_halfwidth,
    joint_middle,
)
from edge_sacro.phantom.hip import GRID as HIP_GRID
from edge_sacro.phantom.mesh import Floats, Grid, Mesh, gradient, mesh_from_distance, sample
from edge_sacro.phantom.sacrum import GRID as SACRUM_GRID
from edge_sacro.phantom.sacrum import sacrum_field
from edge_sacro.phantom.solids import F32, Points, tube
from edge_sacro.phantom.spine_femur import FEMUR_GRID, VERTEBRA_GRID, femur_field, vertebra_field


@dataclass(frozen=True, eq=False)
class Bone:
    """One bone.

    Attributes:
        name: ``"sacrum"``, ``"left_hip"``, ``"right_femur"``, ``"L5"`` and so on.
        outer: its surface, mm.
        inward: n x 3, from each vertex to the inner side of the cortical bone, mm.
    """

    name: str
    outer: Mesh
    inward: Floats

    def mirrored(self, name: str) -> Bone:
        """The bone of the other side."""
        return Bone(name, self.outer.mirrored(), self.inward * np.array([-1.0, 1.0, 1.0]))

    def shifted(self, name: str, turn_deg: float, to: tuple[float, float, float]) -> Bone:
        """A copy, turned about x (positive: the front goes down), then moved."""
        a = np.deg2rad(turn_deg)
        r = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        return Bone(name, self.outer.moved(self.outer.vertices @ r.T + np.array(to)), self.inward @ r.T)


@cache
def mean_bones() -> tuple[Bone, ...]:
    """Every bone of the mean pelvis; built once a process, about 3 s."""
    hip = _bone("left_hip", hip_field(), HIP_GRID, hip_cortex)
    femur = _bone("left_femur", femur_field(), FEMUR_GRID, _femur_cortex)
    vertebra = _bone("L5", vertebra_field(), VERTEBRA_GRID, _vertebra_cortex)
    sacrum = _bone("sacrum", sacrum_field(), SACRUM_GRID, sacrum_cortex)
    return (
        hip,
        hip.mirrored("right_hip"),
        femur,
        femur.mirrored("right_femur"),
        sacrum,
        vertebra.shifted("L5", 24.0, (0.0, 138.0, -11.0)),
        vertebra.shifted("L4", 8.0, (0.0, 174.0, -1.0)),
        vertebra.shifted("L3", -2.0, (0.0, 211.0, 1.0)),
    )


def _bone(name: str, field: F32, grid: Grid, cortex: Callable[[Floats], Floats]) -> Bone:
    mesh = mesh_from_distance(field, grid)
    at = (mesh.vertices - np.array(grid.origin)) / grid.step
    normal = gradient(field, at, 1.0)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    room = np.full(len(at), 12.0)
    for reach in np.arange(12.0, 0.7, -0.75):
        outside = sample(field, at - normal * (reach / grid.step)) > 0
        room[outside] = reach
    wall = np.minimum(cortex(mesh.vertices), 0.42 * room)
    return Bone(name, mesh, -normal * wall[:, None])


def _points(v: Floats) -> Points:
    return v[:, 0], v[:, 1], v[:, 2]


def _bump(distance: Floats, width: float) -> Floats:
    return np.asarray(np.exp(-((np.maximum(distance, 0.0) / width) ** 2)))


def _away_from_joint(v: Floats, side: float) -> Floats:
    """0 on the joint's surfaces, whose plates the joint's own model adds, 1 away from them."""
    x, y, z = np.abs(v[:, 0]), v[:, 1], v[:, 2]
    wall = joint_middle(y, z) + side * joint_halfwidth(y, z)
    near = (np.abs(x - wall) < 1.6) & (z < -12.0) & (y > 36.0)
    inside = np.clip((auricular_depth(y, z) + 3.0) / 3.0, 0.0, 1.0)
    return np.asarray(1.0 - near * inside)


def hip_cortex(v: Floats) -> Floats:
    """Thickness of the hip bone's cortical bone near points n x 3, mm; none on the joint."""
    p = _points(v)
    t = 1.0 + 0.9 * _bump(tube(p, ARCUATE), 6.0) + 0.5 * _bump(tube(p, CREST), 4.0)
    rel = v - np.array(HIP_CENTRE)
    r = np.linalg.norm(rel, axis=1)
    t += 1.3 * np.exp(-(((r - HEAD_RADIUS - 3.0) / 3.0) ** 2)) * np.clip(rel[:, 1] / r + 0.1, 0, 1)
    t += 0.5 * np.clip((-v[:, 1] - 10.0) / 30.0, 0, 1)
    return np.asarray(t * _away_from_joint(v, 1.0))


def sacrum_cortex(v: Floats) -> Floats:
    """Thickness of the sacrum's cortical bone near points n x 3, mm; none on the joint."""
    return np.asarray(0.75 * _away_from_joint(v, -1.0) + 0.0)


def _vertebra_cortex(v: Floats) -> Floats:
    arch = np.clip((-v[:, 2] - 12.0) / 6.0, 0, 1)
    return np.asarray(0.65 + 0.35 * arch + 0.25 * (np.abs(v[:, 1]) > 12.5) * (1 - arch))


def _femur_cortex(v: Floats) -> Floats:
    shaft = np.clip((-v[:, 1] - 38.0) / 50.0, 0, 1)
    medial = np.clip((118.0 - v[:, 0]) / 10.0, 0, 1) * np.clip((-v[:, 1] - 12.0) / 20.0, 0, 1)
    return np.asarray(0.8 + 5.2 * shaft + 2.6 * medial * (1 - shaft))
