"""What a codestream says of itself before it is decoded: size, precision, components, and whether it ends.

Decoders trust these numbers and allocate by them, and several return an image in silence where the stream is cut
short. So the numbers are compared with the header, and the end marker is looked for, first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edge_sacro.errors import DecodeFailed, TruncatedFile

END_SEARCH = 16
"""Bytes before the end in which the end marker must stand; some encoders pad with FF or 00 behind it."""

_SOI, _EOI, _SOS, _DNL = 0xD8, 0xD9, 0xDA, 0xDC
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_NOT_FRAMES = frozenset({0xC4, 0xC8, 0xCC})
JPEG_LS_FRAME = 0xF7
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


@dataclass(frozen=True)
class CodestreamHeader:
    """The frame header of one codestream.

    Attributes:
        rows, columns: size of the image in pixels.
        precision: bits of a sample.
        signed: True where samples are two's complement; only JPEG 2000 has such.
        components: samples of a pixel.
        process: low byte of the JPEG SOF marker (C0 baseline, C1 extended, C3 lossless, F7 JPEG-LS); 0 for JPEG 2000.
        selection: predictor of JPEG lossless, NEAR of JPEG-LS, else 0.
    """

    rows: int
    columns: int
    precision: int
    signed: bool
    components: int
    process: int
    selection: int


def jpeg_header(stream: bytes) -> CodestreamHeader:
    """The SOF and the first SOS of a JPEG or JPEG-LS stream (ISO/IEC 10918-1 B.2, 14495-1 C.2).

    Raises:
        TruncatedFile: the stream ends before its first scan, or has no EOI.
        DecodeFailed: it is no JPEG stream, or its number of lines is not in its frame header.
    """
    if stream[:2] != b"\xff\xd8":
        raise DecodeFailed("the codestream does not begin with the JPEG SOI marker")
    try:
        header = _jpeg_segments(stream)
    except (IndexError, struct.error):
        raise TruncatedFile("the JPEG stream ends inside its marker segments") from None
    _require_end(stream, b"\xff\xd9", "EOI")
    return header


def _jpeg_segments(stream: bytes) -> CodestreamHeader:
    """Walk the marker segments up to the first scan."""
    frame: tuple[int, int, int, int, int] | None = None
    offset = 2
    while True:
        if stream[offset] != 0xFF:
            raise DecodeFailed(f"byte {offset} of the JPEG stream is no marker")
        marker = stream[offset + 1]
        if marker == 0xFF:
            offset += 1
            continue
        offset += 2
        if marker in _STANDALONE:
            continue
        if marker in (_SOI, _EOI):
            raise DecodeFailed("the JPEG stream ends or begins again before its first scan")
        (length,) = struct.unpack_from(">H", stream, offset)
        if marker == JPEG_LS_FRAME or (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES):
            precision, rows, columns, components = struct.unpack_from(">BHHB", stream, offset + 2)
            frame = (marker, precision, rows, columns, components)
        if marker == _SOS:
            if frame is None:
                raise DecodeFailed("the JPEG stream has a scan and no frame header")
            process, precision, rows, columns, components = frame
            if rows == 0:
                raise DecodeFailed("the JPEG frame header leaves the number of lines open")
            lossless = process in (0xC3, JPEG_LS_FRAME)
            selection = stream[offset + length - 3] if lossless else 0
            return CodestreamHeader(rows, columns, precision, False, components, process, selection)
        offset += length


def jpeg2000_codestream(frame: bytes) -> bytes:
    """The bare codestream; PS3.5 A.4.4 forbids the JP2 wrapper, and some encoders write it all the same."""
    if frame[:12] != _JP2_SIGNATURE:
        return frame
    start = frame.find(b"\xff\x4f\xff\x51")
    return frame[start:] if start > 0 else frame


def jpeg2000_header(stream: bytes) -> CodestreamHeader:
    """The SIZ segment of a JPEG 2000 or HTJ2K codestream (ISO/IEC 15444-1 A.5.1).

    Raises:
        TruncatedFile: the stream ends inside SIZ, or has no EOC.
        DecodeFailed: it is no JPEG 2000 codestream, is subsampled, or its components differ.
    """
    if stream[:4] != b"\xff\x4f\xff\x51":
        raise DecodeFailed("the codestream does not begin with the JPEG 2000 SOC and SIZ markers")
    try:
        width, height, x0, y0 = struct.unpack_from(">IIII", stream, 8)
        (components,) = struct.unpack_from(">H", stream, 40)
        depth, step_x, step_y = struct.unpack_from(">BBB", stream, 42)
    except struct.error:
        raise TruncatedFile("the JPEG 2000 stream ends inside its SIZ segment") from None
    if (step_x, step_y) != (1, 1) or x0 >= width or y0 >= height:
        raise DecodeFailed(f"the JPEG 2000 grid {width, height, x0, y0, step_x, step_y} is none of a radiograph")
    _require_end(stream, b"\xff\xd9", "EOC")
    precision, signed = (depth & 0x7F) + 1, bool(depth & 0x80)
    return CodestreamHeader(height - y0, width - x0, precision, signed, components, 0, 0)


def _require_end(stream: bytes, marker: bytes, name: str) -> None:
    """Refuse a stream whose last bytes, padding aside, hold no end marker."""
    bare = stream.rstrip(b"\0\xff")
    if bare.rfind(marker, max(0, len(bare) - END_SEARCH)) < 0:
        raise TruncatedFile(f"the codestream of {len(stream)} bytes has no {name} marker at its end")
