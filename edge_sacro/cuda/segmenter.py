"""The segmenter's sliding windows, all of an image in one batch: the twin of ``locate.segmentation_input``."""

from __future__ import annotations

import numpy as np

from edge_sacro.cuda.device import Buffer
from edge_sacro.cuda.image import DeviceImage
from edge_sacro.cuda.session import PIXEL_THREADS, Tensor, pixel_blocks
from edge_sacro.cuda.structs import WINDOWS, Encoding
from edge_sacro.locate import SegmentationGeometry


def segmenter_windows(
    image: DeviceImage,
    geometry: SegmentationGeometry,
    encoding: Encoding,
    *,
    eight_bit: Buffer | None = None,
    values: Buffer | None = None,
) -> Tensor:
    """Resize by area, rescale to -1..1, cut the windows.

    Args:
        image: on the device.
        geometry: of the windows.
        encoding: of the result.
        eight_bit: table of what the segmenter sees, uint8; or
        values: the same in float32, whatever the range.

    Returns:
        (windows, 1, window, window), in the order in which ``locate.mean_logits`` runs them: down each column from the
        left.

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory.
        ValueError: not exactly one table is given.
    """
    if (eight_bit is None) == (values is None):
        raise ValueError("the segmenter's input is made with one table")
    image.check()
    session, size, window = image.session, geometry.size, geometry.window
    across = len(geometry.starts)
    step = geometry.starts[1] if across > 1 else 0
    resized = session.buffer("segmenter resized", size * size * np.dtype(np.float32).itemsize)
    bounds = session.zeroed("segmenter bounds", 2 * np.dtype(np.uint32).itemsize)
    session.device.launch(
        "area_resize",
        pixel_blocks(size, size),
        PIXEL_THREADS,
        image=image.argument,
        eight_bit=eight_bit,
        values=values,
        resized=resized,
        bounds=bounds,
        size=size,
    )
    tensor = session.tensor("segmenter", (across * across, 1, window, window), encoding)
    session.device.launch(
        "segmenter_windows",
        pixel_blocks(window, window, across * across),
        PIXEL_THREADS,
        resized=resized,
        bounds=bounds,
        windows=np.array((size, window, step, across), WINDOWS),
        output=encoding.output(tensor.buffer.address),
    )
    return tensor
