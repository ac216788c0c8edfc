"""A DICOM Part 10 file taken apart: file meta information, header, and where the pixel data begin and end.

The whole file is in memory. Nothing is followed out of it: no directory record, no referenced file. A file that ends
before the value that its own lengths announce is truncated, which pydicom's ``dcmread`` would pass over in silence.
"""

from __future__ import annotations

import io
import logging
import mmap
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag

from edge_sacro.dicom.failures import vendor_call
from edge_sacro.dicom.limits import ReadLimits
from edge_sacro.dicom.mapped import FileBytes
from edge_sacro.errors import (
    MissingAttributes,
    NotDicom,
    SizeLimitExceeded,
    TruncatedFile,
)

IMPLICIT_LE = "1.2.840.10008.1.2"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
UNDEFINED = 0xFFFFFFFF
MOST_ELEMENTS = 65_536
"""Elements of the data set itself. Real headers have hundreds; deflated zeros are millions, and a minute of work."""

_LONG_VR = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})

logging.getLogger("pydicom").addHandler(logging.NullHandler())
logging.getLogger("pydicom").propagate = False


@dataclass(frozen=True)
class PixelElement:
    """The Pixel Data element (7FE0,0010).

    Attributes:
        vr: ``"OB"``, ``"OW"`` or None where the encoding is implicit.
        offset: index in ``Part10.data`` of the first byte of the value.
        length: bytes of the value, or None where it is undefined, that is, encapsulated.
    """

    vr: str | None
    offset: int
    length: int | None


@dataclass(frozen=True)
class Part10:
    """One file.

    Attributes:
        transfer_syntax_uid: from the file meta information.
        media_storage_sop_class_uid: from the file meta information, ``""`` where it has none.
        header: every element before the pixel data.
        pixels: the pixel data element, or None where the data set has none.
        data: the bytes that ``pixels`` points into: the file, or its inflated data set.
        little_endian: byte order of the data set.
        notes: what a reader of the report must know.
    """

    transfer_syntax_uid: str
    media_storage_sop_class_uid: str
    header: Dataset
    pixels: PixelElement | None
    data: FileBytes
    little_endian: bool
    notes: tuple[str, ...]


def part10_from_bytes(data: FileBytes, limits: ReadLimits) -> Part10:
    """Take a file apart.

    Raises:
        NotDicom: no preamble, or no file meta information.
        TruncatedFile: the file ends inside an element.
        SizeLimitExceeded: the deflated data set is larger than ``limits.file_bytes``.
        ContradictoryAttributes, DecodeFailed, DecodeLimitExceeded: the data set is malformed.
    """
    meta, offset = file_meta(data)
    syntax = meta.get(0x0010, "")
    if not syntax:
        raise MissingAttributes("the file meta information has no Transfer Syntax UID (0002,0010)")
    if syntax == DEFLATED_LE:
        data, offset = inflated(data[offset:], limits.file_bytes), 0
    little_endian = syntax != EXPLICIT_BE
    implicit = syntax == IMPLICIT_LE
    notes: list[str] = []
    if implicit != _looks_implicit(data, offset, implicit):
        # PS3.5 10.1 binds the encoding to the syntax; some archives rewrite the one and not the other
        implicit = not implicit
        notes.append("The header's value representations are not those of its transfer syntax; read as found.")
    header, pixels = _elements(data, offset, implicit, little_endian)
    return Part10(syntax, meta.get(0x0002, ""), header, pixels, data, little_endian, tuple(notes))


def header_from_prefix(data: bytes, limit: int) -> Dataset:
    """The elements of a file up to group 0028, from the file's beginning alone; one that is cut off is left out.

    Args:
        data: the beginning of a file.
        limit: bytes that a deflated data set may inflate to; what lies beyond is left out.

    Raises:
        NotDicom, TruncatedFile, ContradictoryAttributes, DecodeFailed: as ``part10_from_bytes``.
    """
    meta, offset = file_meta(data)
    syntax = meta.get(0x0010, "")
    if syntax == DEFLATED_LE:
        with vendor_call("parse", "the deflated data set cannot be inflated"):
            data, offset = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[offset:], limit), 0
    little_endian = syntax != EXPLICIT_BE
    implicit = _looks_implicit(data, offset, syntax == IMPLICIT_LE)
    stream = io.BytesIO(data)
    stream.seek(offset)
    elements: dict[BaseTag, RawDataElement | DataElement] = {}
    with vendor_call("parse", "the header cannot be read"):
        generator = data_element_generator(
            stream, implicit, little_endian, stop_when=lambda tag, _vr, _length: int(tag) > 0x0028FFFF
        )
        for element in generator:
            if isinstance(element, RawDataElement) and element.value_tell + element.length > len(data):
                break
            elements[element.tag] = element
        header = Dataset(elements)
        header.set_original_encoding(implicit, little_endian)
    return header


