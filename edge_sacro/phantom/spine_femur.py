"""Lumbar vertebrae and the left proximal femur as signed distances, in mm."""

from __future__ import annotations

from functools import cache

import numpy as np

from edge_sacro.phantom.hip import HEAD_RADIUS, HIP_CENTRE
from edge_sacro.phantom.mesh import Grid
from edge_sacro.phantom.solids import F32, Points, capsule, closed, ellipsoid, rounded, smooth_cut, smooth_union, tube

VERTEBRA_GRID = Grid.spanning((-54.0, -34.0, -78.0), (54.0, 34.0, 24.0), 1.7)
FEMUR_GRID = Grid.spanning((58.0, -196.0, -42.0), (168.0, 30.0, 36.0), 2.0)


def vertebra_distance(p: Points) -> F32:
    """A lower lumbar vertebra; the origin is the middle of its body."""
    ax = np.abs(p[0])
    half_height = 13.6 - 0.9 * np.exp(-((ax / 14.0) ** 2) - (p[2] / 10.0) ** 2)
    waist = 1.0 - 0.11 * np.cos(np.clip(p[1] / 13.5, -1, 1) * np.pi / 2) ** 2
    q = (np.abs(ax / (25.5 * waist)) ** 2.5 + np.abs(p[2] / (17.5 * waist)) ** 2.5) ** (1 / 2.5)
    side, ends = (q - 1.0) * 17.5, np.abs(p[1]) - half_height
    k = np.clip(0.5 + 0.5 * (side - ends) / 2.5, 0, 1)
    body = ends + (side - ends) * k + 2.5 * k * (1 - k)
    m = (ax, p[1], p[2])
    arch = tube(m, ((16.5, 4.0, -12.0, 6.0), (17.5, 3.0, -28.0, 5.4)), (1.0, 0.82, 1.0))
    lamina = tube(m, ((17.5, 2.0, -32.0, 5.5), (12.0, -4.0, -39.0, 4.4), (0.0, -7.0, -46.0, 3.6)))
    across = tube(
        m, rounded(((18.0, 4.0, -27.0, 5.0), (32.0, 5.0, -27.0, 3.6), (46.0, 9.0, -29.0, 3.2))), (1.0, 0.75, 1.0)
    )
    up = capsule(m, (18.0, 2.0, -34.0, 5.5), (18.5, 19.0, -35.0, 5.0))
    down = capsule(m, (14.0, -4.0, -40.0, 5.0), (14.5, -24.0, -42.0, 5.2))
    d = smooth_union(body.astype(np.float32), arch, 3.0)
    for part in (lamina, across, up, down, ellipsoid(m, (0.0, -11.0, -58.0), (3.2, 10.5, 15.0))):
        d = smooth_union(d, part, 3.0)
    return d


def femur_distance(p: Points) -> F32:
    """The left femur down to below the lesser trochanter."""
    head = ellipsoid(p, HIP_CENTRE, (HEAD_RADIUS,) * 3)
    head = smooth_cut(head, ellipsoid(p, (66.0, -7.0, -2.0), (6.0, 5.0, 5.0)), 2.0)
    neck = tube(p, ((96.0, -6.0, -1.0, 17.0), (110.0, -17.0, -3.0, 14.5), (128.0, -32.0, -7.0, 17.0)), (1.0, 1.0, 1.15))
    shaft = rounded(
        (
            (132.0, -34.0, -8.0, 17.5),
            (130.0, -58.0, -8.0, 17.0),
            (126.0, -98.0, -6.0, 15.0),
            (118.0, -192.0, -6.0, 14.0),
        )
    )
    d = smooth_union(smooth_union(head, neck, 6.0), tube(p, shaft), 9.0)
    greater = tube(p, ((141.0, -28.0, -10.0, 14.0), (144.0, -8.0, -15.0, 9.5), (141.0, 2.0, -18.0, 5.5)))
    d = smooth_union(d, greater, 6.0)
    lesser = capsule(p, (119.0, -62.0, -16.0, 9.5), (111.0, -60.0, -22.0, 5.5))
    return smooth_union(d, lesser, 7.0)


@cache
def vertebra_field() -> F32:
    """The vertebra's distances on :data:`VERTEBRA_GRID`, computed once a process."""
    return closed(vertebra_distance(VERTEBRA_GRID.axes()))


@cache
def femur_field() -> F32:
    """The femur's distances on :data:`FEMUR_GRID`, computed once a process."""
    return closed(femur_distance(FEMUR_GRID.axes()))
