"""Connected components and bounds of masks, with ties decided as the published arrays number their components."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro import native
from edge_sacro.types import Box

LABELS = (1, 2, 3)
"""Of a label map; 0 is the background."""

Mask = npt.NDArray[np.bool_]


def largest_component(mask: Mask, *, connectivity: int, tie: int) -> Mask | None:
    """The largest component of a mask, or None where the mask is empty.

    Args:
        mask: rows x columns.
        connectivity: 4, or 8 where diagonal neighbours are connected.
        tie: which of several largest is kept, an index into them by their first pixels column by column (the published
            arrays are transposed): 0 the first, -1 the last.
    """
    box = bounds(mask)
    if box is None:
        return None
    inside = slice(box.y0, box.y1), slice(box.x0, box.x1)
    part = np.ascontiguousarray(mask[inside])
    count, numbers = cv2.connectedComponents(part.view(np.uint8), connectivity=connectivity)
    if count == 2:
        return mask
    areas = np.bincount(numbers[part], minlength=count)[1:]
    tied = [int(number) for number in np.flatnonzero(areas == areas.max()) + 1]
    if len(tied) > 1:
        by_column = numbers.T.ravel()
        first = np.zeros(count, np.int64)
        first[by_column[::-1]] = np.arange(by_column.size)[::-1]  # the last one written is the first pixel
        tied.sort(key=lambda number: int(first[number]))
    largest = np.zeros_like(mask)
    largest[inside] = numbers == tied[tie]
    return largest


def bounds(mask: Mask) -> Box | None:
    """The smallest box that holds every pixel of the mask, or None where there is none."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return Box(x, y, x + width, y + height) if width else None


@dataclass(frozen=True)
class Extent:
    """Where the pixels of one label lie.

    Attributes:
        pixels: how many there are.
        box: around them, or None where there are none.
    """

    pixels: int
    box: Box | None


def extents(labels: npt.NDArray[np.uint8]) -> dict[int, Extent]:
    """Where each of :data:`LABELS` lies in a label map, rows x columns."""
    return counted_extents(np.ascontiguousarray(labels, np.uint8), native.fastest())


def counted_extents(labels: npt.NDArray[np.uint8], library: native.Library | None) -> dict[int, Extent]:
    """``extents`` of a contiguous map, by compiled functions; by NumPy, the specification, where None."""
    if library is None:
        masks = {label: labels == label for label in LABELS}
        return {label: Extent(int(np.count_nonzero(mask)), bounds(mask)) for label, mask in masks.items()}
    columns, found = labels.shape[1], np.zeros((len(LABELS), 5), np.int64)
    few, many = np.zeros(len(LABELS) * columns, np.uint8), np.zeros(len(LABELS) * columns, np.uint32)
    library.extents(labels.ctypes.data, *labels.shape, few.ctypes.data, many.ctypes.data, found.ctypes.data)
    return {
        label: Extent(pixels, Box(left, top, right + 1, bottom + 1) if pixels else None)
        for label, (pixels, top, bottom, left, right) in zip(LABELS, found.tolist(), strict=True)
    }


@dataclass(frozen=True, eq=False)
class Zone:
    """A mask that is given only where it can be true: ``mask`` covers ``rows`` and ``columns`` of the image."""

    rows: slice
    columns: slice
    mask: Mask


def dilated_by_square(labels: npt.NDArray[np.uint8], label: int, box: Box, radius: int) -> Zone:
    """Grow a label, whose bounds are ``box``, by a square of ``2 radius + 1`` pixels; the image's border cuts it."""
    rows = slice(max(box.y0 - radius, 0), min(box.y1 + radius, labels.shape[0]))
    columns = slice(max(box.x0 - radius, 0), min(box.x1 + radius, labels.shape[1]))
    return Zone(rows, columns, dilated(labels[rows, columns], label, radius, native.fastest()))


def dilated(labels: npt.NDArray[np.uint8], label: int, radius: int, library: native.Library | None) -> Mask:
    """Where a label lies within ``radius`` rows and columns.

    Args:
        labels: a label map, or a part of one.
        label: which.
        radius: in pixels, at least 0.
        library: compiled functions that give the same; OpenCV's dilation does, the specification, where None.
    """
    if library is None or labels.strides[1] != 1 or labels.dtype != np.uint8:
        square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        return cv2.dilate((labels == label).view(np.uint8), square) > 0
    rows, columns = labels.shape
    work, result = np.zeros(2 * columns + 2 * radius, np.uint16), np.empty((rows, columns), np.uint8)
    library.dilate(
        *(labels.ctypes.data, labels.strides[0], rows, columns, label, radius, work.ctypes.data, result.ctypes.data)
    )
    return result.view(np.bool_)
