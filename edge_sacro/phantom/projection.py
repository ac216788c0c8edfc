"""Cone-beam projection of closed meshes: how many mm of a solid each ray crosses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sacro.phantom.mesh import Floats, Mesh

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Camera:
    """A point source in front of the patient and a flat detector behind, in mm; x left, y cranial, z anterior.

    Attributes:
        source: x, y, z of the focal spot.
        detector_z: z of the detector plane, below every bone.
        pitch: distance of pixel centres on the detector.
        shape: rows, columns.
        centre: x, y of the detector's centre.
    """

    source: tuple[float, float, float]
    detector_z: float
    pitch: float
    shape: tuple[int, int]
    centre: tuple[float, float]

    @property
    def distance(self) -> float:
        """Source to detector, mm."""
        return self.source[2] - self.detector_z

    def project(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Column and row (pixel centres are integers) and depth below the source in mm, of n x 3 points."""
        depth = self.source[2] - points[:, 2]
        zoom = self.distance / depth
        u = self.source[0] + (points[:, 0] - self.source[0]) * zoom
        v = self.source[1] + (points[:, 1] - self.source[1]) * zoom
        column = (u - self.centre[0]) / self.pitch + (self.shape[1] - 1) / 2
        row = (self.centre[1] - v) / self.pitch + (self.shape[0] - 1) / 2
        return column, row, depth

    def obliquity(self, shape: tuple[int, int] | None = None) -> F32:
        """Length of each ray over its extent along z, at least 1, on a grid of ``shape`` over the same detector."""
        rows, columns = shape or self.shape
        height, width = self.shape[0] * self.pitch, self.shape[1] * self.pitch
        u = self.centre[0] + ((np.arange(columns) + 0.5) / columns - 0.5) * width - self.source[0]
        v = self.centre[1] - ((np.arange(rows) + 0.5) / rows - 0.5) * height - self.source[1]
        ratio = (u[None, :] ** 2 + v[:, None] ** 2) / self.distance**2
        return np.sqrt(1.0 + ratio).astype(np.float32)


def thickness(mesh: Mesh, camera: Camera) -> F32:
    """Extent along z, in mm, of the solid that ``mesh`` bounds, for every pixel of ``camera``.

    A face adds its depth, positive where the ray leaves and negative where it enters. Along one row the sum is linear
    between the points where edges cross the row, so only the changes at the crossings are stored, and running sums
    give the image. Crossings count with the part of the pixel that lies behind them.
    """
    rows, columns = camera.shape
    column, row, depth = camera.project(mesh.vertices)
    plane = _face_planes(column, row, depth, mesh.faces)
    low, high = mesh.edges[:, 0], mesh.edges[:, 1]
    upper, lower = np.minimum(row[low], row[high]), np.maximum(row[low], row[high])
    first = np.clip(np.ceil(upper), 0, rows).astype(np.int64)
    last = np.clip(np.ceil(lower), 0, rows).astype(np.int64)
    used = (last > first) & (np.minimum(column[low], column[high]) < columns - 0.5)
    edge = np.flatnonzero(used)
    count = (last - first)[edge]
    repeat = np.repeat(np.arange(edge.size), count)
    step = np.arange(repeat.size) - np.repeat(np.cumsum(count) - count, count)
    a, b = low[edge], high[edge]
    change = plane[mesh.edges[edge, 2]] - plane[mesh.edges[edge, 3]]
    change *= np.sign(row[b] - row[a])[:, None]
    slope = (column[b] - column[a]) / (row[b] - row[a])
    y = first[edge][repeat] + step
    x = np.clip(column[a][repeat] + slope[repeat] * (y - row[a][repeat]), -0.5, None)
    keep = x < columns - 0.5
    x, y, repeat = x[keep], y[keep], repeat[keep]
    return _summed(x, y, change[repeat], camera.shape)


def _face_planes(column: Floats, row: Floats, depth: Floats, faces: npt.NDArray[np.int64]) -> Floats:
    """Depth over each face as a * column + b * row + c; level where the face is seen from its edge."""
    i, j, k = faces.T
    cu, ru, du = column[j] - column[i], row[j] - row[i], depth[j] - depth[i]
    cv, rv, dv = column[k] - column[i], row[k] - row[i], depth[k] - depth[i]
    area = cu * rv - cv * ru
    flat = np.abs(area) < 1e-3
    area = np.where(flat, 1.0, area)
    a = np.where(flat, 0.0, (du * rv - dv * ru) / area)
    b = np.where(flat, 0.0, (cu * dv - cv * du) / area)
    centre = (depth[i] + depth[j] + depth[k]) / 3 - a * (column[i] + column[j] + column[k]) / 3
    c = centre - b * (row[i] + row[j] + row[k]) / 3
    return np.stack([a, b, c], axis=1)


def _summed(x: Floats, y: npt.NDArray[np.int64], change: Floats, shape: tuple[int, int]) -> F32:
    """Running sums along rows of the plane changes at the crossings (x, y)."""
    rows, columns = shape
    pixel = np.floor(x + 0.5).astype(np.int64)
    right = pixel + 0.5
    a = change[:, 0]
    b = change[:, 1] * y + change[:, 2]
    part = a * (right * right - x * x) / 2 + b * (right - x)
    size = rows * columns
    index = y * columns + pixel
    here = np.bincount(index, weights=part, minlength=size).reshape(shape)
    nxt = index + 1
    inner = pixel + 1 < columns
    slope = np.bincount(nxt[inner], weights=a[inner], minlength=size).reshape(shape)
    level = np.bincount(nxt[inner], weights=b[inner], minlength=size).reshape(shape)
    total = np.cumsum(slope, axis=1) * np.arange(columns) + np.cumsum(level, axis=1) + here
    out: F32 = np.abs(total).astype(np.float32)
    return out
