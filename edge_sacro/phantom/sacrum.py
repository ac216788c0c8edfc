"""The sacrum and coccyx as a signed distance, in the frame of the hip bone, symmetric in x."""

from __future__ import annotations

from functools import cache

import numpy as np

from edge_sacro.phantom.hip import joint_halfwidth, joint_middle, joint_slab
from edge_sacro.phantom.mesh import Floats, Grid
from edge_sacro.phantom.solids import (
    F32,
    Points,
    capsule,
    closed,
    ellipsoid,
    rounded,
    smooth_cut,
    smooth_union,
    tube,
)

GRID = Grid.spanning((-66.0, -18.0, -102.0), (66.0, 132.0, 2.0), 1.6)

MIDDLE = ((117.0, -24.0), (104.0, -34.0), (84.0, -50.0), (67.0, -62.0), (50.0, -70.0), (34.0, -72.0), (19.0, -67.0))
"""y, z of the middle of the vertebral bodies: S1 endplate, S1 to S5, lower end."""
ARC = (0.0, 16.4, 42.0, 62.8, 81.6, 97.7, 113.5)
BODY_WIDTH = (26.0, 23.0, 18.0, 15.0, 13.0, 11.0, 8.0)
BODY_DEPTH = (16.5, 15.0, 11.5, 9.0, 7.0, 6.0, 4.0)
WING_WIDTH = (44.0, 61.0, 57.0, 48.0, 40.0, 32.0, 12.0)
WING_DEPTH = (6.0, 13.0, 13.5, 11.0, 8.0, 5.5, 4.0)
FORAMINA = ((29.5, 24.5, 6.6), (53.0, 21.5, 6.2), (72.5, 19.0, 5.4), (90.0, 16.5, 4.6))
"""Along the arc, from the middle, radius in front, of S1 to S4."""


