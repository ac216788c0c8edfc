"""The contrast filter of the anatomy-aware system as the runtime applies it: compiled, where a binary is at hand.

``edge_sacro.preprocess.clahe`` is its specification; the values are the same bit for bit.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro import native
from edge_sacro.preprocess.clahe import (
    BINS,
    CLIP_LIMIT,
    GAUSSIAN_RADIUS,
    LEVELS,
    TILES_A_SIDE,
    bin_of_sixteen_bit,
    clahe_variant,
    gaussian_weights,
)

SMALLEST = 4 * TILES_A_SIDE
"""Pixels of a side below which the tiles are too small for the compiled form's borders."""


def contrast_filter(image: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """The contrast filter; arguments, result and errors are those of ``clahe_variant``."""
    library = native.fastest()
    if library is None or image.ndim != 2 or min(image.shape) < SMALLEST:
        return clahe_variant(image)
    return compiled_filter(image, library)


def compiled_filter(image: npt.NDArray[np.generic], library: native.Library) -> npt.NDArray[np.float32]:
    """The filter by compiled functions, for an image of two axes and at least ``SMALLEST`` pixels a side."""
    values = np.array(image, np.float32, order="C")
    low, high = values.min(), values.max()
    if low == high or not np.isfinite(high - low):
        return clahe_variant(image)
    rows, columns = values.shape
    extremes = np.empty(2, np.float32)
    library.rescale(values.ctypes.data, values.size, low, high)
    median = np.asarray(cv2.medianBlur(values, 3), np.float32)
    work = np.empty((2 * GAUSSIAN_RADIUS + 2) * (columns + 2 * GAUSSIAN_RADIUS))
    weights, result = _weights(), values
    whole = rows, columns, 0, rows
    library.sharpen(
        *(median.ctypes.data, *whole, weights.ctypes.data, work.ctypes.data, result.ctypes.data, extremes.ctypes.data)
    )
    if extremes[0] == extremes[1] or not np.isfinite(extremes[1] - extremes[0]):
        return clahe_variant(image)
    tile = rows // TILES_A_SIDE, columns // TILES_A_SIDE
    top, left = tile[0] // 2, tile[1] // 2
    padded = np.empty([n + k // 2 + -n % k + (k + 1) // 2 for n, k in zip(values.shape, tile, strict=True)], np.uint8)
    stride, inside = padded.shape[1], padded[top : top + rows, left : left + columns]
    library.bins(*(result.ctypes.data, columns, 0, rows, *extremes), _table().ctypes.data, inside.ctypes.data, stride)
    _reflect(padded, top, rows)
    _reflect(padded.T, left, columns)
    maps = _maps(inside, padded.shape, tile, library)
    ahead = np.arange(tile[1]) / tile[1]
    library.mix(
        *(inside.ctypes.data, stride, columns, 0, rows, top, left, *tile),
        *(maps.ctypes.data, maps.shape[1], ahead.ctypes.data, result.ctypes.data, extremes.ctypes.data),
    )
    library.rescale(result.ctypes.data, result.size, *extremes)
    return result


def _maps(
    inside: npt.NDArray[np.uint8], padded: tuple[int, ...], tile: tuple[int, int], library: native.Library
) -> npt.NDArray[np.float64]:
    """Level that each tile gives to each bin; the outermost tiles stand once more beyond the border."""
    down, across = (n // k - 1 for n, k in zip(padded, tile, strict=True))
    maps = np.empty((down + 2, across + 2, BINS))
    inner = np.empty((down, across, BINS))
    pixels = tile[0] * tile[1]
    limit = max(int(CLIP_LIMIT * pixels), 1)
    library.maps(
        *(inside.ctypes.data, padded[1], *tile, across, 0, down, limit, (LEVELS - 1) / pixels, inner.ctypes.data)
    )
    maps[1:-1, 1:-1] = inner
    maps[0], maps[-1] = maps[1], maps[-2]
    maps[:, 0], maps[:, -1] = maps[:, 1], maps[:, -2]
    return maps


def _reflect(padded: npt.NDArray[np.uint8], before: int, count: int) -> None:
    """Fill the rows before and behind the image by its mirror image, the border pixel not repeated."""
    padded[:before] = padded[2 * before : before : -1]
    end = before + count
    behind = len(padded) - end
    padded[end:] = padded[end - 2 : end - 2 - behind : -1]


@functools.cache
def _weights() -> npt.NDArray[np.float64]:
    """Of the centre and of distance 1 to 4."""
    return np.ascontiguousarray(gaussian_weights()[GAUSSIAN_RADIUS:])


@functools.cache
def _table() -> npt.NDArray[np.uint8]:
    return bin_of_sixteen_bit(0, 65535)
