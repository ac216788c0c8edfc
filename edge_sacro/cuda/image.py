"""A radiograph on the device, and tables from its stored values to what a system reads of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.cuda.device import Buffer
from edge_sacro.cuda.session import PIXEL_THREADS, Session, pixel_blocks
from edge_sacro.cuda.structs import IMAGE, RANGE, STORED_TYPES
from edge_sacro.errors import ContradictoryAttributes, InternalError
from edge_sacro.orient import canonical_size
from edge_sacro.preprocess.normalise import FLAT_FRACTION, HIGH, LOW
from edge_sacro.types import Grayscale, Orientation, Radiograph

_TABLE_THREADS = 256
_RANGE_THREADS = 1024
_HISTOGRAM_BLOCKS = 64
_COUNT = np.dtype(np.uint32).itemsize


@dataclass(frozen=True, eq=False)
class DeviceImage:
    """A radiograph in a session's memory, until the session loads another.

    Attributes:
        session: whose memory it is.
        turn: which of the session's images it is.
        argument: the kernels' ``Image``.
        grayscale: what stored values mean.
        rows, columns: of the canonical view.
        counts: how often each stored value occurs, on the device.
    """

    session: Session
    turn: int
    argument: npt.NDArray[np.void]
    grayscale: Grayscale
    rows: int
    columns: int
    counts: Buffer

    def check(self) -> None:
        """Refuse an image whose memory another one has.

        Raises:
            InternalError: it has.
        """
        self.session.check_turn(self.turn)

    @property
    def entries(self) -> int:
        """How many stored values there are."""
        return int(self.grayscale.table.size)


def image_from_radiograph(session: Session, radiograph: Radiograph) -> DeviceImage:
    """Bring the stored pixels to the device and count them; waits until that is done.

    Raises:
        BackendFailed: the device's own error.
        ContradictoryAttributes: a pixel's value is none that the header allows to be stored.
        InternalError: pixels of a type that no radiograph has.
    """
    stored, grayscale = radiograph.stored, radiograph.grayscale
    if stored.ndim != 2 or stored.size == 0 or stored.dtype.name not in STORED_TYPES:
        raise InternalError(f"no radiograph is a {stored.dtype} array of shape {stored.shape}")
    turn = session.next_turn()
    pixels = session.uploaded("stored", stored)
    argument = np.zeros((), IMAGE)
    argument["pixels"], argument["type"] = pixels.address, STORED_TYPES[stored.dtype.name]
    argument["first"], argument["entries"] = grayscale.first, grayscale.table.size
    argument["rows"], argument["columns"] = stored.shape
    argument["transposed"], argument["mirrored"], argument["inverted"] = steps_to_canonical(radiograph.orientation)
    counts = session.zeroed("counts", grayscale.table.size * _COUNT)
    outside = session.zeroed("outside", _COUNT)
    session.device.launch(
        "histogram", (_HISTOGRAM_BLOCKS, 1, 1), (_RANGE_THREADS, 1, 1), image=argument, counts=counts, outside=outside
    )
    found = np.zeros(1, np.uint32)
    session.device.download(outside, found)
    if found[0]:
        raise ContradictoryAttributes(
            f"{found[0]} pixels hold values outside {grayscale.first} to {grayscale.first + grayscale.table.size - 1}",
            source=radiograph.source,
        )
    rows, columns = canonical_size(radiograph.orientation, (radiograph.rows, radiograph.columns))
    return DeviceImage(session, turn, argument, grayscale, rows, columns, counts)


def steps_to_canonical(orientation: Orientation) -> tuple[bool, bool, bool]:
    """Whether to transpose, then to mirror columns, then to invert rows: ``edge_sacro.orient``."""
    transposed = orientation.row in "HFAP"
    across, down = (orientation.column, orientation.row) if transposed else (orientation.row, orientation.column)
    return transposed, across == "R", down in "HA"


def gray_table_on_device(image: DeviceImage) -> Buffer:
    """The normaliser's 8-bit gray of each stored value, computed on the device from the image's counts.

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory.
    """
    image.check()
    session, grayscale, entries = image.session, image.grayscale, image.entries
    levels, rank = _levels(grayscale)
    pad_first, pad_last = _padding(grayscale)
    blocks, threads = (-(-entries // _TABLE_THREADS), 1, 1), (_TABLE_THREADS, 1, 1)
    weights = session.zeroed("weights", levels.size * _COUNT)
    extent = session.buffer("range", RANGE.itemsize)
    gray = session.buffer("gray table", entries)
    session.device.launch(
        "level_weights",
        blocks,
        threads,
        counts=image.counts,
        rank=session.uploaded("rank", rank),
        weights=weights,
        entries=entries,
        pad_first=pad_first,
        pad_last=pad_last,
    )
    session.device.launch(
        "gray_range",
        (1, 1, 1),
        (_RANGE_THREADS, 1, 1),
        weights=weights,
        values=session.uploaded("levels", levels),
        range=extent,
        low=LOW,
        high=HIGH,
        flat=FLAT_FRACTION,
        levels=levels.size,
    )
    session.device.launch(
        "gray_table",
        blocks,
        threads,
        table=session.uploaded("values", grayscale.table),
        range=extent,
        gray=gray,
        entries=entries,
        sign=-1 if grayscale.inverted else 1,
        pad_first=pad_first,
        pad_last=pad_last,
    )
    return gray


def table_on_device(image: DeviceImage, name: str, table: npt.NDArray[Any]) -> Buffer:
    """A table that the host computed, one entry for each stored value.

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory, or the table has another length.
    """
    image.check()
    if table.shape != (image.entries,):
        raise InternalError(f"a table of shape {table.shape} for {image.entries} stored values")
    return image.session.uploaded(f"{name} table", table)


def gray_from_table(image: DeviceImage, table: Buffer) -> npt.NDArray[np.uint8]:
    """The whole image through an 8-bit table, in canonical view, for the stages that run on the host.

    Raises:
        BackendFailed: the device's own error.
        InternalError: another image has the memory.
    """
    image.check()
    gray = image.session.buffer("gray image", image.rows * image.columns, shared=True)
    image.session.device.launch(
        "gray_image",
        pixel_blocks(image.columns, image.rows),
        PIXEL_THREADS,
        image=image.argument,
        table=table,
        gray=gray,
    )
    values = np.empty((image.rows, image.columns), np.uint8)
    image.session.device.download(gray, values)
    return values


def _levels(grayscale: Grayscale) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint16]]:
    """Every modality value once, ascending in the sense in which bone is bright, and the rank of each entry's."""
    values = -grayscale.table if grayscale.inverted else grayscale.table
    steps = np.diff(values)
    if (steps > 0).all():
        return values, np.arange(values.size, dtype=np.uint16)
    if (steps < 0).all():
        return values[::-1], np.arange(values.size - 1, -1, -1, dtype=np.int32).astype(np.uint16)
    levels, rank = np.unique(values, return_inverse=True)
    return levels, rank.astype(np.uint16)


def _padding(grayscale: Grayscale) -> tuple[int, int]:
    """First and last entry that is no image; the first is the higher where there is none."""
    if grayscale.padding is None:
        return 1, 0
    low, high = (bound - grayscale.first for bound in grayscale.padding)
    return low, high