def _along(y: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Arc length below the S1 endplate and distance in front of the middle line, both mm, of points (y, z)."""
    knots = np.array(rounded([(a, b, 0.0, s) for (a, b), s in zip(MIDDLE, ARC, strict=True)], 6))
    start, end = knots[:-1], knots[1:]
    best = np.full(y.shape, 1e9)
    arc, front = np.zeros(y.shape), np.zeros(y.shape)
    last = len(start) - 1
    for i, (a, b) in enumerate(zip(start, end, strict=True)):
        dy, dz = b[0] - a[0], b[1] - a[1]
        length = float(np.hypot(dy, dz))
        t = ((y - a[0]) * dy + (z - a[1]) * dz) / length**2
        t = np.clip(t, -50.0 if i == 0 else 0.0, 50.0 if i == last else 1.0)
        oy, oz = y - a[0] - t * dy, z - a[1] - t * dz
        gap = np.hypot(oy, oz)
        near = gap < best
        best = np.where(near, gap, best)
        arc = np.where(near, a[3] + t * (b[3] - a[3]), arc)
        front = np.where(near, (-oy * dz + oz * dy) / -length, front)
    return arc, front


def sacrum_distance(p: Points) -> F32:
    """Signed distance of sacrum and coccyx."""
    y, z = np.broadcast_arrays(p[1][0], p[2][0])
    arc, front = _along(y, z)
    ax = np.abs(p[0])
    mirrored = (ax, p[1], p[2])
    d = _body(ax, arc, front)
    d = smooth_union(d, _wings(ax, arc, front), 5.0)
    d = _pierced(d, ax, arc, front)
    d = smooth_union(d, _arches(mirrored), 3.5)
    d = smooth_union(d, joint_slab(mirrored, -1.0, 6.0), 8.0)
    wall = joint_middle(y, z) - joint_halfwidth(y, z)
    d = np.maximum(d, (0.86 * (ax - wall[None])).astype(np.float32))
    coccyx = ((0.0, 16.0, -67.0, 5.5), (0.0, 4.0, -61.0, 4.0), (0.0, -8.0, -51.0, 2.4))
    out: F32 = smooth_union(d, tube(p, coccyx, (0.75, 1.0, 1.0)), 2.0)
    return out


def _body(ax: Floats, arc: Floats, front: Floats) -> F32:
    disc = 0.9 * np.exp(-(((arc[..., None] - np.array([29.0, 52.5, 72.0, 89.5])) / 3.0) ** 2)).sum(-1)
    width, depth = np.interp(arc, ARC, BODY_WIDTH), np.interp(arc, ARC, BODY_DEPTH) + 0.8 * disc
    q = (np.abs(ax / width) ** 2.6 + np.abs(front / depth) ** 2.6) ** (1 / 2.6)
    side = (q - 1.0) * np.minimum(width, depth)
    ends = np.maximum(-arc, arc - 113.0)
    out: F32 = np.maximum(side, ends[None]).astype(np.float32)
    return out


def _wings(ax: Floats, arc: Floats, front: Floats) -> F32:
    width, depth = np.interp(arc, ARC, WING_WIDTH), np.interp(arc, ARC, WING_DEPTH)
    set_back = np.interp(arc, (0.0, 20.0, 60.0, 113.0), (-3.0, -5.0, -2.5, 0.0)) - 5.0 * np.clip(
        (ax - 20.0) / 40.0, 0, 1
    )
    q = (np.abs(ax / width) ** 4 + np.abs((front - set_back) / depth) ** 2.5) ** (1 / 3.0)
    side = (q - 1.0) * np.minimum(width, depth)
    top = 4.0 + 0.30 * np.maximum(ax - 22.0, 0.0) - arc
    out: F32 = np.maximum(side, np.maximum(0.9 * top, (arc - 110.0)[None])).astype(np.float32)
    return out


def _pierced(d: F32, ax: Floats, arc: Floats, front: Floats) -> F32:
    """Foramina that widen to the front, and the canal."""
    for along, across, radius in FORAMINA:
        lean = np.clip((front + 6.0) / 20.0, -0.6, 1.0)
        centre = across + 5.0 * lean
        size = radius * (0.78 + 0.34 * lean)
        hole = np.sqrt((ax - centre) ** 2 + (0.95 * (arc - along - 1.5 * lean)) ** 2) - size
        d = smooth_cut(d, hole.astype(np.float32), 2.5)
    back = np.interp(arc, (-5.0, 40.0, 90.0), (-22.0, -15.5, -9.0))
    half = np.interp(arc, (-5.0, 40.0, 90.0), (13.0, 8.0, 4.0))
    canal = (np.sqrt((ax / half) ** 2 + ((front - back) / (0.55 * half)) ** 2) - 1.0) * 0.55 * half
    canal = np.maximum(canal, (arc - 92.0)[None])
    return smooth_cut(d, canal.astype(np.float32), 1.5)


def _arches(p: Points) -> F32:
    """Laminae, median crest and the superior articular processes of S1."""
    d = tube(
        p,
        rounded(((0.0, 102.0, -66.0, 3.2), (0.0, 84.0, -80.0, 3.4), (0.0, 62.0, -84.0, 3.0), (0.0, 44.0, -82.0, 2.4))),
    )
    for y, z, height in ((98.0, -70.0, 6.5), (78.0, -84.0, 5.5), (60.0, -87.0, 5.0)):
        d = smooth_union(d, ellipsoid(p, (0.0, y, z), (2.8, height, 5.0)), 3.0)
    lamina = ((0.0, 100.0, -66.0, 3.0), (10.0, 100.0, -58.0, 3.4), (20.0, 104.0, -49.0, 5.0))
    d = smooth_union(d, tube(p, lamina), 3.0)
    d = smooth_union(d, tube(p, ((0.0, 80.0, -79.0, 3.0), (12.0, 82.0, -70.0, 4.0))), 3.0)
    facet = capsule(p, (21.0, 106.0, -46.0, 6.0), (20.0, 122.0, -46.0, 5.0))
    return smooth_union(d, facet, 3.0)


@cache
def sacrum_field() -> F32:
    """The distances on :data:`GRID`, computed once a process."""
    return closed(sacrum_distance(GRID.axes()))
