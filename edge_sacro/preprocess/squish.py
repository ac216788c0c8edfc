"""Resizing as fastai's squish does it: Pillow's bilinear resize, to a size that need not keep the aspect.

Source: fastai 2, ``vision.augment.Resize(size, method="squish")``, an item transform, whose ``resize`` on an 8-bit
image is Pillow's with ``BILINEAR`` (Howard J, Gugger S. Fastai: a layered API for deep learning. Information 11(2),
2020). Pillow's filter is a triangle that widens as the image shrinks, which smooths; no other bilinear resize in this
package does. It works in fixed point and rounds to 8 bits after each of its two passes; so does this, to the last bit.
Rows are resized along their length first, as Pillow did then; version 13 may choose the other order, which moves a
pixel by a level.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_sacro.preprocess.resize import Size

_PRECISION = 22
"""Bits of a weight behind its point: 32, less 8 of the pixel, less 2 for the sum (Pillow's ``Resample.c``)."""


def squished(image: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    """Resize without regard to the aspect.

    Args:
        image: rows x columns, uint8.
        size: rows and columns of the result, at least 1 each.

    Raises:
        ValueError: the image is not 8-bit gray or is empty, or the size is not positive.
    """
    if image.dtype != np.uint8 or image.ndim != 2 or image.size == 0 or min(size) < 1:
        raise ValueError(f"cannot squish a {image.dtype} array of shape {image.shape} to {size}")
    across = _along_rows(np.ascontiguousarray(image.T), size[1])
    return np.ascontiguousarray(_along_rows(np.ascontiguousarray(across.T), size[0]))


def _along_rows(image: npt.NDArray[np.uint8], length: int) -> npt.NDArray[np.uint8]:
    """Resize the first axis: each output row is a weighted sum of neighbouring input rows."""
    if image.shape[0] == length:
        return image
    first, weights = _weights(image.shape[0], length)
    total = np.full((length, image.shape[1]), 1 << (_PRECISION - 1), np.int32)
    for tap in range(weights.shape[1]):
        # Taps beyond the last input row weigh nothing.
        rows = image[np.minimum(first + tap, image.shape[0] - 1)]
        total += rows * weights[:, tap, None]
    return np.asarray(np.clip(total >> _PRECISION, 0, 255), dtype=np.uint8)


def _weights(length: int, target: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """First input row of each output row, and its weights in fixed point: target, and target x taps."""
    scale = length / target
    support = max(scale, 1.0)
    centre = (np.arange(target) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), length)
    position = first[:, None] + np.arange(int((last - first).max()))
    # Multiplied by the inverse, as Pillow does: a quotient can round in another way.
    distance = np.abs((position - centre[:, None] + 0.5) * (1.0 / support))
    weights = np.where((position < last[:, None]) & (distance < 1.0), 1.0 - distance, 0.0)
    total = np.zeros(target)
    for tap in range(weights.shape[1]):
        total += weights[:, tap]
    weights *= (1.0 / total)[:, None]
    return first, (0.5 + weights * (1 << _PRECISION)).astype(np.int32)
