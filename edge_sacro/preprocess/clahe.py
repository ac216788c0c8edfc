"""The contrast filter of the anatomy-aware system: a CLAHE variant after Qiu et al., bit for bit as published.

Rescale to 0..1; 3 x 3 median; minus 0.6 times a Gaussian (sigma 1); rescale to 0..1; then contrast-limited adaptive
histogram equalisation in scikit-image's form (tiles of one eighth of each side, clip limit 0.01, 256 bins), which is
not OpenCV's: levels have 14 bits, the tile grid stands at the top left with half a tile of reflection before it, mapped
levels are whole numbers, and sums run in single precision.

The result depends on the tile grid and so on where the image's corner is: mirror an image before the filter, not after.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.preprocess.intensity import zero_to_one

SHARPENING = np.float32(0.6)
GAUSSIAN_RADIUS = 4
LEVELS = 1 << 14
BINS = 256
CLIP_LIMIT = 0.01
TILES_A_SIDE = 8
_BIN_WIDTH = 1 + LEVELS // BINS
_BLOCK_ROWS = 32
"""Rows that the Gaussian takes at once, so that its double-precision buffers stay in the cache."""


def clahe_variant(image: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """The whole filter.

    Args:
        image: rows x columns, at least 2 x 2, any real type; computed in single precision.

    Returns:
        float32, 0 to 1. An image of one value gives amplified rounding or all ones: the method has no better answer.

    Raises:
        ValueError: the image has not two axes or is smaller than 2 x 2.
    """
    if image.ndim != 2 or min(image.shape) < 2:
        raise ValueError(f"the contrast filter needs at least 2 x 2 pixels, not {image.shape}")
    return adaptive_equalisation(sharpened(image.astype(np.float32)))


def sharpened(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The filter up to the equalisation: float32, 0 to 1."""
    smooth = cv2.medianBlur(np.ascontiguousarray(zero_to_one(image)), 3)
    median = np.asarray(smooth, dtype=np.float32)
    return zero_to_one(median - SHARPENING * gaussian_sigma_one(median))


