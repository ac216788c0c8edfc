"""Transfer syntax -> how its codestream is checked and by what it is decoded: one pinned decoder each, no second try.

pydicom's own choice is "each plug-in until one works", which turns the refusal of one decoder into the silent guess of
another. HTJ2K goes through OpenJPEG like the rest of JPEG 2000: that decoder is in every version of imagecodecs that
this package accepts, and OpenJPH is not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edge_sacro.dicom.codestream import (
    JPEG_LS_FRAME,
    CodestreamHeader,
    jpeg2000_codestream,
    jpeg2000_header,
    jpeg_header,
)
from edge_sacro.dicom.failures import vendor_call
from edge_sacro.dicom.part10 import DEFLATED_LE, EXPLICIT_BE, IMPLICIT_LE
from edge_sacro.errors import ContradictoryAttributes, DecodeFailed, TruncatedFile, UnsupportedTransferSyntax

Image = npt.NDArray[np.integer]


@dataclass(frozen=True)
class CellFormat:
    """What the header says of the pixel cells: rows x columns, 8 or 16 bits allocated."""

    rows: int
    columns: int
    bits_allocated: int


@dataclass(frozen=True)
class Syntax:
    """One transfer syntax.

    Attributes:
        name: as PS3.6 Annex A has it.
        decoder: what decodes it, for the documentation.
        decode: codestream and cell format to samples and their header; None where the pixel data are native.
        may_lose: the syntax allows lossy compression.
        always_loses: the syntax allows no other.
    """

    name: str
    decoder: str
    decode: Callable[[bytes, CellFormat], tuple[Image, CodestreamHeader]] | None = None
    may_lose: bool = False
    always_loses: bool = False


def _require_agreement(header: CodestreamHeader, cells: CellFormat) -> None:
    """Refuse a codestream whose size, precision or components are not those of the attributes."""
    if header.components != 1:
        raise ContradictoryAttributes(f"the codestream has {header.components} components and one is announced")
    if (header.rows, header.columns) != (cells.rows, cells.columns):
        raise ContradictoryAttributes(
            f"the codestream is {header.rows} x {header.columns} and Rows x Columns are {cells.rows} x {cells.columns}"
        )
    if not 2 <= header.precision <= cells.bits_allocated:
        raise ContradictoryAttributes(
            f"the codestream has {header.precision} bits a sample and Bits Allocated is {cells.bits_allocated}"
        )


def _require_process(header: CodestreamHeader, allowed: frozenset[int]) -> None:
    if header.process not in allowed:
        found, wanted = f"{header.process:02X}", " or ".join(f"{each:02X}" for each in sorted(allowed))
        raise ContradictoryAttributes(f"the codestream is of JPEG process {found}; its transfer syntax has {wanted}")


def _whole(image: Image, cells: CellFormat) -> Image:
    """What a decoder gave, where it is the image announced."""
    if image.shape != (cells.rows, cells.columns):
        raise DecodeFailed(f"the decoder gave {image.shape} for {cells.rows} x {cells.columns}")
    return image


def _jpeg(stream: bytes, cells: CellFormat, processes: frozenset[int]) -> tuple[Image, CodestreamHeader]:
    import imagecodecs

    header = jpeg_header(stream)
    _require_agreement(header, cells)
    _require_process(header, processes)
    with vendor_call("decode", "libjpeg-turbo refused the codestream"):
        return _whole(imagecodecs.jpeg8_decode(stream), cells), header


def decode_baseline(stream: bytes, cells: CellFormat) -> tuple[Image, CodestreamHeader]:
    """JPEG baseline, process 1, 8 bits."""
    return _jpeg(stream, cells, frozenset({0xC0}))


def decode_extended(stream: bytes, cells: CellFormat) -> tuple[Image, CodestreamHeader]:
    """JPEG extended, processes 2 and 4, 8 or 12 bits; a baseline stream is one of process 2."""
    return _jpeg(stream, cells, frozenset({0xC0, 0xC1}))


def decode_lossless(stream: bytes, cells: CellFormat) -> tuple[Image, CodestreamHeader]:
    """JPEG lossless, process 14, any predictor."""
    return _jpeg(stream, cells, frozenset({0xC3}))


def decode_lossless_sv1(stream: bytes, cells: CellFormat) -> tuple[Image, CodestreamHeader]:
    """JPEG lossless, process 14, predictor 1."""
    header = jpeg_header(stream)
    if header.process == 0xC3 and header.selection != 1:
        raise ContradictoryAttributes(f"the codestream has selection value {header.selection}; its syntax has 1")
    return decode_lossless(stream, cells)


def decode_jpegls(stream: bytes, cells: CellFormat) -> tuple[Image, CodestreamHeader]:
    """JPEG-LS, lossless or near-lossless."""
    import imagecodecs

    header = jpeg_header(stream)
    _require_agreement(header, cells)
    _require_process(header, frozenset({JPEG_LS_FRAME}))
    with vendor_call("decode", "CharLS refused the codestream"):
        return _whole(imagecodecs.jpegls_decode(stream), cells), header


def decode_jpegls_lossless(stream: bytes, cells: CellFormat) -> tuple[Image, CodestreamHeader]:
    """JPEG-LS with NEAR 0."""
    header = jpeg_header(stream)
    if header.process == JPEG_LS_FRAME and header.selection:
        raise ContradictoryAttributes(f"the codestream has NEAR {header.selection} under a lossless transfer syntax")
    return decode_jpegls(stream, cells)


def decode_jpeg2000(frame: bytes, cells: CellFormat) -> tuple[Image, CodestreamHeader]:
    """JPEG 2000 and HTJ2K. One thread: the address space that a decode may take does not depend on the machine."""
    import imagecodecs

    stream = jpeg2000_codestream(frame)
    header = jpeg2000_header(stream)
    _require_agreement(header, cells)
    with vendor_call("decode", "OpenJPEG refused the codestream"):
        return _whole(imagecodecs.jpeg2k_decode(stream, numthreads=1), cells), header


def decode_rle(frame: bytes, cells: CellFormat) -> tuple[Image, CodestreamHeader]:
    """RLE: one PackBits segment a byte of the cell, most significant first (PS3.5 G)."""
    import imagecodecs

    if len(frame) < 64:
        raise TruncatedFile(f"the RLE header takes 64 bytes and {len(frame)} are there")
    count, *offsets = struct.unpack_from("<16I", frame)
    planes = cells.bits_allocated // 8
    if count != planes or offsets[0] != 64:
        raise ContradictoryAttributes(f"the RLE frame has {count} segments and its cells have {planes} bytes")
    bounds = [*offsets[:planes], len(frame)]
    size = cells.rows * cells.columns
    image = np.zeros((cells.rows, cells.columns), np.dtype(f"<u{planes}"))
    view = image.view(np.uint8).reshape(size, planes)
    for plane, (start, end) in enumerate(pairwise(bounds)):
        if not 64 <= start < end <= len(frame):
            raise TruncatedFile(f"RLE segment {plane} lies at bytes {start} to {end} of {len(frame)}")
        with vendor_call("decode", "PackBits refused an RLE segment"):
            plain = imagecodecs.packbits_decode(frame[start:end])
        if len(plain) < size:
            raise TruncatedFile(f"RLE segment {plane} holds {len(plain)} bytes of {size}")
        view[:, planes - 1 - plane] = np.frombuffer(plain, np.uint8, size)
    return image, CodestreamHeader(cells.rows, cells.columns, cells.bits_allocated, False, 1, 0, 0)


_TURBO, _CHARLS, _OPENJPEG = "imagecodecs jpeg8 (libjpeg-turbo)", "imagecodecs jpegls (CharLS)", "imagecodecs jpeg2k"
_NATIVE = "native, NumPy"

SYNTAXES: Mapping[str, Syntax] = MappingProxyType(
    {
        IMPLICIT_LE: Syntax("Implicit VR Little Endian", _NATIVE),
        "1.2.840.10008.1.2.1": Syntax("Explicit VR Little Endian", _NATIVE),
        DEFLATED_LE: Syntax("Deflated Explicit VR Little Endian", "zlib, then native"),
        EXPLICIT_BE: Syntax("Explicit VR Big Endian", _NATIVE),
        "1.2.840.10008.1.2.5": Syntax("RLE Lossless", "imagecodecs packbits", decode_rle),
        "1.2.840.10008.1.2.4.50": Syntax("JPEG Baseline (Process 1)", _TURBO, decode_baseline, True, True),
        "1.2.840.10008.1.2.4.51": Syntax("JPEG Extended (Process 2 and 4)", _TURBO, decode_extended, True, True),
        "1.2.840.10008.1.2.4.57": Syntax("JPEG Lossless (Process 14)", _TURBO, decode_lossless),
        "1.2.840.10008.1.2.4.70": Syntax("JPEG Lossless (Process 14, SV1)", _TURBO, decode_lossless_sv1),
        "1.2.840.10008.1.2.4.80": Syntax("JPEG-LS Lossless", _CHARLS, decode_jpegls_lossless),
        "1.2.840.10008.1.2.4.81": Syntax("JPEG-LS Near-Lossless", _CHARLS, decode_jpegls, True),
        "1.2.840.10008.1.2.4.90": Syntax("JPEG 2000 Lossless Only", _OPENJPEG, decode_jpeg2000),
        "1.2.840.10008.1.2.4.91": Syntax("JPEG 2000", _OPENJPEG, decode_jpeg2000, True),
        "1.2.840.10008.1.2.4.201": Syntax("HTJ2K Lossless Only", _OPENJPEG, decode_jpeg2000),
        "1.2.840.10008.1.2.4.202": Syntax("HTJ2K Lossless RPCL", _OPENJPEG, decode_jpeg2000),
        "1.2.840.10008.1.2.4.203": Syntax("HTJ2K", _OPENJPEG, decode_jpeg2000, True),
    }
)
"""Every transfer syntax that is read."""


def syntax_from_uid(uid: str) -> Syntax:
    """The table's row.

    Raises:
        UnsupportedTransferSyntax: no decoder is pinned for it.
    """
    if uid not in SYNTAXES:
        raise UnsupportedTransferSyntax(f"transfer syntax {uid[:64]!r} has no pinned decoder")
    return SYNTAXES[uid]
