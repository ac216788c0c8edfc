"""Resizing as the published anatomy-aware system computes it. Arrays are rows x columns, row 0 on top.

Three different resizes are in use and none of them is one of OpenCV's: bins of equal weight (an average over whole
pixels, where ``INTER_AREA`` weights by overlap), bilinear between the corner pixels' centres, and nearest with the
index in single precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro import native

Size = tuple[int, int]
"""Rows and columns."""


def area_resize(image: npt.NDArray[np.generic], size: Size) -> npt.NDArray[np.float32]:
    """Average over bins of whole pixels (adaptive average pooling), also where the image grows.

    Output row ``i`` of ``m`` is the plain mean of input rows ``floor(i n / m)`` to ``ceil((i + 1) n / m) - 1``; columns
    alike. Neighbouring bins may share a pixel.

    Args:
        image: rows x columns, any real type.
        size: rows and columns of the result, at least 1 each.

    Returns:
        float32 in the image's own range, within one rounding of the exact mean.

    Raises:
        ValueError: the image is empty or has not two axes, or the size is not positive.
    """
    library = native.fastest()
    if library is None or image.dtype != np.uint8:
        return area_means(image, size)
    return compiled_area_means(image.astype(np.uint8, copy=False), size, library)


def area_means(image: npt.NDArray[np.generic], size: Size) -> npt.NDArray[np.float32]:
    """``area_resize`` by NumPy: its specification."""
    _check(image, size)
    rows, columns = _bins(image.shape[0], size[0]), _bins(image.shape[1], size[1])
    count = np.outer(np.diff(rows), np.diff(columns))
    sums = _bin_sums(image, rows)
    sums = _bin_sums(np.ascontiguousarray(sums.T), columns).T
    return np.ascontiguousarray(sums / count, dtype=np.float32)


def compiled_area_means(image: npt.NDArray[np.uint8], size: Size, library: native.Library) -> npt.NDArray[np.float32]:
    """``area_resize`` of 8-bit gray by a compiled function: the same bits."""
    _check(image, size)
    given = np.ascontiguousarray(image)
    rows, columns = _bins(given.shape[0], size[0]), _bins(given.shape[1], size[1])
    sums, result = np.empty(given.shape[1], np.uint32), np.empty(size, np.float32)
    library.area(
        *(given.ctypes.data, given.shape[1], rows.ctypes.data, 0, size[0], columns.ctypes.data, size[1]),
        *(sums.ctypes.data, result.ctypes.data),
    )
    return result


def bilinear_align_corners(image: npt.NDArray[np.generic], size: Size) -> npt.NDArray[np.float32]:
    """Bilinear resize in which the corner pixels' centres stay at the corners; no smoothing where the image shrinks.

    Positions are computed in single precision, as the published stack does.

    Args:
        image: rows x columns, any real type.
        size: rows and columns of the result, at least 1 each.

    Raises:
        ValueError: the image is empty or has not two axes, or the size is not positive.
    """
    _check(image, size)
    source = np.ascontiguousarray(image, np.float32)
    rows, columns = (_corner_positions(*each) for each in zip(source.shape, size, strict=True))
    return bilinear_between(source, rows, columns, native.fastest())


Positions = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""For each output pixel the two input pixels that it lies between, and the weight of the second."""


def bilinear_between(
    source: npt.NDArray[np.float32], rows: Positions, columns: Positions, library: native.Library | None
) -> npt.NDArray[np.float32]:
    """Bilinear values at every pair of a row's and a column's position.

    Args:
        source: contiguous.
        rows: positions within it.
        columns: positions within it.
        library: compiled functions that give the same bits; NumPy does, the specification, where None.
    """
    (at_rows, down), (at_columns, across) = rows, columns
    if library is None:
        upper, lower = (source[index] for index in at_rows.T)
        left, right = at_columns.T
        upper = (1 - across) * upper[:, left] + across * upper[:, right]
        lower = (1 - across) * lower[:, left] + across * lower[:, right]
        return np.asarray((1 - down)[:, None] * upper + down[:, None] * lower, dtype=np.float32)
    result = np.empty((down.size, across.size), np.float32)
    library.bilinear(
        *(source.ctypes.data, source.shape[1], at_rows.ctypes.data, down.ctypes.data, 0, down.size),
        *(at_columns.ctypes.data, across.ctypes.data, across.size, result.ctypes.data),
    )
    return result


