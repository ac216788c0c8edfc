"""Stored value -> modality value, as one table over every value that can be stored (PS3.3 C.11.1).

One table, computed once and indexed by the pixels, replaces per-pixel arithmetic, and no stored value can fall into a
case that was not thought of: every one of them has its entry.
"""

from __future__ import annotations

import numpy as np

from edge_sacro.dicom.attributes import Header
from edge_sacro.dicom.lut import lookup_table_from_item
from edge_sacro.dicom.pixels import PixelFormat
from edge_sacro.errors import ContradictoryAttributes
from edge_sacro.types import Grayscale


def grayscale_from_header(header: Header, pixel_format: PixelFormat) -> Grayscale:
    """Modality LUT or rescale, sense of display, and padding of one frame.

    Raises:
        MissingAttributes, ContradictoryAttributes: a Modality LUT is incomplete, or a rescale value is no number.
    """
    stored = np.arange(pixel_format.first, pixel_format.last + 1, dtype=np.int32)
    table, unit = _modality(header, stored)
    table.flags.writeable = False
    return Grayscale(pixel_format.first, table, inverted(header, pixel_format), _padding(header, pixel_format), unit)


def inverted(header: Header, pixel_format: PixelFormat) -> bool:
    """Whether higher values are displayed darker. MONOCHROME1 and INVERSE say the same thing and invert once.

    Presentation LUT Shape is INVERSE where Photometric Interpretation is MONOCHROME1 and IDENTITY where it is
    MONOCHROME2 (PS3.3 C.7.6.1.1, C.8.11.3). Where they disagree, either one inverts, and it is noted.
    """
    first = pixel_format.photometric_interpretation == "MONOCHROME1"
    shape = header.note_text("PresentationLUTShape")
    if shape not in ("IDENTITY", "INVERSE"):
        return first
    if first != (shape == "INVERSE"):
        header.notes.append(
            f"{pixel_format.photometric_interpretation} with Presentation LUT Shape {shape}: inverted once."
        )
    return True if first else shape == "INVERSE"


def _modality(
    header: Header, stored: np.ndarray[tuple[int, ...], np.dtype[np.int32]]
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], str]:
    """Modality values of the stored ones, and their unit."""
    luts = header.items("ModalityLUTSequence")
    slope, intercept = header.numbers("RescaleSlope"), header.numbers("RescaleIntercept")
    if luts:
        if slope or intercept:
            header.notes.append("Both a Modality LUT and a rescale are present; the LUT was used.")
        table = lookup_table_from_item(luts[0], bool(stored[0] < 0)).of(stored.astype(np.float64))
        return table.astype(np.float32), luts[0].note_text("ModalityLUTType") or "US"
    if bool(slope) != bool(intercept):
        present, absent = ("Rescale Slope", "Rescale Intercept") if slope else ("Rescale Intercept", "Rescale Slope")
        header.notes.append(f"{present} without {absent}: neither was applied.")
    unit = header.note_text("RescaleType") or ("HU" if header.note_text("Modality") == "CT" else "US")
    if not (slope and intercept):
        return stored.astype(np.float32), unit
    if slope[0] == 0:
        raise ContradictoryAttributes("Rescale Slope is 0: every stored value would mean the same")
    values = stored.astype(np.float64) * slope[0] + intercept[0]
    if np.abs(values).max() > np.finfo(np.float32).max:
        raise ContradictoryAttributes(f"a rescale of {slope[0]} and {intercept[0]} leaves the range of float32")
    return values.astype(np.float32), unit


def _padding(header: Header, pixel_format: PixelFormat) -> tuple[int, int] | None:
    """Stored values that are no image (PS3.3 C.7.5.1.1.2), cut to those that can be stored."""
    bounds = [
        _as_stored(words[0], pixel_format)
        for words in (header.words("PixelPaddingValue"), header.words("PixelPaddingRangeLimit"))
        if words
    ]
    if not bounds or not header.words("PixelPaddingValue"):
        return None
    low, high = max(min(bounds), pixel_format.first), min(max(bounds), pixel_format.last)
    return (low, high) if low <= high else None


def _as_stored(word: int, pixel_format: PixelFormat) -> int:
    """A 16-bit word with the sign that the pixels have."""
    return word - 65536 if pixel_format.signed and word >= 32768 else word
