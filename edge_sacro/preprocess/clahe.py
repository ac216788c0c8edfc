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

_Bins = npt.NDArray[np.uint8]


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
    blurred = gaussian_sigma_one(median)
    blurred *= SHARPENING
    return zero_to_one(np.subtract(median, blurred, out=blurred))


def gaussian_weights() -> npt.NDArray[np.float64]:
    """Of sigma 1 and radius 4: 9 weights whose sum is 1."""
    weights: npt.NDArray[np.float64] = np.exp(-0.5 * np.arange(-GAUSSIAN_RADIUS, GAUSSIAN_RADIUS + 1.0) ** 2)
    weights /= weights.sum()
    return weights


def gaussian_sigma_one(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Gaussian of sigma 1 and radius 4, border repeated: down first, then across, each stored in single precision.

    Sums run in double precision, as the published ones: single precision changes last bits, which the equalisation
    then turns into other grey levels.
    """
    weights, one = gaussian_weights(), np.ones(1)
    for across, down in ((one, weights), (weights, one)):
        smooth = cv2.sepFilter2D(image, cv2.CV_64F, across, down, borderType=cv2.BORDER_REPLICATE)
        image = smooth.astype(np.float32)
    return image


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


def _bins_of(image: npt.NDArray[np.float32]) -> _Bins:
    """Histogram bin of each pixel, 0 to 252: by way of 16 bits and of 14 bits, each rounded half to even."""
    sixteen_bit = np.rint(image * np.float32(65535)).astype(np.uint16)
    bins: _Bins = np.take(bin_of_sixteen_bit(int(sixteen_bit.min()), int(sixteen_bit.max())), sixteen_bit)
    return bins


def bin_of_sixteen_bit(low: int, high: int) -> _Bins:
    """Bin of each 16-bit value, in an image whose lowest and highest ones are these."""
    values = np.arange(65536, dtype=np.float64)
    if low == high:
        level = np.clip(values, 0, LEVELS - 1)
    else:
        level = (np.clip(values, low, high) - low) / (high - low) * (LEVELS - 1)
    return (np.rint(level).astype(np.intp) // _BIN_WIDTH).astype(np.uint8)


def _reflected(bins: _Bins, tile: tuple[int, int]) -> _Bins:
    """Pad to whole tiles, with half a tile before the image and the rest behind it."""
    pads = [(k // 2, -n % k + (k + 1) // 2) for k, n in zip(tile, bins.shape, strict=True)]
    return np.pad(bins, pads, mode="reflect")


def _tile_maps(bins: _Bins, tile: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Level, a whole number, that each tile gives to each bin; the outermost tiles stand once more beyond the border.

    Returns:
        tile rows + 2, tile columns + 2, bins.
    """
    rows, columns = (n // k - 1 for n, k in zip(bins.shape, tile, strict=True))
    top, left = tile[0] // 2, tile[1] // 2
    histograms = np.empty((rows * columns, BINS), np.int64)
    for number, histogram in enumerate(histograms):
        y, x = top + number // columns * tile[0], left + number % columns * tile[1]
        part = np.ascontiguousarray(bins[y : y + tile[0], x : x + tile[1]])
        histogram[:] = cv2.calcHist([part], [0], None, [BINS], [0, BINS]).ravel()
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


def _interpolated(bins: _Bins, maps: npt.NDArray[np.float64], tile: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Mix the maps of the four nearest tiles for each pixel, in single precision, and cut fractions off."""
    rows, columns = (n // k for n, k in zip(bins.shape, tile, strict=True))
    down, across = (np.arange(tile[0]) / tile[0])[:, None], (np.arange(tile[1]) / tile[1])[None, :]
    corners = [(y, x, u * v) for y, v in enumerate((1 - down, down)) for x, u in enumerate((1 - across, across))]
    result = np.empty(bins.shape, np.float32)
    # A tile at a time: its four maps and its pixels stay in the cache.
    for row in range(rows):
        for column in range(columns):
            part = slice(row * tile[0], (row + 1) * tile[0]), slice(column * tile[1], (column + 1) * tile[1])
            inside = np.ascontiguousarray(bins[part])
            total = np.zeros(tile, np.float32)
            for y, x, weight in corners:
                total += (cv2.LUT(inside, maps[row + y, column + x]) * weight).astype(np.float32)
            result[part] = np.trunc(total)
    return result
