"""Stored values through a table without a pass that makes them start at 0: the table is turned instead.

A table has 65,536 entries at most, so the lowest 16 bits of a stored value, signed or not, tell its entry.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.types import Grayscale

ENTRIES = 1 << 16

_Entry = TypeVar("_Entry", np.uint8, np.float32)


def sixteen_bits(stored: npt.NDArray[np.integer]) -> npt.NDArray[np.uint16]:
    """The lowest 16 bits of each stored value; the same memory where it has 16."""
    if stored.dtype.itemsize == 2 and stored.dtype.isnative:
        return stored.view(np.uint16)
    return stored.astype(np.uint16)


def places(grayscale: Grayscale) -> npt.NDArray[np.intp]:
    """The lowest 16 bits of the stored value of each entry of the grayscale's table."""
    return (np.arange(grayscale.table.size) + grayscale.first) % ENTRIES


def through_table(
    stored: npt.NDArray[np.integer], grayscale: Grayscale, table: npt.NDArray[_Entry]
) -> npt.NDArray[_Entry]:
    """Each stored value's entry.

    Args:
        stored: rows x columns, as of ``Radiograph``.
        grayscale: its table tells which stored value each entry is for.
        table: uint8 or float32, one entry for each of the grayscale's.

    Returns:
        rows x columns; 0 for a value beyond the table.
    """
    turned = np.zeros(ENTRIES, table.dtype)
    turned[places(grayscale)] = table
    return cv2.LUT(sixteen_bits(stored), turned)  # type: ignore[return-value] # its type is the table's
