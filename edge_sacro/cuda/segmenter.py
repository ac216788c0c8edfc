"""The segmenter's sliding windows, one by one or all in one batch: the twin of ``locate.segmentation_input``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sacro.cuda.device import Buffer
from edge_sacro.cuda.image import DeviceImage
from edge_sacro.cuda.session import PIXEL_THREADS, Tensor, pixel_blocks
from edge_sacro.cuda.structs import WINDOWS, Encoding
from edge_sacro.locate import SegmentationGeometry

_FLOAT = np.dtype(np.float32).itemsize


@dataclass(frozen=True, eq=False)
class SegmenterImage:
    """A radiograph as windows are cut from it, in a session's memory until the next one.

    Attributes:
        image: the radiograph.
        geometry: of the windows.
        resized: size x size, float32.
        bounds: its lowest and highest value.
    """

    image: DeviceImage
    geometry: SegmentationGeometry
    resized: Buffer
    bounds: Buffer


def segmenter_image(
    image: DeviceImage,
    geometry: SegmentationGeometry,
    *,
    eight_bit: Buffer | None = None,
    values: Buffer | None = None,
) -> SegmenterImage:
    """Resize by area, and find the lowest and the highest value.

    Args:
        image: on the device.
        geometry: of the windows.
        eight_bit: table of what the segmenter sees, uint8; or
        values: the same in float32, whatever the range.

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory.
        ValueError: not exactly one table is given.
    """
    if (eight_bit is None) == (values is None):
        raise ValueError("the segmenter's input is made with one table")
    image.check()
    session, size = image.session, geometry.size
    resized = session.buffer("segmenter resized", size * size * _FLOAT)
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
    return SegmenterImage(image, geometry, resized, bounds)


def segmenter_windows(
    image: DeviceImage,
    geometry: SegmentationGeometry,
    encoding: Encoding,
    *,
    eight_bit: Buffer | None = None,
    values: Buffer | None = None,
) -> Tensor:
    """Resize by area, rescale to -1..1, and cut every window in one launch.

    Args:
        image: on the device.
        geometry: of the windows.
        encoding: of the result.
        eight_bit: table of what the segmenter sees, uint8; or
        values: the same in float32, whatever the range.

    Returns:
        (windows, 1, window, window), in the order in which ``locate.mean_of_windows`` runs them: down each column from
        the left.

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory.
        ValueError: not exactly one table is given.
    """
    whole = segmenter_image(image, geometry, eight_bit=eight_bit, values=values)
    starts = whole.geometry.starts
    across, step = len(starts), starts[1] if len(starts) > 1 else 0
    tensor = _tensor(whole, across * across, encoding, None)
    _cut(whole, whole.resized.address, (step, across), encoding.output(tensor.buffer.address))
    return tensor


def segmenter_window(
    whole: SegmenterImage, at: tuple[int, int], encoding: Encoding, *, place: Buffer | None = None
) -> Tensor:
    """Rescale to -1..1 and cut one window.

    Args:
        whole: the resized image.
        at: column and row at which the window begins.
        encoding: of the result.
        place: memory of an engine's that it is written into; None for the session's own.

    Returns:
        (1, 1, window, window).

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory, or ``place`` has another size.
        ValueError: the window reaches beyond the image.
    """
    x, y = at
    size, window = whole.geometry.size, whole.geometry.window
    if not (0 <= x <= size - window and 0 <= y <= size - window):
        raise ValueError(f"no window of {window} at {at} of {size} x {size} pixels")
    tensor = _tensor(whole, 1, encoding, place)
    first = whole.resized.address + (y * size + x) * _FLOAT
    _cut(whole, first, (0, 1), encoding.output(tensor.buffer.address))
    return tensor


def _tensor(whole: SegmenterImage, windows: int, encoding: Encoding, place: Buffer | None) -> Tensor:
    whole.image.check()
    side = whole.geometry.window
    return whole.image.session.tensor("segmenter", (windows, 1, side, side), encoding, place)


def _cut(whole: SegmenterImage, first: int, grid: tuple[int, int], output: npt.NDArray[np.void]) -> None:
    """Cut windows of a square grid of this step and so many an axis, the first of which begins at an address."""
    size, window = whole.geometry.size, whole.geometry.window
    step, across = grid
    whole.image.session.device.launch(
        "segmenter_windows",
        pixel_blocks(window, window, across * across),
        PIXEL_THREADS,
        resized=first,
        bounds=whole.bounds,
        windows=np.array((size, window, step, across), WINDOWS),
        output=output,
    )
