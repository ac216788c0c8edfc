"""The exposed field: the part of an image that collimators left open.

A joint that ends where the field ends may go on outside it, just as at the image's own border. Borders are taken away
from each side while nearly all of their pixels are nearly white or nearly black; air beside the patient goes with them,
where no joint lies. Borders that are tilted go as far as whole rows and columns reach.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_sacro import native
from edge_sacro.types import Box

WHITE, BLACK = 200, 12
"""Gray levels from which on, and up to which, a pixel is no tissue."""

PART = 0.95
"""Part of a row or column that has to be so."""


Counts = npt.NDArray[np.int32]
"""Pixels that are white, and pixels that are black, of each line: lines x 2."""


def exposed_field(image: npt.NDArray[np.uint8]) -> Box:
    """The box of the exposed field; the whole image where nothing is left of it.

    Args:
        image: rows x columns, uint8, normalised.
    """
    given, library = np.ascontiguousarray(image, np.uint8), native.fastest()
    rows, columns = given.shape
    by_row, by_column = counted(given, library)
    y0, y1 = _open_range(by_row, columns)
    if y0 >= y1:
        return Box(0, 0, columns, rows)
    for closed in (given[:y0], given[y1:]):
        if len(closed):
            by_column = by_column - counted(closed, library)[1]
    x0, x1 = _open_range(by_column, y1 - y0)
    return Box(x0, y0, x1, y1) if x0 < x1 else Box(0, 0, columns, rows)


def counted(image: npt.NDArray[np.uint8], library: native.Library | None) -> tuple[Counts, Counts]:
    """How much of each row, and of each column, is white and black.

    Args:
        image: rows x columns, contiguous.
        library: compiled functions that count the same; NumPy does, the specification, where None.
    """
    rows, columns = image.shape
    by_row, by_column = np.empty((rows, 2), np.int32), np.zeros((2, columns), np.int32)
    if library is None:
        for kind, ends in enumerate((image >= WHITE, image <= BLACK)):
            by_row[:, kind], by_column[kind] = np.sum(ends, axis=1), np.sum(ends, axis=0)
    else:
        library.ends(image.ctypes.data, columns, 0, rows, WHITE, BLACK, by_row.ctypes.data, by_column.ctypes.data)
    return by_row, by_column.T


def _open_range(counts: Counts, length: int) -> tuple[int, int]:
    """First and last line, exclusive, between the closed lines of both ends; (0, 0) where all are closed."""
    is_open: npt.NDArray[np.bool_] = np.all(counts / length < PART, axis=1)
    if not is_open.any():
        return 0, 0
    return int(is_open.argmax()), int(is_open.size - is_open[::-1].argmax())
