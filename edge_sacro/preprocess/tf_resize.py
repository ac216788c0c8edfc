"""The input of a detector of the TensorFlow 2 Object Detection API: aspect-preserving resize, normalisation, padding.

Sources: ``core/preprocessor.py`` (``resize_to_range``), the EfficientDet feature extractor's ``preprocess`` and
TensorFlow's ``ResizeBilinear`` with neither aligned corners nor half-pixel centres, which is what the API calls. That
last one is asymmetric: output pixel ``i`` of ``m`` reads position ``i n / m`` of ``n``, not ``(i + 0.5) n / m - 0.5``.
The padding comes after the normalisation, so its value 0 stands for the mean colour and not for black.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.preprocess.resize import Size

MEAN = (0.485, 0.456, 0.406)
"""ImageNet's mean in RGB order, of values 0 to 1."""

STANDARD_DEVIATION = (0.229, 0.224, 0.225)
"""ImageNet's standard deviation in RGB order, of values 0 to 1."""

_WHITE = np.float32(255)


def aspect_size(size: Size, longest: int) -> Size:
    """Rows and columns after the API's resize, which brings the longer side to ``longest``, up or down.

    Computed in single precision and rounded half to even, as the exported graph does.

    Raises:
        ValueError: a side is not positive, or the image is so narrow that nothing would be left of it.
    """
    if min(*size, longest) < 1:
        raise ValueError(f"cannot resize {size} to {longest}")
    scale = np.float32(longest) / np.float32(max(size))
    rows, columns = (int(np.round(np.float32(side) * scale)) for side in size)
    if min(rows, columns) < 1:
        raise ValueError(f"{size} resized to {longest} leaves no pixel")
    return rows, columns


def asymmetric_bilinear(image: npt.NDArray[np.generic], size: Size) -> npt.NDArray[np.float32]:
    """TensorFlow 1's bilinear resize, without smoothing where the image shrinks.

    Args:
        image: rows x columns, or rows x columns x channels; any real type.
        size: rows and columns of the result, at least 1 each.

    Returns:
        float32 in the image's own range, the channels kept.

    Raises:
        ValueError: the image is empty or has neither two nor three axes, or the size is not positive.
    """
    if image.ndim not in {2, 3} or image.size == 0 or min(size) < 1:
        raise ValueError(f"cannot resize an array of shape {image.shape} to {size}")
    source = image.astype(np.float32, copy=False)
    tail = (1,) * (image.ndim - 2)
    top, bottom, down = _positions(image.shape[0], size[0])
    left, right, across = _positions(image.shape[1], size[1])
    # Along columns first and each step as a + (b - a) w: the order in which TensorFlow rounds.
    across = across.reshape(1, -1, *tail)
    needed, place = np.unique(np.concatenate([top, bottom]), return_inverse=True)
    rows = source[needed]
    begin = rows[:, left]
    rows = begin + (rows[:, right] - begin) * across
    upper, lower = rows[place[: size[0]]], rows[place[size[0] :]]
    return np.asarray(upper + (lower - upper) * down.reshape(-1, 1, *tail), dtype=np.float32)


def aspect_resize_tf1(image: npt.NDArray[np.generic], longest: int) -> npt.NDArray[np.float32]:
    """Resize to :func:`aspect_size` by :func:`asymmetric_bilinear`: the longer side gets ``longest`` pixels.

    Raises:
        ValueError: what either of them refuses.
    """
    return asymmetric_bilinear(image, aspect_size((image.shape[0], image.shape[1]), longest))


def detector_input(image: npt.NDArray[np.generic], size: int) -> tuple[npt.NDArray[np.float32], Size]:
    """The network's input from an 8-bit image, and the part of it that the image fills.

    Args:
        image: rows x columns, repeated to three channels, or rows x columns x 3 in RGB order; values 0 to 255.
        size: side of the network's square input.

    Returns:
        float32 (1, 3, size, size), contiguous, the image at the top left and 0 (the mean colour) elsewhere; and the
        rows and columns that the image takes there. A box given in fractions of the square input lies at
        ``fraction * size / rows`` (or ``columns``) of the image.

    Raises:
        ValueError: the image has another shape, is empty, or is too narrow.
    """
    if image.ndim == 3 and image.shape[2] != 3:
        raise ValueError(f"an image of shape {image.shape} is neither gray nor RGB")
    resized = aspect_resize_tf1(image, size) / _WHITE
    rows, columns = resized.shape[:2]
    result = np.zeros((1, 3, size, size), np.float32)
    for channel, (mean, deviation) in enumerate(zip(MEAN, STANDARD_DEVIATION, strict=True)):
        values = resized if resized.ndim == 2 else resized[:, :, channel]
        result[0, channel, :rows, :columns] = (values - np.float32(mean)) / np.float32(deviation)
    return result, (rows, columns)


def _positions(
    length: int, target: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each output pixel the two input pixels that it lies between and the weight of the second."""
    position: npt.NDArray[Any] = np.arange(target, dtype=np.float32) * (np.float32(length) / np.float32(target))
    first = np.minimum(position.astype(np.int64), length - 1)
    return first, np.minimum(first + 1, length - 1), position - first.astype(np.float32)
