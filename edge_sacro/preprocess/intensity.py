"""Intensity as the published anatomy-aware system's networks see it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def minus_one_to_one(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale linearly so that the lowest value becomes -1 and the highest 1; an image of one value becomes 0.

    The published steps before it (mean and standard deviation, a smoothing whose outer weights are 3e-7) are affine to
    rounding and cancel: the whole differs from this by less than 1e-6.

    Args:
        image: float32, any shape, not empty.
    """
    low, high = image.min(), image.max()
    if low == high:
        return np.zeros_like(image)
    return np.asarray((image - low) / (high - low) * np.float32(2) - np.float32(1), dtype=np.float32)


def zero_to_one(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale linearly so that the lowest value becomes 0 and the highest 1, in single precision.

    An image of one value keeps it, clipped to 0..1, as scikit-image's ``rescale_intensity`` has it.

    Args:
        image: float32, any shape, not empty.
    """
    low, high = image.min(), image.max()
    if low == high:
        return np.clip(image, np.float32(0), np.float32(1))
    result = np.asarray(image - low, dtype=np.float32)
    result /= high - low
    return result


def published_eight_bit(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """The published application's cast to 8 bits: fractions cut off, the rest modulo 256.

    A defect of the original (4095 becomes 255 and 4096 becomes 0); for ``numerics: published`` alone.

    Args:
        values: any real type; finite.
    """
    return (values.astype(np.int64) & 0xFF).astype(np.uint8)
