"""A radiograph for the page: modality values of 16 bits in canonical view, so that the browser does the windowing.

The file is read by ``edge_sacro.dicom.read``, in its own process with limits; this one never takes a file apart.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro import dicom
from edge_sacro.dicom import ReadLimits
from edge_sacro.orient import canonical_box_from_stored, canonical_from_stored
from edge_sacro.preprocess.normalise import HIGH, LOW
from edge_sacro.types import Box, Radiograph

LIMITS = ReadLimits(cpu_s=10, wall_s=10.0)
"""Less than an assessment may cost: whoever looks at a list must not hold up whoever assesses."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Picture:
    """What the page draws.

    Attributes:
        levels: rows x columns, uint16, canonical view; modality value = ``slope * level + intercept``.
        slope, intercept: of that line.
        unit: of the modality values, ``"US"`` where unspecified.
        inverted: True where a higher value is displayed darker.
        low, high: modality values between which nearly all of the image lies, for a window where the file has none.
        orientation_assumed: True where the file does not say where its rows and columns point.
        scale: pixels of ``levels`` for each of the stored image.
        shown: turns a box of the stored image, x0, y0, x1, y1 in its pixels, into one of ``levels``.
    """

    levels: npt.NDArray[np.uint16]
    slope: float
    intercept: float
    unit: str
    inverted: bool
    low: float
    high: float
    orientation_assumed: bool
    scale: float
    shown: Callable[[Sequence[int]], list[float]]


def picture_from_file(path: Path, size: int, overrides: frozenset[str]) -> Picture:
    """Read a file for display.

    Args:
        path: of the DICOM file.
        size: longest side at most, in pixels; a smaller radiograph is given as it is.
        overrides: codes of refusals that do not apply.

    Raises:
        InputRefused: as ``edge_sacro.dicom.read``.
    """
    return picture_from_radiograph(dicom.read(path, limits=LIMITS, overrides=overrides, name=path.name), size)


def picture_from_radiograph(radiograph: Radiograph, size: int) -> Picture:
    """The radiograph at ``size`` pixels of its longest side at most."""
    values, darkest = _values(radiograph)
    whole = canonical_from_stored(values, radiograph.orientation)
    scale = min(size / max(whole.shape), 1.0)
    if scale < 1.0:
        shrunk = (max(round(whole.shape[1] * scale), 1), max(round(whole.shape[0] * scale), 1))
        whole = np.asarray(cv2.resize(whole, shrunk, interpolation=cv2.INTER_AREA), np.float32)
    lowest, highest = float(whole.min()), float(whole.max())
    # whole numbers stay whole numbers wherever they fit
    slope = max((highest - lowest) / 65535, 1.0 if float(lowest).is_integer() and highest - lowest >= 255 else 1e-12)
    levels = np.rint((whole - np.float32(lowest)) / np.float32(slope)).clip(0, 65535).astype(np.uint16)
    counted = levels[whole != np.float32(darkest)] if darkest is not None else levels
    low, high = np.quantile(counted[::7] if counted.size > 7 else levels, (LOW, HIGH))
    orientation, shape = radiograph.orientation, (radiograph.rows, radiograph.columns)

    def shown(box_px: Sequence[int]) -> list[float]:
        box = canonical_box_from_stored(Box(*box_px), orientation, shape)
        return [edge * scale for edge in box.as_list()]

    return Picture(
        levels=levels,
        slope=slope,
        intercept=lowest,
        unit=radiograph.grayscale.rescale_type,
        inverted=radiograph.grayscale.inverted,
        low=float(low) * slope + lowest,
        high=float(high) * slope + lowest,
        orientation_assumed=orientation.assumed,
        scale=scale,
        shown=shown,
    )


def _values(radiograph: Radiograph) -> tuple[npt.NDArray[np.float32], float | None]:
    """Modality values of the pixels, padding as dark as the darkest of the image; and that value, where padded."""
    gray = radiograph.grayscale
    index = radiograph.stored.astype(np.int32) - gray.first
    values = np.asarray(gray.table[index], np.float32)
    if gray.padding is None:
        return values, None
    padded = (radiograph.stored >= gray.padding[0]) & (radiograph.stored <= gray.padding[1])
    if not padded.any() or padded.all():
        return values, None
    image = values[~padded]
    darkest = float(image.max() if gray.inverted else image.min())
    values[padded] = darkest
    return values, darkest


class Kept(Generic[Key, Value]):
    """The last few values of a costly function. Safe to call from several threads; one value is made at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._making, self._lock = threading.Lock(), threading.Lock()
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made where it is not kept."""
        found = self._found(key)
        if found is not None:
            return found
        with self._making:
            found = self._found(key)
            if found is not None:
                return found
            value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value

    def _found(self, key: Key) -> Value | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)
