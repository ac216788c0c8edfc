"""Closed triangle meshes from sampled signed distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular lattice of points, in mm.

    Attributes:
        origin: first point, x, y, z.
        step: distance of neighbouring points, the same along each axis.
        shape: number of points along x, y, z.
    """

    origin: tuple[float, float, float]
    step: float
    shape: tuple[int, int, int]

    @classmethod
    def spanning(cls, low: tuple[float, float, float], high: tuple[float, float, float], step: float) -> Grid:
        """The lattice that starts at ``low`` and reaches at least ``high``."""
        shape = tuple(int(np.ceil((b - a) / step)) + 1 for a, b in zip(low, high, strict=True))
        return cls(low, step, (shape[0], shape[1], shape[2]))

    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Coordinates along x, y and z, shaped to broadcast to ``shape``, float32."""
        a, b, c = (
            (o + self.step * np.arange(n)).astype(np.float32) for o, n in zip(self.origin, self.shape, strict=True)
        )
        return a[:, None, None], b[None, :, None], c[None, None, :]


@dataclass(frozen=True, eq=False)
class Mesh:
    """A closed surface whose faces turn counter-clockwise when seen from outside.

    Attributes:
        vertices: n x 3, mm.
        faces: m x 3 indices.
        edges: k x 4: lower vertex, higher vertex, the face that runs from lower to higher, the face that runs back.
    """

    vertices: Floats
    faces: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]

    def moved(self, vertices: Floats) -> Mesh:
        """The same faces on other vertices."""
        return Mesh(vertices, self.faces, self.edges)

    def mirrored(self) -> Mesh:
        """Reflected at x = 0, still turning counter-clockwise from outside."""
        flip = self.vertices * np.array([-1.0, 1.0, 1.0])
        return Mesh(flip, self.faces[:, ::-1], self.edges[:, [0, 1, 3, 2]])


def mesh_from_faces(vertices: Floats, faces: npt.NDArray[np.int64]) -> Mesh:
    """Pair the two directions of every edge.

    Raises:
        ValueError: if the surface is not closed.
    """
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    owner = np.repeat(np.arange(len(faces)), 3)
    key = np.minimum(start, end) * len(vertices) + np.maximum(start, end)
    forward = start < end
    order_f = np.flatnonzero(forward)[np.argsort(key[forward], kind="stable")]
    order_b = np.flatnonzero(~forward)[np.argsort(key[~forward], kind="stable")]
    if not np.array_equal(key[order_f], key[order_b]):
        raise ValueError("the surface has an open edge")
    edges = np.stack([start[order_f], end[order_f], owner[order_f], owner[order_b]], axis=1)
    return Mesh(vertices, faces, edges)


def mesh_from_distance(distance: Floats, grid: Grid) -> Mesh:
    """The surface where ``distance`` is zero, by naive surface nets (Gibson 1998), drawn onto the zero level.

    Args:
        distance: values on the grid, negative inside, positive on the whole outer layer.
        grid: where the values are.
    """
    inside = distance < 0
    cells, position = _cell_points(distance, inside)
    number = np.full(np.array(grid.shape) - 1, -1, np.int64)
    number[tuple(cells.T)] = np.arange(len(cells))
    quads = np.concatenate([_quads(inside, number, axis) for axis in range(3)])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    for _ in range(2):
        value = sample(distance, position)
        slope = gradient(distance, position)
        norm2 = np.maximum((slope**2).sum(1), 1e-3)
        move = -value[:, None] * slope / norm2[:, None]
        position = position + np.clip(move, -0.5, 0.5)
    return mesh_from_faces(position * grid.step + np.array(grid.origin), faces)


def _cell_points(distance: Floats, inside: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Cells that the surface crosses, and the mean of the crossings on their edges in lattice units."""
    corner = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    n = np.array(distance.shape) - 1
    count = np.zeros(n, np.uint8)
    for i, j, k in corner:
        count += inside[i : i + n[0], j : j + n[1], k : k + n[2]]
    cells = np.argwhere((count > 0) & (count < 8))
    value = {c: distance[cells[:, 0] + c[0], cells[:, 1] + c[1], cells[:, 2] + c[2]].astype(np.float64) for c in corner}
    total, crossings = np.zeros((len(cells), 3)), np.zeros(len(cells))
    for a in corner:
        for axis in range(3):
            if a[axis]:
                continue
            b = tuple(1 if q == axis else a[q] for q in range(3))
            va, vb = value[a], value[b]  # type: ignore[index]
            crossed = (va < 0) != (vb < 0)
            share = np.where(crossed, va / np.where(crossed, va - vb, 1.0), 0.0)
            point = np.array(a, float) + share[:, None] * np.eye(3)[axis]
            total += point * crossed[:, None]
            crossings += crossed
    return cells, cells + total / crossings[:, None]


def _quads(inside: npt.NDArray[np.bool_], number: npt.NDArray[np.int64], axis: int) -> npt.NDArray[np.int64]:
    """One quad round every lattice edge along ``axis`` whose ends lie on different sides."""
    a = np.moveaxis(inside, axis, 0)
    cell = np.moveaxis(number, axis, 0)
    change = a[:-1, 1:-1, 1:-1] != a[1:, 1:-1, 1:-1]
    i, j, k = np.nonzero(change)
    outward = a[:-1, 1:-1, 1:-1][i, j, k]
    quad = np.stack([cell[i, j, k], cell[i, j + 1, k], cell[i, j + 1, k + 1], cell[i, j, k + 1]], axis=1)
    flip = ~outward if axis != 1 else outward
    return np.where(flip[:, None], quad[:, ::-1], quad)


def sample(values: Floats, position: Floats) -> npt.NDArray[np.float64]:
    """Trilinear interpolation at lattice positions (n x 3), held at the border."""
    top = np.array(values.shape) - 1.001
    p = np.clip(position, 0.0, top)
    base = p.astype(np.int64)
    f = p - base
    out = np.zeros(len(p))
    for i in (0, 1):
        for j in (0, 1):
            for k in (0, 1):
                weight = np.abs(1 - i - f[:, 0]) * np.abs(1 - j - f[:, 1]) * np.abs(1 - k - f[:, 2])
                out += weight * values[base[:, 0] + i, base[:, 1] + j, base[:, 2] + k]
    return out


def gradient(values: Floats, position: Floats, reach: float = 0.5) -> npt.NDArray[np.float64]:
    """Central differences of :func:`sample` over ``reach`` lattice steps to either side, n x 3, per step."""
    unit = np.eye(3) * reach
    parts = [(sample(values, position + u) - sample(values, position - u)) / (2 * reach) for u in unit]
    return np.stack(parts, axis=1)
