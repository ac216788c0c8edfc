"""The crop around both joints: their common box, trimmed by an Otsu threshold of the boxed image, as published.

The threshold is taken of the whole image with everything outside the box set to 0, so that zeros dominate it and it is
usually 1; contrast inside the box can raise it and then dark margins are cut. A network was trained on such crops, so
the trimming is kept in both numerics.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.types import Box

_BINS = 128


@dataclass(frozen=True)
class Crop:
    """The crop in the image's pixels, or the reason why there is none: ``crop_is_dark`` (nothing above 1 in the box).

    Attributes:
        box: display axes of the image, or None.
        reason: None only where there is a box.
        threshold: gray level; what is above it bounds the crop.
    """

    box: Box | None
    reason: str | None
    threshold: int


def crop_from_box(image: npt.NDArray[np.uint8], box: Box) -> Crop:
    """Trim the box of both joints to what is brighter than the boxed image's Otsu threshold.

    Args:
        image: rows x columns, uint8, display orientation.
        box: around both joints, inside the image.

    Raises:
        ValueError: the image is not 8-bit gray or the box reaches beyond it.
    """
    if image.dtype != np.uint8 or image.ndim != 2 or box.y1 > image.shape[0] or box.x1 > image.shape[1]:
        raise ValueError(f"no crop {box} of a {image.dtype} array of shape {image.shape}")
    part = image[box.y0 : box.y1, box.x0 : box.x1]
    counts = np.bincount(part.ravel(), minlength=256)
    counts[0] += image.size - part.size
    threshold = otsu_threshold(counts)
    x, y, width, height = cv2.boundingRect((part > threshold).astype(np.uint8))
    if width == 0:
        return Crop(None, "crop_is_dark", threshold)
    left, top = box.x0 + x, box.y0 + y
    return Crop(Box(left, top, left + width, top + height), None, threshold)


def otsu_threshold(counts: npt.NDArray[np.integer]) -> int:
    """Otsu's threshold of an 8-bit histogram in SimpleITK's form: 128 bins of two levels, the first of equal maxima.

    Args:
        counts: how often each of 256 levels occurs; at least one occurs.

    Returns:
        The upper level of the last bin below the threshold: odd, 1 to 253.
    """
    bins = counts.astype(np.int64).reshape(_BINS, 2).sum(axis=1)
    centres = 2 * np.arange(_BINS, dtype=np.int64) + 0.5
    below = np.cumsum(bins)[:-1]
    mass = np.cumsum(bins * centres)
    above = int(bins.sum()) - below
    upper = mass[-1] - mass[:-1]
    # The total variance is constant, so the largest sum of n * mean^2 separates best.
    spread = mass[:-1] ** 2 / np.maximum(below, 1) + upper**2 / np.maximum(above, 1)
    return 2 * int(np.argmax(spread)) + 1


def pixels(image: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
    """The crop's pixels, a copy of its own memory."""
    return np.array(image[box.y0 : box.y1, box.x0 : box.x1])
