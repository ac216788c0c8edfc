"""The sacroiliac joints as fine voxels in the frame of the mean left joint, and their projection.

The right joint is the mirror image. What the voxels hold comes from :mod:`edge_sacro.phantom.disease`.
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
ACROSS = 0.86
"""Distance across the joint for each mm along x."""


@dataclass(frozen=True, eq=False)
class Lattice:
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


@cache
def joint_lattice() -> Lattice:
    """The lattice, computed once a process, about 0.3 s."""
    x, y = (np.arange(a, b, STEP, dtype=np.float32) for a, b in zip(LOW[:2], HIGH[:2], strict=True))
    z = np.arange(LOW[2], HIGH[2], DEPTH_STEP, dtype=np.float32)
    zz, yy = np.meshgrid(z, y, indexing="ij")
    middle = joint_middle(yy, zz)
    inside = auricular_depth(yy, zz).astype(np.float32)
    across = (ACROSS * (x[None, None, :] - middle[..., None])).astype(np.float32)
    points = np.stack(np.broadcast_arrays(x[None, None, :], yy[..., None], zz[..., None]), axis=-1).reshape(-1, 3)
    lower = np.clip((108.0 - yy) / 24.0, 0.25, 1.0) * np.clip((inside + 1.0) / 4.0, 0.0, 1.0)
    return Lattice(
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
        subject: the patient.
        camera: the grid of the image.
    """
    lattice = joint_lattice()
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