def file_meta(data: FileBytes) -> tuple[dict[int, str], int]:
    """The UIDs of group 0002 by element number, and the offset of the data set (PS3.10 7.1)."""
    if len(data) < 132 or data[128:132] != b"DICM":
        raise NotDicom(f"{len(data)} bytes without the DICM preamble")
    values: dict[int, str] = {}
    offset = 132
    while data[offset : offset + 2] == b"\x02\x00":
        if offset + 12 > len(data):
            raise TruncatedFile("the file ends inside its file meta information")
        element, vr, length = struct.unpack_from("<H2sH", data, offset + 2)
        start = offset + 8
        if vr in _LONG_VR:
            (length,) = struct.unpack_from("<I", data, offset + 8)
            start = offset + 12
        if start + length > len(data):
            raise TruncatedFile("the file ends inside its file meta information")
        if vr == b"UI":
            values[element] = data[start : start + length].rstrip(b"\0 ").decode("ascii", "replace")
        offset = start + length
    if offset == 132:
        raise NotDicom("no file meta information follows the preamble")
    if offset + 8 > len(data):
        raise TruncatedFile("the file ends after its file meta information")
    return values, offset


def inflated(deflated: bytes, limit: int) -> bytes:
    """Inflate a raw deflate stream (PS3.5 A.5), and never more than ``limit`` bytes of it."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    with vendor_call("parse", "the deflated data set cannot be inflated"):
        plain = inflater.decompress(deflated, limit + 1)
    if len(plain) > limit:
        raise SizeLimitExceeded(f"the deflated data set inflates to more than {limit} bytes")
    if not inflater.eof:
        raise TruncatedFile("the deflate stream ends before its end marker")
    return plain


def _looks_implicit(data: FileBytes, offset: int, declared: bool) -> bool:
    """Whether the first element carries no value representation; two capitals are one."""
    vr = data[offset + 4 : offset + 6]
    if len(vr) < 2:
        return declared
    return not (vr.isalpha() and vr.isupper())


def _elements(data: FileBytes, offset: int, implicit: bool, little_endian: bool) -> tuple[Dataset, PixelElement | None]:
    """Every element up to the pixel data, and the pixel data's place."""
    found: list[PixelElement] = []
    # a map is read, sought and told as a file is
    stream = cast("BinaryIO", data) if isinstance(data, mmap.mmap) else io.BytesIO(data)
    stream.seek(offset)

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag == 0x7FE00010:
            found.append(PixelElement(vr, stream.tell(), None if length == UNDEFINED else length))
        return int(tag) >= 0x7FE00010

    elements: dict[BaseTag, RawDataElement | DataElement] = {}
    end, count = offset, 0
    with vendor_call("parse", "the header cannot be read"):
        for element in data_element_generator(stream, implicit, little_endian, stop_when=at_pixels):
            _require_whole(element, len(data))
            elements[element.tag] = element
            end = stream.tell()
            count += 1
            if count > MOST_ELEMENTS:
                raise SizeLimitExceeded(f"more than {MOST_ELEMENTS} elements stand before its pixel data")
        header = Dataset(elements)
    if found:
        pixels = found[0]
        if pixels.length is not None and pixels.offset + pixels.length > len(data):
            short = pixels.offset + pixels.length - len(data)
            raise TruncatedFile(f"the file ends {short} bytes before the end of its pixel data")
        return header, pixels
    if 0 < len(data) - end < 8:
        raise TruncatedFile(f"the file ends inside an element's tag, {len(data) - end} bytes after the last whole one")
    return header, None


def _require_whole(element: RawDataElement | DataElement, size: int) -> None:
    """Refuse an element whose value ends past the file."""
    if not isinstance(element, RawDataElement) or element.length == UNDEFINED:
        return
    if element.value_tell + element.length > size:
        raise TruncatedFile(f"the file ends inside element {element.tag}")
