"""The exposed field: the part of an image that collimators left open.

A joint that ends where the field ends may go on outside it, just as at the image's own border. Borders are taken away
from each side while nearly all of their pixels are nearly white or nearly black; air beside the patient goes with them,
where no joint lies. Borders that are tilted go as far as whole rows and columns reach.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.types import Box

WHITE, BLACK = 200, 12
"""Gray levels from which on, and up to which, a pixel is no tissue."""

PART = 0.95
"""Part of a row or column that has to be so."""


def exposed_field(image: npt.NDArray[np.uint8]) -> Box:
    """The box of the exposed field; the whole image where nothing is left of it.

    Args:
        image: rows x columns, uint8, normalised.
    """
    rows, columns = image.shape
    white, black = (image >= WHITE).view(np.uint8), (image <= BLACK).view(np.uint8)
    y0, y1 = _open_range(_parts(white, 1), _parts(black, 1))
    if y0 >= y1:
        return Box(0, 0, columns, rows)
    x0, x1 = _open_range(_parts(white[y0:y1], 0), _parts(black[y0:y1], 0))
    return Box(x0, y0, x1, y1) if x0 < x1 else Box(0, 0, columns, rows)


def _parts(mask: npt.NDArray[np.uint8], axis: int) -> npt.NDArray[np.floating]:
    """Part of each column (axis 0) or row (axis 1) that is 1."""
    counts = np.asarray(cv2.reduce(mask, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S), np.float64)
    parts: npt.NDArray[np.floating] = counts.ravel() / mask.shape[axis]
    return parts


def _open_range(white: npt.NDArray[np.floating], black: npt.NDArray[np.floating]) -> tuple[int, int]:
    """First and last line, exclusive, between the closed lines of both ends; (0, 0) where all are closed."""
    is_open = (white < PART) & (black < PART)
    if not is_open.any():
        return 0, 0
    return int(is_open.argmax()), int(is_open.size - is_open[::-1].argmax())
