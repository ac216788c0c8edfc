"""Typed access to a header that others wrote: every value may be absent, empty, multiplied or malformed."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from edge_sacro.dicom.failures import vendor_call
from edge_sacro.errors import ContradictoryAttributes, MissingAttributes

_MACROS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
    "FrameAnatomySequence",
    "CTImageFrameTypeSequence",
    "CTReconstructionSequence",
)
_UNASSIGNED = ("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence")
"""Where a converted object keeps what belongs to no macro (PS3.3 A.70), among it the kernel."""

_PER_FRAME, _SHARED = "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"
OF_A_SLICE = ("ImagePositionPatient", "ImageOrientationPatient", "RescaleIntercept", "RescaleSlope")
"""What the functional groups of one of several CT frames must say, so that it is a slice in Hounsfield units."""


class Header:
    """One frame's attributes.

    Args:
        dataset: elements of the file, without pixel data.
        little_endian: byte order of the data set, for words that pydicom leaves as bytes.
        notes: what a reader of the report must know is appended here.
    """

    def __init__(self, dataset: Dataset, little_endian: bool = True, notes: list[str] | None = None) -> None:
        self.dataset = dataset
        self.little_endian = little_endian
        self.notes: list[str] = [] if notes is None else notes

    def values(self, keyword: str) -> tuple[Any, ...]:
        """Every value, ``()`` where the attribute is absent or empty.

        Raises:
            ContradictoryAttributes: the value cannot be one of its value representation.
        """
        with vendor_call("parse", f"{keyword} cannot be read"):
            value = self.dataset.get(keyword)
            if value is None or value in ("", b""):
                return ()
            if isinstance(value, (MultiValue, list, tuple)):
                return tuple(value)
            return (value,)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Every value as upper-case text without surrounding blanks and NULs, empty ones kept."""
        return tuple(str(value).strip(" \0").upper() for value in self.values(keyword))

    def text(self, keyword: str) -> str | None:
        """The first value that is not empty, as ``texts`` has it."""
        return next((text for text in self.texts(keyword) if text), None)

    def note_text(self, keyword: str) -> str | None:
        """As ``text``; a malformed value counts as absent and is noted, for attributes that no pixel depends on."""
        try:
            return self.text(keyword)
        except ContradictoryAttributes:
            self.notes.append(f"{keyword} is malformed and was left out.")
            return None

    def uid(self, keyword: str) -> str:
        """A UID, ``""`` where absent."""
        return str(next(iter(self.values(keyword)), "")).strip(" \0")

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Every value as a finite float.

        Raises:
            ContradictoryAttributes: a value is no finite number.
        """
        found = []
        for value in self.values(keyword):
            if value is None or str(value).strip(" \0") == "":
                continue
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                raise ContradictoryAttributes(f"{keyword} is no number") from None
            if not math.isfinite(number):
                raise ContradictoryAttributes(f"{keyword} is not finite")
            found.append(number)
        return tuple(found)

    def note_numbers(self, keyword: str) -> tuple[float, ...]:
        """As ``numbers``; a malformed value counts as absent and is noted."""
        try:
            return self.numbers(keyword)
        except ContradictoryAttributes:
            self.notes.append(f"{keyword} is malformed and was left out.")
            return ()

    def integer(self, keyword: str) -> int | None:
        """The single whole number, or None where absent or empty."""
        numbers = self.numbers(keyword)
        if not numbers:
            return None
        if len(set(numbers)) > 1 or numbers[0] != int(numbers[0]):
            raise ContradictoryAttributes(f"{keyword} is not one whole number")
        return int(numbers[0])

    def words(self, keyword: str) -> tuple[int, ...]:
        """Unsigned 16-bit words of a US, SS or OW value, whichever of them the file has."""
        values = self.values(keyword)
        if len(values) == 1 and isinstance(values[0], (bytes, bytearray)):
            raw = bytes(values[0])
            order = "<" if self.little_endian else ">"
            return struct.unpack(f"{order}{len(raw) // 2}H", raw[: len(raw) // 2 * 2])
        try:
            return tuple(int(value) & 0xFFFF for value in values)
        except (TypeError, ValueError):
            raise ContradictoryAttributes(f"{keyword} is no list of whole numbers") from None

    def items(self, keyword: str) -> tuple[Header, ...]:
        """The items of a sequence, ``()`` where it is absent or empty."""
        with vendor_call("parse", f"{keyword} cannot be read"):
            value = self.dataset.get(keyword)
            if value is None:
                return ()
            return tuple(Header(item, self.little_endian, self.notes) for item in value if isinstance(item, Dataset))

    def require(self, keywords: Iterable[str]) -> None:
        """Refuse a header in which any of these is absent or empty, naming all that are.

        Raises:
            MissingAttributes: at least one is.
        """
        missing = [keyword for keyword in keywords if not self.values(keyword)]
        if missing:
            raise MissingAttributes(f"absent or empty: {', '.join(missing)}")

    def count(self, keyword: str) -> int:
        """How many items a sequence has, 0 where it is absent."""
        with vendor_call("parse", f"{keyword} cannot be read"):
            value = self.dataset.get(keyword)
            return 0 if value is None else len(value)

    def item(self, keyword: str, index: int) -> Header | None:
        """One item of a sequence, or None; the others, of which there is one for every frame, are not looked at."""
        with vendor_call("parse", f"{keyword} cannot be read"):
            value = self.dataset.get(keyword)
            if value is None or not index < len(value) or not isinstance(value[index], Dataset):
                return None
            return Header(value[index], self.little_endian, self.notes)


def frame_header(header: Header, frame: int) -> Header:
    """The attributes of one frame: those of the file, with the functional groups' over them (PS3.3 C.7.6.16)."""
    macros = _macros(header, frame, _MACROS)
    if not macros:
        return header
    merged = _merged(header, [header, *macros])
    kernels = [each for each in _macros(header, frame, _UNASSIGNED) if each.values("ConvolutionKernel")]
    if kernels and not merged.values("ConvolutionKernel"):
        merged.dataset["ConvolutionKernel"] = kernels[-1].dataset["ConvolutionKernel"]
    return merged


