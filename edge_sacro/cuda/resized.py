"""Inputs of networks that see the whole image: twins of ``preprocess.squish``, ``tf_resize`` and ``systems.fu2024``."""

from __future__ import annotations

import numpy as np

from edge_sacro.cuda.device import Buffer
from edge_sacro.cuda.image import DeviceImage
from edge_sacro.cuda.session import PIXEL_THREADS, Tensor, pixel_blocks
from edge_sacro.cuda.structs import Encoding, imagenet_channels
from edge_sacro.preprocess.resize import Size
from edge_sacro.preprocess.tf_resize import aspect_size

_WEIGHT_THREADS = 64
_ROW_THREADS = (256, 1, 1)


def squished_input(
    image: DeviceImage, table: Buffer, size: Size, encoding: Encoding, place: Buffer | None = None
) -> Tensor:
    """Pillow's bilinear resize without regard to the aspect, then ImageNet's statistics.

    Args:
        image: on the device.
        table: 8-bit gray of each stored value, on the device.
        size: rows and columns of the result.
        encoding: of the result.
        place: memory of an engine's that it is written into; None for the session's own.

    Returns:
        (1, 3, rows, columns).

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory, or ``place`` has another size.
    """
    image.check()
    rows, columns = size
    session = image.session
    across, across_taps, across_weights = _triangle(image, "across", image.columns, columns)
    down, down_taps, down_weights = _triangle(image, "down", image.rows, rows)
    squished = session.buffer("squished", image.rows * columns)
    session.device.launch(
        "squish_across",
        (image.rows, 1, 1),
        _ROW_THREADS,
        image=image.argument,
        table=table,
        first=across,
        weights=across_weights,
        squished=squished,
        target=columns,
        taps=across_taps,
    )
    tensor = session.tensor("classifier", (1, 3, rows, columns), encoding, place)
    session.device.launch(
        "squish_down",
        pixel_blocks(columns, rows),
        PIXEL_THREADS,
        squished=squished,
        first=down,
        weights=down_weights,
        output=encoding.output(tensor.buffer.address),
        channels=imagenet_channels(),
        length=image.rows,
        rows=rows,
        columns=columns,
        taps=down_taps,
    )
    return tensor


def detector_input(
    image: DeviceImage, table: Buffer, size: int, encoding: Encoding, place: Buffer | None = None
) -> tuple[Tensor, Size]:
    """TensorFlow 1's bilinear resize that keeps the aspect, ImageNet's statistics, then padding: one launch.

    Args:
        image: on the device.
        table: 8-bit gray of each stored value, on the device.
        size: side of the network's square input.
        encoding: of the result.
        place: memory of an engine's that it is written into; None for the session's own.

    Returns:
        (1, 3, size, size), and the rows and columns of it that the image fills at the top left.

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory, or ``place`` has another size.
        ValueError: the image is so narrow that nothing would be left of it.
    """
    image.check()
    rows, columns = aspect_size((image.rows, image.columns), size)
    tensor = image.session.tensor("detector", (1, 3, size, size), encoding, place)
    image.session.device.launch(
        "detector_input",
        pixel_blocks(size, size),
        PIXEL_THREADS,
        image=image.argument,
        table=table,
        output=encoding.output(tensor.buffer.address),
        channels=imagenet_channels(),
        size=size,
        rows=rows,
        columns=columns,
        row_ratio=np.float32(image.rows) / np.float32(rows),
        column_ratio=np.float32(image.columns) / np.float32(columns),
    )
    return tensor, (rows, columns)


def slice_input(
    image: DeviceImage, table: Buffer, size: Size, encoding: Encoding, place: Buffer | None = None
) -> Tensor:
    """OpenCV's bilinear resize of a CT slice through its window, then ImageNet's statistics: one launch.

    Args:
        image: on the device.
        table: float32, 0 to 1, of each stored value, on the device.
        size: rows and columns of the result.
        encoding: of the result.
        place: memory of an engine's that it is written into; None for the session's own.

    Returns:
        (1, 3, rows, columns).

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory, or ``place`` has another size.
    """
    image.check()
    rows, columns = size
    tensor = image.session.tensor("classifier", (1, 3, rows, columns), encoding, place)
    image.session.device.launch(
        "slice_input",
        pixel_blocks(columns, rows),
        PIXEL_THREADS,
        image=image.argument,
        table=table,
        output=encoding.output(tensor.buffer.address),
        channels=imagenet_channels(),
        rows=rows,
        columns=columns,
        row_ratio=image.rows / rows,
        column_ratio=image.columns / columns,
    )
    return tensor


def _triangle(image: DeviceImage, axis: str, length: int, target: int) -> tuple[Buffer, int, Buffer]:
    """First input pixel of each output pixel, most taps of one, and its weights, computed on the device."""
    taps = int(2 * max(length / target, 1.0)) + 2
    first = image.session.buffer(f"squish {axis} first", target * 4)
    weights = image.session.buffer(f"squish {axis} weights", target * taps * 4)
    image.session.device.launch(
        "squish_weights",
        (-(-target // _WEIGHT_THREADS), 1, 1),
        (_WEIGHT_THREADS, 1, 1),
        first=first,
        weights=weights,
        length=length,
        target=target,
        taps=taps,
    )
    return first, taps, weights
