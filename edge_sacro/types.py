"""The frozen values that flow through the runtime. A box is in pixels of an image whose axes its docstring names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np
import numpy.typing as npt

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
"""Sides of the patient, never of the image."""


class State(str, Enum):
    """What the runtime says of an image or of a joint. There is no other answer."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    BORDERLINE = "borderline"
    LOCATED = "located"
    NOT_ASSESSABLE = "not_assessable"
    REFUSED = "refused"


@dataclass(frozen=True)
class Box:
    """A box on the pixel grid: columns ``x0 <= x < x1`` and rows ``y0 <= y < y1``, in pixels from the top left."""

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 and 0 <= self.y0 < self.y1):
            raise ValueError(f"empty or negative box {self.x0, self.y0, self.x1, self.y1}")

    @property
    def width(self) -> int:
        """Columns covered, in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows covered, in pixels."""
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        """Pixels covered."""
        return self.width * self.height

    def as_list(self) -> list[int]:
        """``[x0, y0, x1, y1]``, as reports have it."""
        return [self.x0, self.y0, self.x1, self.y1]

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        w = min(self.x1, other.x1) - max(self.x0, other.x0)
        h = min(self.y1, other.y1) - max(self.y0, other.y0)
        inter = max(w, 0) * max(h, 0)
        return inter / (self.area + other.area - inter)


@dataclass(frozen=True)
class PixelSpacing:
    """Distance between neighbouring pixel centres in mm, and the attribute that says so (PS3.3 10.7.1.3)."""

    row_mm: float
    column_mm: float
    source: Literal["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"]


@dataclass(frozen=True)
class Orientation:
    """Where the stored image's axes point in the patient (PS3.3 C.7.6.1.1.1), seen in a coronal plane.

    Attributes:
        row: direction in which columns grow, ``"L"``, ``"R"``, ``"H"`` or ``"F"``; for CT ``"A"`` or ``"P"`` too.
        column: direction in which rows grow, from the same four letters.
        assumed: True where no attribute says so and the display convention (L, F) was taken.
    """

    row: str
    column: str
    assumed: bool


@dataclass(frozen=True)
class SlicePlane:
    """Where a CT slice lies in the patient (PS3.3 C.7.6.2), and what it was made with. None where the header is silent.

    Attributes:
        series_uid: Series Instance UID.
        position_mm: x, y, z of the centre of the first pixel, Image Position (Patient).
        axes: direction cosines of the rows, then of the columns, Image Orientation (Patient).
        kernel: Convolution Kernel, upper case.
    """

    series_uid: str | None
    position_mm: tuple[float, float, float] | None
    axes: tuple[float, float, float, float, float, float] | None
    kernel: str | None


@dataclass(frozen=True)
class Acquisition:
    """What an image was taken with, where the header tells; no decision depends on any of it.

    Attributes:
        equipment: manufacturer, model, station and serial number, as one text.
        kvp: tube voltage, kV.
        exposure_index, deviation_index: of IEC 62494-1 (PS3.3 C.8.11.3): the detector's dose, 100 for 1 microgray, and
            its distance from the target, 0 where it is met and 1 for a quarter more.
    """

    equipment: str | None = None
    kvp: float | None = None
    exposure_index: float | None = None
    deviation_index: float | None = None


@dataclass(frozen=True, eq=False)
class Grayscale:
    """How a stored value becomes a modality value: one table over every value that can be stored.

    Attributes:
        first: the stored value that ``table[0]`` belongs to.
        table: modality values, float32, one for each stored value from ``first`` on (PS3.3 C.11.1).
        inverted: True where a higher modality value is displayed darker (MONOCHROME1 or PRESENTATION LUT INVERSE).
        padding: lowest and highest stored value that is no image (PS3.3 C.7.5.1.1.2), or None.
        rescale_type: unit of the modality values, ``"US"`` where unspecified, ``"HU"`` for CT.
    """

    first: int
    table: npt.NDArray[np.float32]
    inverted: bool
    padding: tuple[int, int] | None
    rescale_type: str


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One image as its sender stored it, with what is needed to read it.

    Attributes:
        stored: stored values after HighBit, mask and sign, rows x columns, int16, uint16, uint8 or int32; read-only.
        grayscale: stored value to modality value.
        bits_stored: significant bits of a stored value.
        spacing: pixel spacing, or None where the header has none.
        orientation: where rows and columns point in the patient.
        sop_class_uid, sop_instance_uid, transfer_syntax_uid: as in the file.
        modality: Modality (0008,0060), for example ``"DX"``.
        photometric_interpretation: ``"MONOCHROME1"`` or ``"MONOCHROME2"``.
        body_part: Body Part Examined or the Anatomic Region's meaning, upper case, or None.
        view: ``"AP"``, ``"PA"``, another View Position, upper case, or None.
        laterality: Image Laterality or Laterality, ``"L"``, ``"R"``, ``"B"``, ``"U"``, or None.
        lossy: True where the pixels went through lossy compression, ever.
        lossy_ratio: the largest Lossy Image Compression Ratio, or None.
        frame: index of this frame, from 0.
        frames: how many the object holds.
        sha256: hash of the file's bytes, hexadecimal.
        source: path or name that the caller gave.
        notes: what a reader of the report must know: overrides, assumptions, conflicts, in the order found.
        plane: where a CT slice lies; None for a radiograph.
        acquisition: what it was taken with.
    """

    stored: npt.NDArray[np.integer]
    grayscale: Grayscale
    bits_stored: int
    spacing: PixelSpacing | None
    orientation: Orientation
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    modality: str
    photometric_interpretation: str
    body_part: str | None
    view: str | None
    laterality: str | None
    lossy: bool
    lossy_ratio: float | None
    frame: int
    sha256: str
    source: str
    notes: tuple[str, ...] = ()
    frames: int = 1
    plane: SlicePlane | None = None
    acquisition: Acquisition = Acquisition()

    @property
    def rows(self) -> int:
        """Rows of the stored image."""
        return int(self.stored.shape[0])

    @property
    def columns(self) -> int:
        """Columns of the stored image."""
        return int(self.stored.shape[1])


@dataclass(frozen=True)
class OperatingPoint:
    """A cut-off on a probability, with the place where it was published or measured.

    A probability above ``threshold`` is positive, strictly, as the source defines it.
    """

    name: str
    threshold: float
    source: str