def require_slice(header: Header, frame: int, frames: int) -> None:
    """Refuse one of several frames whose functional groups do not make it a slice.

    Attributes of the object itself are not asked: what stands there of one frame is that of no other.

    Raises:
        MissingAttributes: one of ``OF_A_SLICE`` is absent or empty.
        ContradictoryAttributes: there are functional groups of another number of frames.
    """
    items = header.count(_PER_FRAME)
    if items not in (0, frames):
        raise ContradictoryAttributes(f"Number of Frames is {frames} and there are functional groups of {items}")
    groups = _merged(header, _macros(header, frame, _MACROS))
    missing = [keyword for keyword in OF_A_SLICE if not groups.values(keyword)]
    if missing:
        raise MissingAttributes(f"absent or empty in its functional groups: {', '.join(missing)}")


def _macros(header: Header, frame: int, keywords: Sequence[str]) -> list[Header]:
    """The items that hold the frame's attributes, shared ones first."""
    groups = (header.item(_SHARED, 0), header.item(_PER_FRAME, frame))
    return [macro for group in groups if group is not None for macro in _first_items(group, keywords)]


def _merged(header: Header, parts: Sequence[Header]) -> Header:
    """All attributes of the parts; of one that several have, the last one's."""
    merged = Dataset()
    with vendor_call("parse", "the functional groups cannot be read"):
        for part in parts:
            merged.update(part.dataset)
    return Header(merged, header.little_endian, header.notes)


def _first_items(group: Header, keywords: Sequence[str]) -> list[Header]:
    return [item for keyword in keywords if (item := group.item(keyword, 0)) is not None]
