"""The subset's arrays, turned to display orientation."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from edge_sacro.types import Box
from tests.golden.subset import DATA


@cache
def golden(file: str) -> dict[str, npt.NDArray[np.generic]]:
    """All arrays of one file of the subset, ``[x, y]``."""
    with np.load(DATA / f"{file}.npz") as arrays:
        return dict(arrays)


def displayed(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Rows x columns from ``[..., x, y]``."""
    return np.ascontiguousarray(np.swapaxes(array, -1, -2))


def box_from_inclusive(bounds: npt.NDArray[np.generic]) -> Box:
    """A half-open box from x0, x1, y0, y1 with both ends inside."""
    x0, x1, y0, y1 = (int(value) for value in bounds)
    return Box(x0, y0, x1 + 1, y1 + 1)


def worst(found: npt.NDArray[np.generic], expected: npt.NDArray[np.generic]) -> float:
    """The largest absolute difference; arrays of other shapes are a failure and never broadcast."""
    assert found.shape == expected.shape
    return float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max())
