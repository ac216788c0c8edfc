"""The left hip bone as a signed distance, in mm: x patient left, y cranial, z anterior, origin between the hip centres.

Measures are round numbers of a middle-sized adult, set by hand; every patient is a deformation of them.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from edge_sacro.phantom.mesh import Floats, Grid
from edge_sacro.phantom.solids import (
    F32,
    Knot,
    Points,
    capsule,
    closed,
    ellipsoid,
    rounded,
    smooth_cut,
    smooth_union,
    tube,
)

HIP_CENTRE = (88.0, 0.0, 0.0)
HEAD_RADIUS = 24.0
GRID = Grid.spanning((-3.0, -94.0, -114.0), (154.0, 156.0, 66.0), 1.7)

CREST: tuple[Knot, ...] = (
    (41.0, 88.0, -101.0, 6.5),
    (47.0, 106.0, -95.0, 6.5),
    (61.0, 126.0, -75.0, 5.5),
    (84.0, 141.0, -45.0, 4.8),
    (110.0, 145.0, -14.0, 4.6),
    (130.0, 137.0, 9.0, 6.0),
    (136.0, 122.0, 24.0, 5.2),
    (131.0, 101.0, 38.0, 4.6),
    (123.0, 82.0, 46.0, 5.6),
)
ARCUATE: tuple[Knot, ...] = (
    (68.0, 104.0, -46.0, 3.5),
    (64.0, 90.0, -43.0, 5.0),
    (60.0, 74.0, -41.0, 7.0),
    (60.0, 55.0, -31.0, 9.0),
    (67.0, 39.0, -14.0, 9.5),
    (71.0, 28.0, 2.0, 10.0),
    (70.0, 17.0, 19.0, 10.0),
)
NOTCH: tuple[Knot, ...] = (
    (43.0, 69.0, -88.0, 5.0),
    (49.0, 57.0, -73.0, 6.0),
    (55.0, 49.0, -61.0, 7.0),
    (63.0, 37.0, -48.0, 9.5),
    (72.0, 20.0, -36.0, 12.0),
)


def joint_middle(y: Floats, z: Floats) -> Floats:
    """X of the middle of the left sacroiliac joint space, where it exists, at y and z."""
    slope = 50.0 + 0.42 * (z + 47.0) + 0.05 * (y - 78.0)
    depth = z - joint_axis(y)
    # Seen from above the joint is an S: both its margins run almost along the ray and so draw a line each.
    wave = -1.45 * np.sin(2.0 * np.pi * (depth + 11.0) / 22.0) + 0.7 * np.sin((y - 70.0) / 6.0 + z / 19.0)
    bow = -2.5 * ((y - 80.0) / 32.0) ** 2
    return np.asarray(slope + wave + bow)


def joint_axis(y: Floats) -> Floats:
    """Z of the middle of the ear-shaped surface at height y."""
    return np.interp(y, (50.0, 58.0, 78.0, 102.0, 112.0), (-70.0, -64.0, -48.0, -41.0, -40.0))


def joint_halfwidth(y: Floats, z: Floats) -> Floats:
    """Half of the joint space, in mm along x: about 1.6 in the synovial part, widening behind and above it."""
    behind = np.maximum(-(z + 60.0) - 0.55 * (78.0 - y), 0.0)
    return np.asarray(1.7 + np.minimum(0.24 * behind, 5.0))


def auricular_depth(y: Floats, z: Floats) -> Floats:
    """How far (y, z) lies inside the ear-shaped joint surface, in mm; negative outside."""
    p = (np.zeros(1, np.float32), np.asarray(y, np.float32), np.asarray(z, np.float32))
    cranial = capsule(p, (0.0, 100.0, -41.0, 10.0), (0.0, 80.0, -46.0, 13.0))
    caudal = capsule(p, (0.0, 78.0, -47.0, 13.0), (0.0, 58.0, -65.0, 10.0))
    return -smooth_union(cranial, caudal, 5.0)


def joint_slab(p: Points, side: float, half: float) -> F32:
    """The bone under the joint surface, ``2 * half`` mm thick: the ilium's for side 1, the sacrum's for side -1."""
    y, z = np.broadcast_arrays(p[1][0], p[2][0])
    depth = auricular_depth(y, z)
    bevel = half * np.clip(0.2 + (depth + 2.5) / 12.0, 0.2, 1.0)
    middle = joint_middle(y, z) + side * (joint_halfwidth(y, z) + bevel / 0.86)
    flat = 0.86 * np.abs(p[0] - middle[None]) - bevel[None]
    out: F32 = np.maximum(flat, -depth[None] - 2.0).astype(np.float32)
    return out


class _Blade:
    """The iliac wing as a curved plate: a height over its own plane, a contour in that plane, a thickness."""

    STEP = 0.75

    def __init__(self) -> None:
        front = np.array([(114.0, 62.0, 42.0), (103.0, 40.0, 37.0), (96.0, 25.0, 28.0)])
        low = np.array([k[:3] for k in ARCUATE])[::-1]
        back = np.array([(46.0, 74.0, -84.0), (40.0, 78.0, -97.0)])
        fossa = np.array([(104.0, 92.0, -6.0), (92.0, 80.0, -14.0), (81.0, 104.0, -42.0), (121.0, 98.0, 20.0)])
        near = np.array([(64.0, 90.0, -38.0), (68.0, 104.0, -46.0), (58.0, 98.0, -72.0), (52.0, 88.0, -82.0)])
        fossa = np.concatenate([fossa, near, [(96.0, 60.0, 10.0), (76.0, 70.0, -24.0)]])
        crest = np.array(rounded(CREST))[:, :3]
        ring = np.concatenate([crest, front, low, [(53.0, 58.0, -64.0)], back])
        self.middle = np.array([92.0, 85.0, -25.0])
        p = np.array([78.0, -6.0, 146.0])
        p /= np.linalg.norm(p)
        q = np.array([58.0, 90.0, 0.0])
        q -= p * (q @ p)
        q /= np.linalg.norm(q)
        self.axes = np.stack([p, q, np.cross(p, q)])
        local = (np.concatenate([ring, fossa]) - self.middle) @ self.axes.T
        self.fit = np.linalg.lstsq(_terms(local[:, 0], local[:, 1]), local[:, 2], rcond=None)[0]
        contour = local[: len(ring), :2]
        self.low = contour.min(0) - 30.0
        size = np.ceil((contour.max(0) + 30.0 - self.low) / self.STEP).astype(int)
        canvas = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillPoly(canvas, [np.rint((contour - self.low) / self.STEP).astype(np.int32)], 1)
        inside = cv2.distanceTransform(canvas, cv2.DIST_L2, 5)
        outside = cv2.distanceTransform(1 - canvas, cv2.DIST_L2, 5)
        self.edge = cv2.GaussianBlur((outside - inside) * self.STEP, (0, 0), 3.0)

    def distance(self, p: Points) -> F32:
        """Signed distance of the plate."""
        rel = [a - m for a, m in zip(p, self.middle, strict=True)]
        u, v, w = (sum(axis[i] * rel[i] for i in range(3)).astype(np.float32) for axis in self.axes)
        flat = u.reshape(u.shape[0], -1)
        edge = cv2.remap(
            self.edge,
            ((flat - self.low[0]) / self.STEP).astype(np.float32),
            ((v.reshape(flat.shape) - self.low[1]) / self.STEP).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).reshape(u.shape)
        fit = self.fit.astype(np.float32)
        height = w - sum(c * t for c, t in zip(fit, np.moveaxis(_terms(u, v), -1, 0), strict=True))
        half = 2.0 + 2.6 * np.clip((-u - 38.0) / 40.0, 0, 1) + 1.5 * np.clip((-v - 20.0) / 25.0, 0, 1)
        out: F32 = np.maximum(0.86 * np.abs(height) - half, edge).astype(np.float32)
        return out


def _terms(u: Floats, v: Floats) -> Floats:
    u, v = u / np.float32(80.0), v / np.float32(60.0)
    return np.stack(
        [np.ones_like(u), u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3, u**4, u**3 * v, u * u * v * v],
        axis=-1,
    )


def hip_distance(p: Points) -> F32:
    """Signed distance of the left hip bone."""
    d = _Blade().distance(p)
    d = smooth_union(d, tube(p, rounded(CREST)), 4.0)
    d = smooth_union(d, tube(p, rounded(ARCUATE)), 7.0)
    d = smooth_union(d, tube(p, rounded(NOTCH)), 5.0)
    d = smooth_union(d, joint_slab(p, 1.0, 6.0), 9.0)
    back = ((44.0, 86.0, -96.0, 7.5), (50.0, 84.0, -80.0, 7.5))
    d = smooth_union(d, tube(p, back), 8.0)
    spina = ((123.0, 82.0, 46.0, 5.0), (112.0, 60.0, 41.0, 3.5), (104.0, 42.0, 38.0, 7.0), (96.0, 27.0, 27.0, 12.0))
    d = smooth_union(d, tube(p, rounded(spina)), 5.0)
    pillar = ((93.0, 36.0, 6.0, 12.0), (104.0, 78.0, 3.0, 4.5), (127.0, 130.0, 9.0, 4.5))
    d = smooth_union(d, tube(p, pillar), 12.0)
    body = ((57.0, 62.0, -50.0, 9.0), (63.0, 46.0, -38.0, 13.0), (71.0, 27.0, -20.0, 17.0))
    d = smooth_union(d, tube(p, body, (1.5, 1.0, 1.0)), 8.0)
    d = smooth_union(d, _ischium(p), 6.0)
    d = smooth_union(d, _pubis(p), 6.0)
    d = _acetabulum(p, d)
    return _facing_the_sacrum(p, d)


def _ischium(p: Points) -> F32:
    body = ((72.0, 20.0, -36.0, 12.0), (74.0, -6.0, -34.0, 13.0), (70.0, -30.0, -34.0, 13.5))
    tuber = (*body, (64.0, -53.0, -28.0, 15.5), (54.0, -63.0, -16.0, 12.5))
    d = tube(p, rounded(tuber))
    d = smooth_union(d, tube(p, ((62.0, 8.0, -42.0, 8.0), (50.0, -1.0, -47.0, 3.2))), 5.0)
    ramus = ((55.0, -65.0, -14.0, 10.5), (40.0, -60.0, 8.0, 8.0), (26.0, -52.0, 26.0, 8.0), (13.0, -40.0, 38.0, 9.0))
    return smooth_union(d, tube(p, rounded(ramus), (1.0, 1.0, 1.1)), 8.0)


def _pubis(p: Points) -> F32:
    body = capsule(p, (12.0, -22.0, 44.0, 11.0), (12.0, -40.0, 39.0, 11.0), (1.0, 1.0, 1.35))
    ramus = ((78.0, 20.0, 22.0, 12.0), (62.0, 9.0, 35.0, 10.0), (44.0, -3.0, 43.0, 8.5), (26.0, -14.0, 46.0, 8.5))
    d = smooth_union(body, tube(p, rounded((*ramus, (12.0, -21.0, 45.0, 10.0))), (1.0, 1.0, 1.15)), 6.0)
    return smooth_union(d, ellipsoid(p, (25.0, -8.0, 50.0), (4.5, 4.0, 4.0)), 4.0)


def _acetabulum(p: Points, bone: F32) -> F32:
    """Add the cup round the hip centre, then hollow it, and cut the symphysis."""
    axis = np.array([0.64, -0.70, 0.31])
    rel = [a - c for a, c in zip(p, HIP_CENTRE, strict=True)]
    along = (rel[0] * axis[0] + rel[1] * axis[1] + rel[2] * axis[2]).astype(np.float32)
    radius = np.sqrt(rel[0] ** 2 + rel[1] ** 2 + rel[2] ** 2).astype(np.float32)
    shell = np.maximum(radius - 33.5, along - 4.0)
    roof = capsule(p, (92.0, 26.0, 2.0, 14.0), (84.0, 24.0, -8.0, 17.0))
    d = smooth_union(bone, smooth_union(shell, roof, 6.0), 5.0)
    plate = capsule(p, (65.0, 30.0, -14.0, 17.0), (67.0, -14.0, -22.0, 17.0), (3.6, 1.0, 1.0))
    d = smooth_union(d, plate, 7.0)
    d = smooth_cut(d, radius - (HEAD_RADIUS + 3.0), 1.2)
    fossa = ellipsoid(p, (72.0, -9.0, -5.0), (12.0, 16.0, 12.0))
    d = smooth_cut(d, fossa, 2.0)
    notch = capsule(p, (88.0, -30.0, 6.0, 9.0), (70.0, -24.0, 2.0, 7.0))
    d = smooth_cut(d, notch, 4.0)
    out: F32 = np.maximum(d, (2.4 - p[0]).astype(np.float32))
    return out


def _facing_the_sacrum(p: Points, bone: F32) -> F32:
    """Cut what lies medial to the joint space."""
    y, z = np.broadcast_arrays(p[1][0], p[2][0])
    wall = joint_middle(y, z) + joint_halfwidth(y, z)
    distance = (0.86 * (wall[None] - p[0])).astype(np.float32)
    near = np.broadcast_to(((y > 36.0) & (z < -12.0))[None], bone.shape)
    return np.where(near, np.maximum(bone, distance), bone)


@cache
def hip_field() -> F32:
    """The distances on :data:`GRID`, computed once a process."""
    return closed(hip_distance(GRID.axes()))
