"""Synthetic radiographs and label maps of the golden arrays, in display orientation; tests/golden/README.md."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float64]


def _unit_grid(rows: int, columns: int) -> tuple[Plane, Plane]:
    """Pixel centres as parts of the height and of the width."""
    y = (np.arange(rows, dtype=np.float64) + 0.5) / rows
    x = (np.arange(columns, dtype=np.float64) + 0.5) / columns
    return np.repeat(y[:, None], columns, axis=1), np.repeat(x[None, :], rows, axis=0)


def _ellipse(y: Plane, x: Plane, centre: tuple[float, float], radii: tuple[float, float], turn: float = 0.0) -> Plane:
    """Below 1 inside an ellipse with centre and radii as (down, across), turned by ``turn`` radians."""
    down, across = y - centre[0], x - centre[1]
    along = np.cos(turn) * across + np.sin(turn) * down
    upright = -np.sin(turn) * across + np.cos(turn) * down
    return (along / radii[1]) ** 2 + (upright / radii[0]) ** 2


def regions(rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """Labels: 1 a trapezoid for the sacrum, 2 the ilium at the image's left, 3 that at its right."""
    y, x = _unit_grid(rows, columns)
    sacrum = (y > 0.30) & (y < 0.66) & (np.abs(x - 0.5) < 0.135 - 0.16 * (y - 0.30))
    labels = np.zeros((rows, columns), np.uint8)
    labels[_ellipse(y, x, (0.44, 0.275), (0.155, 0.135), 0.5) < 1] = 2
    labels[_ellipse(y, x, (0.44, 0.725), (0.155, 0.135), -0.5) < 1] = 3
    labels[sacrum] = 1
    return labels


def radiograph(rows: int, columns: int, seed: int, bits: int = 8) -> npt.NDArray[np.unsignedinteger]:
    """A pelvis-like image of soft tissue, three bones, two bright joints, waves and noise of two grains."""
    y, x = _unit_grid(rows, columns)
    noise = np.random.Generator(np.random.PCG64(seed))
    image = 0.12 + 0.10 * y
    image = image + 0.35 * np.clip(1.15 - _ellipse(y, x, (0.5, 0.5), (0.62, 0.48)), 0, 1)
    labels = regions(rows, columns)
    for label, brightness in ((1, 0.22), (2, 0.28), (3, 0.28)):
        image = image + brightness * (labels == label)
    for centre in (0.24, 0.76):
        image = image + 0.25 * (_ellipse(y, x, (0.78, centre), (0.075, 0.06)) < 1)
    image = image + 0.03 * np.sin(40 * x + 13 * y) + 0.02 * np.sin(90 * y)
    coarse = noise.random((rows // 16 + 1, columns // 16 + 1)) - 0.5
    image = image + 0.05 * np.kron(coarse, np.ones((16, 16)))[:rows, :columns]
    image = image + 0.04 * (noise.random((rows, columns)) - 0.5)
    highest = (1 << bits) - 1
    return np.round(np.clip(image, 0, 1) * highest).astype(np.uint8 if bits <= 8 else np.uint16)
