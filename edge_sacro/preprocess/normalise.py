"""The normaliser: modality values of any vendor become 8-bit gray, dark air and bright bone, in one documented way.

A vendor's display window is a preference of its radiographers and is not used. Instead:

1. Values run in the sense in which bone is bright: the table is negated where the object is MONOCHROME1.
2. Padding is left out. So is the lowest and the highest value present, where it alone fills more than
   ``FLAT_FRACTION`` of the image: a collimated border, a saturated background, a burned-in frame.
3. Between the ``LOW`` and ``HIGH`` quantiles of what remains the map is linear to 0..255; beyond them it clips.

The quantiles are taken of the exact histogram of stored values, so the result depends on nothing but the bytes.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.preprocess.stored import places, sixteen_bits, through_table
from edge_sacro.types import Grayscale, Radiograph

VERSION = "normaliser-1"
LOW, HIGH = 0.005, 0.998
FLAT_FRACTION = 0.01

_EXACT_SINGLE = 1 << 24
"""Pixels that are counted at once: OpenCV's histograms are whole numbers in single precision."""


def eight_bit_from_radiograph(radiograph: Radiograph) -> npt.NDArray[np.uint8]:
    """The image as every system's network is to see it.

    Returns:
        rows x columns, uint8, in the stored image's axes; 0 where the image is padding or has a single value.
    """
    grayscale, cells = radiograph.grayscale, sixteen_bits(radiograph.stored)
    where = places(grayscale)
    counts = np.zeros(int(where.max()) + 1, np.int64)
    for start in range(0, cells.shape[0], rows := max(_EXACT_SINGLE // cells.shape[1], 1)):
        part = np.ascontiguousarray(cells[start : start + rows])
        counts += cv2.calcHist([part], [0], None, [counts.size], [0, counts.size]).ravel().astype(np.int64)
    return through_table(cells, grayscale, eight_bit_table(grayscale, counts[where]))


def eight_bit_table(grayscale: Grayscale, histogram: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """The 8-bit gray of each stored value.

    Args:
        grayscale: its table has one entry for each stored value.
        histogram: how often each of those stored values occurs, same length.
    """
    values = grayscale.table.astype(np.float64)
    if grayscale.inverted:
        values = -values
    counts = histogram.astype(np.int64)
    padded = np.zeros(values.size, bool)
    if grayscale.padding is not None:
        low, high = (bound - grayscale.first for bound in grayscale.padding)
        padded[max(low, 0) : max(high + 1, 0)] = True
    counts[padded] = 0
    bounds = _linear_range(values, counts)
    if bounds is None:
        return np.zeros(values.size, np.uint8)
    low_value, high_value = bounds
    gray = np.clip((values - low_value) / (high_value - low_value), 0.0, 1.0) * 255.0
    gray[padded] = 0.0
    return np.rint(gray).astype(np.uint8)


def _linear_range(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> tuple[float, float] | None:
    """The modality values that become 0 and 255, or None where there is no contrast at all."""
    present = counts > 0
    levels, inverse = np.unique(values[present], return_inverse=True)
    weight = np.bincount(inverse, weights=counts[present], minlength=levels.size)
    if levels.size < 2:
        return None
    inner = weight.copy()
    for end in (0, -1):
        if weight[end] > FLAT_FRACTION * weight.sum():
            inner[end] = 0
    if np.count_nonzero(inner) < 2:
        inner = weight
    cumulative = np.cumsum(inner)
    low = levels[np.searchsorted(cumulative, LOW * cumulative[-1], side="left")]
    high = levels[np.searchsorted(cumulative, HIGH * cumulative[-1], side="left")]
    if low == high:
        low, high = levels[0], levels[-1]
    return float(low), float(high)
