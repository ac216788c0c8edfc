"""Pixel spacing and orientation: how large a pixel is, and where the image's axes point in the patient."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from edge_sacro.dicom.attributes import Header
from edge_sacro.errors import ContradictoryAttributes, WrongView
from edge_sacro.types import Orientation, PixelSpacing, SlicePlane

SpacingSource = Literal["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"]
SPACING_SOURCES: tuple[SpacingSource, ...] = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_LETTERS = frozenset("LRHFAP")
_AXES = ("LR", "HF", "AP")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_COSINES, _FARTHEST_MM = 0.01, 1e5
_POSITIVE, _NEGATIVE = "LPH", "RAF"
"""Letters of the patient's x, y and z axes (PS3.3 C.7.6.2.1.1)."""


def spacing_from_header(header: Header) -> PixelSpacing | None:
    """The first of ``SPACING_SOURCES`` that holds two positive numbers (PS3.3 10.7.1.3); others are noted."""
    for source in SPACING_SOURCES:
        numbers = header.note_numbers(source)
        if len(numbers) == 2 and min(numbers) > 0:
            return PixelSpacing(numbers[0], numbers[1], source)
        if numbers:
            header.notes.append(f"{source} is not two positive numbers and was left out.")
    return None


def orientation_from_header(header: Header, overridden: bool) -> Orientation:
    """Directions of rows and columns.

    CT takes them from Image Orientation (Patient), projections from Patient Orientation (PS3.3 C.7.6.1.1.1), of whose
    letters the first is the leading one. Where neither says anything the display convention (L, F) is assumed.

    Args:
        header: attributes of the frame.
        overridden: accept a lateral view; its axes are then assumed.

    Raises:
        WrongView: rows or columns run front to back.
        ContradictoryAttributes: both run along the same axis, or a letter is none.
    """
    cosines = header.numbers("ImageOrientationPatient")
    if len(cosines) == 6 and header.text("Modality") == "CT":
        return Orientation(_letter(cosines[:3]), _letter(cosines[3:]), assumed=False)
    texts = [text for text in header.texts("PatientOrientation") if text]
    if not texts:
        header.notes.append("Patient Orientation is absent; columns to the patient's left, rows to the feet assumed.")
        return Orientation("L", "F", assumed=True)
    if len(texts) != 2 or not all(set(text) <= _LETTERS for text in texts):
        raise ContradictoryAttributes(f"Patient Orientation {_shown(texts)} is not two directions")
    row, column = texts[0][0], texts[1][0]
    if any(row in axis and column in axis for axis in _AXES):
        raise ContradictoryAttributes(f"Patient Orientation {_shown(texts)} runs twice along one axis")
    if "A" in row + column or "P" in row + column:
        if not overridden:
            raise WrongView(f"Patient Orientation {_shown(texts)} is that of a lateral view")
        header.notes.append(f"Patient Orientation {_shown(texts)} is that of a lateral view; overridden, assumed L, F.")
        return Orientation("L", "F", assumed=True)
    return Orientation(row, column, assumed=False)


def plane_from_header(header: Header) -> SlicePlane | None:
    """Where a CT slice lies and what it was reconstructed with; None for other modalities."""
    if header.text("Modality") != "CT":
        return None
    position, axes = header.note_numbers("ImagePositionPatient"), header.note_numbers("ImageOrientationPatient")
    if axes and not _perpendicular(axes):
        header.notes.append("Image Orientation (Patient) is not two perpendicular directions of length 1.")
        axes = ()
    if any(abs(number) > _FARTHEST_MM for number in position):
        header.notes.append("Image Position (Patient) is no place in a scanner and was left out.")
        position = ()
    uid = header.uid("SeriesInstanceUID")
    return SlicePlane(
        series_uid=uid if uid and is_uid(uid) else None,
        position_mm=position if len(position) == 3 else None,
        axes=axes if len(axes) == 6 else None,
        kernel="\\".join(header.texts("ConvolutionKernel"))[:64] or None,
    )


def is_uid(text: str) -> bool:
    """Whether it is digits and dots as PS3.5 9.1 has them, at most 64 of them."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def _perpendicular(cosines: tuple[float, ...]) -> bool:
    if len(cosines) != 6:
        return False
    row, column = np.reshape(cosines, (2, 3))
    return bool(np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=_COSINES))


def _shown(texts: list[str]) -> str:
    return "\\".join(texts)[:16]


def _letter(cosines: tuple[float, ...]) -> str:
    """The patient direction that a direction cosine vector leans to most."""
    axis = max(range(3), key=lambda each: abs(cosines[each]))
    if cosines[axis] == 0:
        raise ContradictoryAttributes("Image Orientation (Patient) holds a vector without direction")
    return (_POSITIVE if cosines[axis] > 0 else _NEGATIVE)[axis]