def gaussian_sigma_one(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Gaussian of sigma 1 and radius 4, border repeated: down first, then across, each stored in single precision.

    Sums run in double precision from the outer taps inwards: another order changes last bits, which the equalisation
    then turns into other grey levels.
    """
    down = _smooth_rows(image)
    return np.ascontiguousarray(_smooth_rows(np.ascontiguousarray(down.T)).T)


def _smooth_rows(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    weights = np.exp(-0.5 * np.arange(-GAUSSIAN_RADIUS, GAUSSIAN_RADIUS + 1, dtype=np.float64) ** 2)
    weights /= weights.sum()
    padded = np.pad(image, ((GAUSSIAN_RADIUS, GAUSSIAN_RADIUS), (0, 0)), mode="edge").astype(np.float64)
    result = np.empty_like(image)
    for first in range(0, image.shape[0], _BLOCK_ROWS):
        count = min(_BLOCK_ROWS, image.shape[0] - first)
        centre = first + GAUSSIAN_RADIUS
        total = padded[centre : centre + count] * weights[GAUSSIAN_RADIUS]
        for tap in range(GAUSSIAN_RADIUS, 0, -1):
            pair = padded[centre - tap : centre - tap + count] + padded[centre + tap : centre + tap + count]
            pair *= weights[GAUSSIAN_RADIUS - tap]
            total += pair
        result[first : first + count] = total
    return result


def adaptive_equalisation(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Contrast-limited adaptive histogram equalisation.

    Args:
        image: rows x columns, float32, 0 to 1, at least 2 x 2.

    Returns:
        float32, rescaled so that the lowest value is 0 and the highest 1.
    """
    tile = max(image.shape[0] // TILES_A_SIDE, 1), max(image.shape[1] // TILES_A_SIDE, 1)
    bins = _reflected(_bins_of(image), tile)
    maps = _tile_maps(bins, tile)
    levels = _interpolated(bins, maps, tile)
    top, left = tile[0] // 2, tile[1] // 2
    return zero_to_one(levels[top : top + image.shape[0], left : left + image.shape[1]])


def _bins_of(image: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Histogram bin of each pixel, 0 to 252: by way of 16 bits and of 14 bits, each rounded half to even."""
    sixteen_bit = np.rint(image * np.float32(65535)).astype(np.int64)
    low, high = int(sixteen_bit.min()), int(sixteen_bit.max())
    values = np.arange(65536, dtype=np.float64)
    if low == high:
        level = np.clip(values, 0, LEVELS - 1)
    else:
        level = (np.clip(values, low, high) - low) / (high - low) * (LEVELS - 1)
    table: npt.NDArray[np.intp] = np.rint(level).astype(np.intp) // _BIN_WIDTH
    bins: npt.NDArray[np.intp] = table[sixteen_bit]
    return bins


def _reflected(bins: npt.NDArray[np.intp], tile: tuple[int, int]) -> npt.NDArray[np.intp]:
    """Pad to whole tiles, with half a tile before the image and the rest behind it."""
    pads = [(k // 2, -n % k + (k + 1) // 2) for k, n in zip(tile, bins.shape, strict=True)]
    return np.pad(bins, pads, mode="reflect")


def _tile_maps(bins: npt.NDArray[np.intp], tile: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Level, a whole number, that each tile gives to each bin; the outermost tiles stand once more beyond the border.

    Returns:
        tile rows + 2, tile columns + 2, bins.
    """
    rows, columns = (n // k - 1 for n, k in zip(bins.shape, tile, strict=True))
    top, left = tile[0] // 2, tile[1] // 2
    inner = bins[top : top + rows * tile[0], left : left + columns * tile[1]]
    number = np.repeat(np.arange(rows), tile[0])[:, None] * columns + np.repeat(np.arange(columns), tile[1])[None, :]
    counts = np.bincount((number * BINS + inner).ravel(), minlength=rows * columns * BINS)
    histograms = counts.reshape(rows * columns, BINS)
    pixels = tile[0] * tile[1]
    limit = max(int(CLIP_LIMIT * pixels), 1)
    for histogram in histograms:
        _clip(histogram, limit)
    cumulative = np.cumsum(histograms, axis=1).astype(np.float64) * ((LEVELS - 1) / pixels)
    maps = np.trunc(np.minimum(cumulative, LEVELS - 1)).reshape(rows, columns, BINS)
    return np.pad(maps, ((1, 1), (1, 1), (0, 0)), mode="edge")


def _clip(histogram: npt.NDArray[np.intp], limit: int) -> None:
    """Cut the histogram at ``limit`` in place and spread what was cut over its other bins, as scikit-image does."""
    excess = int(np.maximum(histogram - limit, 0).sum())
    np.minimum(histogram, limit, out=histogram)
    if excess == 0:
        return
    share = excess // BINS
    low = histogram < limit - share
    middle = (histogram < limit) & ~low
    histogram[low] += share
    # A bin lifted to just below the limit by its share counts as a middle one too, as in the original.
    middle |= low & (histogram >= limit - share) & (histogram < limit)
    excess -= int(np.count_nonzero(low)) * share + int((limit - histogram[middle]).sum())
    histogram[middle] = limit
    # Every pass finds room: 256 bins at the limit hold more than a tile's pixels.
    while excess > 0:
        for index in range(BINS):
            under = histogram < limit
            step = max(1, int(np.count_nonzero(under)) // excess)
            chosen = under[index::step]
            histogram[index::step][chosen] += 1
            excess -= int(np.count_nonzero(chosen))
            if excess <= 0:
                break


def _interpolated(
    bins: npt.NDArray[np.intp], maps: npt.NDArray[np.float64], tile: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Mix the maps of the four nearest tiles for each pixel, in single precision, and cut fractions off."""
    rows, columns = (n // k for n, k in zip(bins.shape, tile, strict=True))
    down = (np.arange(tile[0]) / tile[0])[:, None]
    across = np.tile(np.arange(tile[1]) / tile[1], columns)[None, :]
    row_weights, column_weights = (1 - down, down), (1 - across, across)
    column_number = np.repeat(np.arange(columns), tile[1])[None, :]
    result = np.empty(bins.shape, np.float32)
    for row in range(rows):
        part = slice(row * tile[0], (row + 1) * tile[0])
        index = column_number * BINS + bins[part]
        total = np.zeros(index.shape, np.float32)
        for edge_row in (0, 1):
            for edge_column in (0, 1):
                flat = maps[row + edge_row, edge_column : edge_column + columns].reshape(-1)
                total += (flat[index] * (column_weights[edge_column] * row_weights[edge_row])).astype(np.float32)
        result[part] = np.trunc(total)
    return result
