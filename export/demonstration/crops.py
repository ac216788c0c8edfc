"""What the classifier is taught: the runtime's own input, made of true joints whose boxes and pixels were varied.

The contrast filter works on the crop at full size, so every variation comes before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.crop import otsu_threshold
from edge_sacro.types import Box
from export.demonstration.augment import Image, Random, blobs, blurred, curved, equalised, flattened, noisy, shaded
from export.demonstration.augment import sharpened as unsharp_masked
from export.demonstration.data import Example, Gray
from export.demonstration.labels import Frame

SMALLEST = 24
"""A crop has at least this many rows and columns."""


@dataclass(frozen=True)
class Piece:
    """A part of a radiograph with the box of both joints in it, and how many pixels the whole radiograph has."""

    pixels: Gray
    box: Box
    frame: Frame


def piece_from_example(example: Example) -> Piece | None:
    """The cached patch and the true box of both joints, or None where a joint is out of view."""
    left, right = example.boxes
    if left is None or right is None:
        return None
    both = left.union(right)
    x, y = example.corner
    rows, columns = example.patch.shape
    box = Box(max(both.x0 - x, 0), max(both.y0 - y, 0), min(both.x1 - x, columns), min(both.y1 - y, rows))
    return Piece(example.patch, box, example.frame)


def network_input(piece: Piece, geometry: ClassifierGeometry) -> npt.NDArray[np.float32]:
    """The classifier's input as the runtime computes it from the box; rows x columns, 0 to 1."""
    box = piece.box
    part = piece.pixels[box.y0 : box.y1, box.x0 : box.x1]
    counts = np.bincount(part.ravel(), minlength=256)
    counts[0] += max(piece.frame.rows * piece.frame.columns - part.size, 0)
    x, y, width, height = cv2.boundingRect((part > otsu_threshold(counts)).astype(np.uint8))
    if min(width, height) >= SMALLEST:
        part = part[y : y + height, x : x + width]
    return classifier_input(part, geometry)


def varied(piece: Piece, random: Random) -> Piece:
    """Another size of pixel, another shape, another exposure, and a box as a segmenter might have found it."""
    high, wide = piece.pixels.shape
    scale = float(np.exp(random.uniform(np.log(0.6), np.log(1.1))))
    stretch = float(np.exp(random.normal(0, 0.07)))
    across, down = scale * stretch, scale / stretch
    columns, rows = max(round(wide * across), 8), max(round(high * down), 8)
    turn, shear = random.normal(0, 0.05), random.normal(0, 0.06)
    matrix = np.array([[np.cos(turn), shear - np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]])
    matrix[:, :2] = matrix[:, :2] @ np.diag([across, down])
    middle = np.array([(piece.box.x0 + piece.box.x1) / 2, (piece.box.y0 + piece.box.y1) / 2])
    matrix[:, 2] = middle * [across, down] - matrix[:, :2] @ middle
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # A warp alone would skip pixels where it shrinks.
    small = cv2.resize(piece.pixels, (columns, rows), interpolation=method)
    matrix[:, :2] = matrix[:, :2] @ np.diag([1 / across, 1 / down])
    moved = cv2.warpAffine(small, matrix, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    values: Image = np.asarray(np.asarray(moved, np.float32) / 255, np.float32)
    for index in random.permutation(len(CHANGES)):
        chance, change = CHANGES[int(index)]
        if random.random() < chance:
            values = change(values, random)
    low, high = np.quantile(values[::4, ::4], [0.003, 0.997])
    low, high = min(float(low), 0.0), max(float(high), 1.0)
    values = np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)
    box = _jittered(_moved_box(piece.box, matrix, (across, down)), (rows, columns), random)
    pixels = np.rint(values * 255).astype(np.uint8)
    return Piece(pixels, box, _scaled(piece.frame, across, down))


def _scaled(frame: Frame, across: float, down: float) -> Frame:
    return Frame(round(frame.rows * down), round(frame.columns * across))


def _moved_box(
    box: Box, matrix: npt.NDArray[np.float64], scale: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The box after the warp; a turn lifts one joint and lowers the other, so the middles of the sides are followed."""
    ends = np.array([[box.x0, (box.y0 + box.y1) / 2], [box.x1, (box.y0 + box.y1) / 2]]) * scale
    ends = ends @ matrix[:, :2].T + matrix[:, 2]
    half = (box.y1 - box.y0) / 2 * scale[1]
    return float(ends[0, 0]), float(ends[:, 1].min() - half), float(ends[1, 0]), float(ends[:, 1].max() + half)


def _jittered(box: tuple[float, float, float, float], shape: tuple[int, int], random: Random) -> Box:
    """A box as a segmenter might have found it, inside the image."""
    width, height = box[2] - box[0], box[3] - box[1]
    error = random.normal(0, 1, 4) * [0.03 * width, 0.08 * height, 0.03 * width, 0.08 * height]
    x0, y0, x1, y1 = (round(float(value)) for value in np.array(box) + error)
    x0, y0 = min(max(x0, 0), shape[1] - SMALLEST), min(max(y0, 0), shape[0] - SMALLEST)
    return Box(x0, y0, min(max(x1, x0 + SMALLEST), shape[1]), min(max(y1, y0 + SMALLEST), shape[0]))


CHANGES = (
    (0.4, curved),
    (0.05, flattened),
    (0.05, equalised),
    (0.1, unsharp_masked),
    (0.15, blurred),
    (0.2, noisy),
    (0.1, shaded),
    (0.1, blobs),
)
"""What is done to the pixels, and how often; the order is drawn. Sclerosis is a matter of gray, so most keep theirs."""
