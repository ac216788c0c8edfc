"""Modality value -> 8-bit display gray, as a workstation shows it: for previews and captures, never for a network.

Window functions after PS3.3 C.11.2.1.2 (LINEAR) and C.11.2.1.3 (SIGMOID, LINEAR_EXACT), VOI LUT after C.11.2.1.1. The
gray is ``floor(255 * (y - ymin) / (ymax - ymin))``, inverted exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_sacro.dicom.lut import LookupTable
from edge_sacro.errors import ContradictoryAttributes
from edge_sacro.types import Grayscale, Radiograph

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@dataclass(frozen=True)
class Window:
    """A window in modality values.

    Attributes:
        center, width: Window Center and Window Width; ``width`` is at least 1 for LINEAR and above 0 otherwise.
        function: VOI LUT Function.
        index: place in the header, from 0.
    """

    center: float
    width: float
    function: WindowFunction = "LINEAR"
    index: int = 0

    def __post_init__(self) -> None:
        lowest = 1.0 if self.function == "LINEAR" else np.finfo(np.float64).tiny
        if not (np.isfinite(self.center) and np.isfinite(self.width) and self.width >= lowest):
            raise ContradictoryAttributes(f"a {self.function} window of center {self.center} and width {self.width}")


View: TypeAlias = Window | LookupTable | None
"""What to display: a window, a VOI LUT, or None for the whole range of the values present."""


def display_from_radiograph(radiograph: Radiograph, view: View = None) -> npt.NDArray[np.uint8]:
    """The radiograph as displayed: rows x columns, uint8, 255 white. Arguments are those of ``display_from_stored``."""
    return display_from_stored(radiograph.stored, radiograph.grayscale, view)


def display_from_stored(
    stored: npt.NDArray[np.integer], grayscale: Grayscale, view: View = None
) -> npt.NDArray[np.uint8]:
    """The image as displayed.

    Args:
        stored: stored values, any shape.
        grayscale: what they mean.
        view: window, VOI LUT, or None for the range of the values present, padding left out.

    Returns:
        uint8 of the same shape, 255 white.
    """
    index = stored.astype(np.int32) - grayscale.first
    present = np.bincount(index.ravel(), minlength=grayscale.table.size) > 0
    return display_table(grayscale, view, present)[index]


def display_table(
    grayscale: Grayscale, view: View, present: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.uint8]:
    """The 8-bit gray of each stored value from ``grayscale.first`` on.

    Args:
        grayscale: modality values and sense.
        view: as in ``display_from_stored``.
        present: which stored values occur, for the whole range; None for all.
    """
    values = grayscale.table.astype(np.float64)
    if isinstance(view, LookupTable):
        fraction = view.of(values) / float((1 << view.bits) - 1)
    elif isinstance(view, Window):
        fraction = window_fraction(values, view)
    else:
        fraction = _whole_range(values, grayscale, present)
    # a fraction that is a whole level less a rounding error is that level
    gray = np.floor(fraction * 255.0 + 1e-9).astype(np.uint8)
    return 255 - gray if grayscale.inverted else gray


def window_fraction(values: npt.NDArray[np.float64], window: Window) -> npt.NDArray[np.float64]:
    """Where each value lies in the output range, 0 to 1."""
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        exponent = np.clip(-4.0 * (values - center) / width, -700.0, 700.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)), np.float64)
    if window.function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _whole_range(
    values: npt.NDArray[np.float64], grayscale: Grayscale, present: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.float64]:
    """From the lowest to the highest value that occurs and is no padding."""
    counted = np.ones(values.size, bool) if present is None else present.copy()
    if grayscale.padding is not None:
        low, high = (bound - grayscale.first for bound in grayscale.padding)
        counted[low : high + 1] = False
    if not counted.any():
        return np.zeros(values.size)
    low_value, high_value = values[counted].min(), values[counted].max()
    if low_value == high_value:
        return np.zeros(values.size)
    return np.asarray(np.clip((values - low_value) / (high_value - low_value), 0.0, 1.0), np.float64)
