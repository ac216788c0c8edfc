"""Gray values as a network that was first trained on ImageNet expects them: three equal channels in its statistics."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_sacro.preprocess.tf_resize import MEAN, STANDARD_DEVIATION


def imagenet_input(gray: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Repeat, take off the mean and divide by the standard deviation of each channel.

    Args:
        gray: rows x columns, float32, 0 to 1.

    Returns:
        (1, 3, rows, columns), float32, channels in RGB order.
    """
    mean, deviation = (np.array(each, np.float32)[:, None, None] for each in (MEAN, STANDARD_DEVIATION))
    return np.ascontiguousarray(((gray[None] - mean) / deviation)[None])
