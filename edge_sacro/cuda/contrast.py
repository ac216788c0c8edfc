"""The anatomy-aware classifier's input for a batch of crops: the twin of ``classify.classifier_input``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_sacro.classify import ClassifierGeometry
from edge_sacro.cuda.device import Buffer, Shape3
from edge_sacro.cuda.image import DeviceImage
from edge_sacro.cuda.session import PIXEL_THREADS, Tensor, pixel_blocks
from edge_sacro.cuda.structs import BOUNDS, CROP, EQUALISATION, GAUSSIAN, Encoding
from edge_sacro.preprocess import clahe
from edge_sacro.preprocess.resize import center_slices, longest_side_size
from edge_sacro.types import Box

_SHARPEN_TILE = 16, 32
_STRIP_ROWS, _STRIP_THREADS = 8, 128
_MOST_TILES = 15
"""Of an axis: an eighth, rounded down, stands at most 15 times in the whole."""


def classifier_crops(
    image: DeviceImage,
    table: Buffer,
    boxes: Sequence[Box],
    geometry: ClassifierGeometry,
    encoding: Encoding,
    *,
    place: Buffer | None = None,
) -> Tensor:
    """Mirror, filter, resize and pad each box; every stage is one launch for all of them.

    Args:
        image: on the device.
        table: 8-bit gray of each stored value, on the device.
        boxes: in canonical view, inside the image, at least 2 x 2 pixels each; at least one.
        geometry: rows and columns of the input.
        encoding: of the result.
        place: memory of an engine's that it is written into; None for the session's own.

    Returns:
        (boxes, 1, rows, columns), 0 to 1.

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory, or ``place`` has another size.
        ValueError: a box reaches beyond the image or is too small, or there is none.
    """
    image.check()
    batch = _Batch(image, _crops(image, boxes, geometry))
    levels = _equalised(batch, image, table)
    tensor = image.session.tensor("classifier", (batch.size, 1, *geometry.size), encoding, place)
    batch.launch(
        "classifier_input",
        pixel_blocks(geometry.columns, geometry.rows, batch.size),
        PIXEL_THREADS,
        levels=levels,
        output=encoding.output(tensor.buffer.address),
        rows=geometry.rows,
        columns=geometry.columns,
    )
    return tensor


class _Batch:
    """The crops of one call on the device, with the lowest and highest value of each after each stage."""

    def __init__(self, image: DeviceImage, crops: npt.NDArray[np.void]) -> None:
        session, pixels = image.session, int((crops["rows"].astype(np.int64) * crops["columns"]).sum())
        # As many as the image has, so that a larger crop of a later image of that size takes no more memory.
        self.pixels = max(pixels, image.rows * image.columns)
        self.size, self.crops = crops.size, crops
        self.rows, self.columns = int(crops["rows"].max()), int(crops["columns"].max())
        self._session = session
        self._given = session.uploaded("crops", crops)
        self._bounds = session.zeroed("crop bounds", crops.size * BOUNDS.itemsize)

    def work(self, stage: str, nbytes: int) -> Buffer:
        """What a stage leaves for the next."""
        return self._session.buffer(f"crop {stage}", nbytes)

    def launch(self, kernel: str, blocks: Shape3, threads: Shape3, **arguments: object) -> None:
        """Queue a kernel on all crops."""
        self._session.device.launch(kernel, blocks, threads, crops=self._given, bounds=self._bounds, **arguments)


def _equalised(batch: _Batch, image: DeviceImage, table: Buffer) -> Buffer:
    """The contrast filter of every crop, mirrored, up to its last rescaling: levels of 14 bits."""
    gray, sharpened = batch.work("gray", batch.pixels), batch.work("sharpened", batch.pixels * 4)
    bins, levels = batch.work("bins", batch.pixels), batch.work("levels", batch.pixels * 2)
    maps = batch.work("maps", batch.size * _MOST_TILES**2 * clahe.BINS * 2)
    tiles = int(batch.crops["tiles_across"].max()), int(batch.crops["tiles_down"].max())
    batch.launch(
        "crop_gray",
        pixel_blocks(batch.columns, batch.rows, batch.size),
        PIXEL_THREADS,
        image=image.argument,
        table=table,
        gray=gray,
    )
    batch.launch(
        "sharpen",
        (-(-batch.columns // _SHARPEN_TILE[1]), -(-batch.rows // _SHARPEN_TILE[0]), batch.size),
        (_SHARPEN_TILE[1], 8, 1),
        gray=gray,
        sharpened=sharpened,
        gaussian=_gaussian(),
        part=clahe.SHARPENING,
    )
    batch.launch(
        "tile_maps",
        (*tiles, batch.size),
        (clahe.BINS, 1, 1),
        sharpened=sharpened,
        bins=bins,
        maps=maps,
        how=np.array((clahe.CLIP_LIMIT, clahe.LEVELS, 1 + clahe.LEVELS // clahe.BINS), EQUALISATION),
    )
    batch.launch(
        "interpolate",
        (-(-batch.columns // _STRIP_THREADS), -(-batch.rows // _STRIP_ROWS), batch.size),
        (_STRIP_THREADS, 1, 1),
        bins=bins,
        maps=maps,
        levels=levels,
    )
    return levels


def _crops(image: DeviceImage, boxes: Sequence[Box], geometry: ClassifierGeometry) -> npt.NDArray[np.void]:
    """The kernels' ``Crop`` of each box."""
    if not boxes:
        raise ValueError("there is no box to crop to")
    crops = np.zeros(len(boxes), CROP)
    offset = 0
    for crop, box in zip(crops, boxes, strict=True):
        if box.x1 > image.columns or box.y1 > image.rows or min(box.width, box.height) < 2:
            raise ValueError(f"no crop {box} of {image.rows} x {image.columns} pixels")
        crop["left"], crop["top"], crop["offset"] = box.x0, box.y0, offset
        resized = longest_side_size((box.height, box.width), max(geometry.size))
        for axis, length, whole, target in zip(
            ("row", "column"), (box.height, box.width), resized, geometry.size, strict=True
        ):
            tile = max(length // clahe.TILES_A_SIDE, 1)
            seen, place = center_slices(whole, target)
            crop[f"{axis}s"], crop[f"tile_{axis}s"] = length, tile
            crop["tiles_down" if axis == "row" else "tiles_across"] = -(-length // tile)
            crop[f"from_{axis}"], crop[f"to_{axis}"], crop[f"kept_{axis}s"] = (
                seen.start,
                place.start,
                seen.stop - seen.start,
            )
            crop[f"{axis}_step"] = np.float32((length - 1) / (whole - 1)) if whole > 1 else np.float32(0)
        offset += box.area
    if offset >= 1 << 31:
        raise ValueError(f"the boxes hold {offset} pixels; fewer than 2**31 fit in a batch")
    return crops


def _gaussian() -> npt.NDArray[np.void]:
    """Weights of the centre and of each tap on either side, summed as the reference sums them."""
    taps = np.arange(-clahe.GAUSSIAN_RADIUS, clahe.GAUSSIAN_RADIUS + 1, dtype=np.float64)
    weights = np.exp(-0.5 * taps**2)
    weights /= weights.sum()
    packed = np.zeros((), GAUSSIAN)
    packed["weights"] = weights[clahe.GAUSSIAN_RADIUS :]
    return packed
