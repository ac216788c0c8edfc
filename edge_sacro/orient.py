"""Canonical view: the patient's left at the image's right, the head at its top, as radiographs are shown.

An axial slice has the patient's front at its top.

Networks see this view alone, so that an image that was stored mirrored, upside down or on its side gives the same
joints with the same names. Boxes go back to the stored image's pixels.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edge_sacro.types import Box, Orientation

Scalar = TypeVar("Scalar", bound=np.generic)


def canonical_from_stored(image: npt.NDArray[Scalar], orientation: Orientation) -> npt.NDArray[Scalar]:
    """The image in canonical view, C-contiguous; the same array where it is stored so already."""
    transposed, mirrored, inverted = _steps(orientation)
    view = image.T if transposed else image
    view = view[:, ::-1] if mirrored else view
    view = view[::-1] if inverted else view
    return np.ascontiguousarray(view)


def stored_from_canonical(image: npt.NDArray[Scalar], orientation: Orientation) -> npt.NDArray[Scalar]:
    """The inverse of :func:`canonical_from_stored`: an image in canonical view on the stored image's pixel grid."""
    transposed, mirrored, inverted = _steps(orientation)
    view = image[::-1] if inverted else image
    view = view[:, ::-1] if mirrored else view
    return np.ascontiguousarray(view.T if transposed else view)


def canonical_size(orientation: Orientation, stored_shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the canonical view of a stored image of these rows and columns."""
    return stored_shape[::-1] if _steps(orientation)[0] else stored_shape


def stored_box_from_canonical(box: Box, orientation: Orientation, stored_shape: tuple[int, int]) -> Box:
    """The box on the stored image's pixel grid.

    Args:
        box: in canonical view.
        orientation: of the stored image.
        stored_shape: rows and columns of the stored image.
    """
    transposed, mirrored, inverted = _steps(orientation)
    rows, columns = canonical_size(orientation, stored_shape)
    x0, y0, x1, y1 = box.as_list()
    if mirrored:
        x0, x1 = columns - x1, columns - x0
    if inverted:
        y0, y1 = rows - y1, rows - y0
    return Box(y0, x0, y1, x1) if transposed else Box(x0, y0, x1, y1)


def canonical_box_from_stored(box: Box, orientation: Orientation, stored_shape: tuple[int, int]) -> Box:
    """The inverse of :func:`stored_box_from_canonical`."""
    transposed, mirrored, inverted = _steps(orientation)
    x0, y0, x1, y1 = (box.y0, box.x0, box.y1, box.x1) if transposed else box.as_list()
    rows, columns = canonical_size(orientation, stored_shape)
    if mirrored:
        x0, x1 = columns - x1, columns - x0
    if inverted:
        y0, y1 = rows - y1, rows - y0
    return Box(x0, y0, x1, y1)


def _steps(orientation: Orientation) -> tuple[bool, bool, bool]:
    """Whether to transpose, then to mirror columns, then to invert rows."""
    transposed = orientation.row in "HFAP"
    across, down = (orientation.column, orientation.row) if transposed else (orientation.row, orientation.column)
    return transposed, across == "R", down in "HA"
