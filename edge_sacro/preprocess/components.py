"""Connected components and bounds of masks, with ties decided as the published arrays number their components."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.types import Box

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
    count, numbers = cv2.connectedComponents(
        np.ascontiguousarray(mask[inside]).view(np.uint8), connectivity=connectivity
    )
    if count == 2:
        return mask
    areas = np.bincount(numbers.ravel(), minlength=count)[1:]
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


@dataclass(frozen=True, eq=False)
class Zone:
    """A mask that is given only where it can be true: ``mask`` covers ``rows`` and ``columns`` of the image."""

    rows: slice
    columns: slice
    mask: Mask


def dilated_by_square(mask: Mask, box: Box, radius: int) -> Zone:
    """Grow the mask, whose bounds are ``box``, by a square of ``2 radius + 1`` pixels; the image's border cuts it."""
    rows = slice(max(box.y0 - radius, 0), min(box.y1 + radius, mask.shape[0]))
    columns = slice(max(box.x0 - radius, 0), min(box.x1 + radius, mask.shape[1]))
    square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return Zone(rows, columns, cv2.dilate(mask[rows, columns].view(np.uint8), square) > 0)
