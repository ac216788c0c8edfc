"""Signed distances of simple solids, in mm, negative inside. Points come as broadcastable x, y, z arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
Points = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating], npt.NDArray[np.floating]]
Vector = tuple[float, float, float]
Knot = tuple[float, float, float, float]
"""A point of a tube: x, y, z, radius."""


def capsule(p: Points, a: Knot, b: Knot, flat: Vector = (1.0, 1.0, 1.0)) -> F32:
    """A tapered capsule; ``flat`` > 1 makes it thinner along that axis by this factor."""
    ax, ay, az, ra = a
    d = [(b[i] - a[i]) for i in range(3)]
    length2 = sum(v * v for v in d) or 1.0
    rel = (p[0] - ax, p[1] - ay, p[2] - az)
    t = np.clip((rel[0] * d[0] + rel[1] * d[1] + rel[2] * d[2]) / length2, 0.0, 1.0)
    off = [(rel[i] - t * d[i]) * flat[i] for i in range(3)]
    out: F32 = (np.sqrt(off[0] ** 2 + off[1] ** 2 + off[2] ** 2) - (ra + t * (b[3] - ra))).astype(np.float32)
    return out


def tube(p: Points, knots: Sequence[Knot], flat: Vector = (1.0, 1.0, 1.0)) -> F32:
    """Capsules from knot to knot."""
    out = capsule(p, knots[0], knots[1], flat)
    for a, b in pairwise(knots[1:]):
        np.minimum(out, capsule(p, a, b, flat), out=out)
    return out


def ellipsoid(p: Points, centre: Vector, half: Vector) -> F32:
    """An ellipsoid with half axes ``half``; the distance is of first order near the surface."""
    q = [(p[i] - centre[i]) / half[i] for i in range(3)]
    k0 = np.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2)
    k1 = np.sqrt((q[0] / half[0]) ** 2 + (q[1] / half[1]) ** 2 + (q[2] / half[2]) ** 2)
    out: F32 = (k0 * (k0 - 1.0) / np.maximum(k1, 1e-6)).astype(np.float32)
    return out


def smooth_union(a: F32, b: F32, width: float) -> F32:
    """The union, filleted over about ``width`` mm."""
    h = np.clip(0.5 + 0.5 * (b - a) / width, 0.0, 1.0)
    out: F32 = (b + (a - b) * h - width * h * (1.0 - h)).astype(np.float32)
    return out


def smooth_cut(a: F32, b: F32, width: float) -> F32:
    """``a`` without ``b``, its edge rounded over about ``width`` mm."""
    out: F32 = -smooth_union(-a, b, width)
    return out


def rounded(knots: Sequence[Knot], parts: int = 3) -> tuple[Knot, ...]:
    """The Catmull-Rom curve through the knots, each stretch cut in ``parts``."""
    k = np.array([knots[0], *knots, knots[-1]], float)
    out = []
    for i in range(1, len(k) - 2):
        for t in np.arange(parts) / parts:
            a = 2 * k[i] + (k[i + 1] - k[i - 1]) * t
            b = (2 * k[i - 1] - 5 * k[i] + 4 * k[i + 1] - k[i + 2]) * t**2
            out.append((a + b + (3 * k[i] - k[i - 1] - 3 * k[i + 1] + k[i + 2]) * t**3) / 2)
    out.append(k[-1])
    return tuple((float(q[0]), float(q[1]), float(q[2]), float(q[3])) for q in out)


def closed(field: F32) -> F32:
    """The same field with its outermost layer outside the solid."""
    out: F32 = np.array(field, np.float32)
    for axis in range(3):
        edge = np.moveaxis(out, axis, 0)
        edge[0], edge[-1] = np.maximum(edge[0], 1.0), np.maximum(edge[-1], 1.0)
    return out