def nearest_inverse(labels: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Bring a label map back to the radiograph's size.

    Output row ``i`` reads input row ``floor(i * (n / m))`` with both factors in single precision: in double precision
    some sizes (2500 rows from 768) read another row.

    Args:
        labels: rows x columns, any type, which is kept.
        size: rows and columns of the result, at least 1 each.

    Raises:
        ValueError: the map is empty or has not two axes, or the size is not positive.
    """
    _check(labels, size)
    rows = _nearest_index(labels.shape[0], size[0])
    columns = _nearest_index(labels.shape[1], size[1])
    return np.take(np.take(labels, columns, axis=1), rows, axis=0)


def center_crop_or_pad(image: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Cut to ``size`` about the centre where the image is larger, pad with 0 about it where it is smaller.

    Args:
        image: rows x columns, any type, which is kept.
        size: rows and columns of the result, at least 1 each.

    Raises:
        ValueError: the image is empty or has not two axes, or the size is not positive.
    """
    _check(image, size)
    result = np.zeros(size, image.dtype)
    row_from, row_to = center_slices(image.shape[0], size[0])
    column_from, column_to = center_slices(image.shape[1], size[1])
    result[row_to, column_to] = image[row_from, column_from]
    return result


def center_slices(length: int, target: int) -> tuple[slice, slice]:
    """Which pixels of an axis of ``length`` stay, and where they stand in an axis of ``target``."""
    if length > target:
        start = length // 2 - target // 2
        return slice(start, start + target), slice(0, target)
    start = (target - length) // 2
    return slice(0, length), slice(start, start + length)


def longest_side_size(size: Size, longest: int) -> Size:
    """Rows and columns after a resize that brings the longer side to ``longest`` and keeps the aspect (at least 1)."""
    scale = longest / max(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def _check(image: npt.NDArray[Any], size: Size) -> None:
    if image.ndim != 2 or image.size == 0 or min(size) < 1:
        raise ValueError(f"cannot resize an array of shape {image.shape} to {size}")


def _bins(length: int, target: int) -> npt.NDArray[np.int64]:
    """First pixel of each bin, and the one after its last: bins x 2."""
    index = np.arange(target, dtype=np.int64)
    return np.stack([index * length // target, -((-(index + 1) * length) // target)], axis=1)


def _bin_sums(image: npt.NDArray[Any], bins: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Sum of the rows of each bin."""
    start, end = bins.T
    sums: npt.NDArray[np.float64] = image[start].astype(np.float64)
    for offset in range(1, int((end - start).max())):
        inside = np.flatnonzero(start + offset < end)
        if inside.size == start.size:
            sums += image[start + offset]
        else:
            sums[inside] += image[start[inside] + offset]
    return sums


def _corner_positions(length: int, target: int) -> Positions:
    step = np.float32((length - 1) / (target - 1)) if target > 1 else np.float32(0)
    position = np.arange(target, dtype=np.float32) * step
    first = np.minimum(position.astype(np.int64), length - 1)
    return np.stack([first, np.minimum(first + 1, length - 1)], axis=1), position - first.astype(np.float32)


def _nearest_index(length: int, target: int) -> npt.NDArray[np.int64]:
    position = np.arange(target, dtype=np.float32) * np.float32(length / target)
    index: npt.NDArray[np.int64] = np.minimum(np.floor(position).astype(np.int64), length - 1)
    return index
