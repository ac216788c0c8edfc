"""Codestream headers, fragments and tables that lie are refused before any decoder or array trusts them."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate

from edge_sacro.dicom import read
from edge_sacro.dicom.attributes import Header
from edge_sacro.dicom.codestream import jpeg2000_header, jpeg_header
from edge_sacro.dicom.voi import voi_luts_from_header
from edge_sacro.errors import ContradictoryAttributes, DecodeFailed, EdgeSacroError, TruncatedFile
from edge_sacro.types import Grayscale
from tests.dicom import synthetic
from tests.dicom.synthetic import codestream, dataset, dicom, drawn, file_bytes, lut

JPEG = codestream(drawn(8), synthetic.BASELINE, 8)
SOF = JPEG.index(b"\xff\xc0")


def with_bytes(stream: bytes, at: int, new: bytes) -> bytes:
    return stream[:at] + new + stream[at + len(new) :]


def test_jpeg_header_says_what_was_encoded() -> None:
    header = jpeg_header(JPEG)
    assert (header.rows, header.columns, header.precision, header.components) == (272, 260, 8, 1)
    assert header.process == 0xC0
    assert jpeg_header(codestream(drawn(), synthetic.P14, 12)).selection == 6
    assert jpeg_header(codestream(drawn(), synthetic.JLS_NEAR, 12)).selection == 3


def test_fill_bytes_and_standalone_markers_before_a_segment_are_passed_over() -> None:
    filled = JPEG[:SOF] + b"\xff\xff\xff" + b"\x01" + JPEG[SOF:]
    assert jpeg_header(filled) == jpeg_header(JPEG)


@pytest.mark.parametrize(
    ("stream", "refusal"),
    [
        (b"", DecodeFailed),
        (b"\xff\xd8", TruncatedFile),
        (b"\xff\xd8\x00\x00", DecodeFailed),
        (b"\xff\xd8\xff\xd9", DecodeFailed),
        (b"\xff\xd8\xff\xd8\xff\xd9", DecodeFailed),
        (b"\xff\xd8\xff\xe0\xff", TruncatedFile),
        (b"\xff\xd8\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xff\xd9", DecodeFailed),
        (with_bytes(JPEG, SOF + 5, b"\0\0"), DecodeFailed),
        (JPEG[:-2], TruncatedFile),
    ],
)
def test_jpeg_stream_without_a_usable_header_or_end_is_refused(stream: bytes, refusal: type[EdgeSacroError]) -> None:
    with pytest.raises(refusal):
        jpeg_header(stream)


def siz(width: int = 64, height: int = 64, origin: int = 0, depth: int = 11, step: int = 1) -> bytes:
    fields = struct.pack(">HHIIIIIIIIHBBB", 41, 0, width, height, origin, origin, 64, 64, 0, 0, 1, depth, step, step)
    return b"\xff\x4f\xff\x51" + fields + b"\0" * 40 + b"\xff\xd9"


def test_jpeg2000_header_says_size_less_origin_and_sign() -> None:
    header = jpeg2000_header(siz(100, 90, 10, 0x8B))
    assert (header.rows, header.columns, header.precision, header.signed) == (80, 90, 12, True)


@pytest.mark.parametrize(
    ("stream", "refusal"),
    [
        (b"\xff\x4f\xff\x52" + b"\0" * 60, DecodeFailed),
        (siz()[:20], TruncatedFile),
        (siz()[:-2], TruncatedFile),
        (siz(step=2), DecodeFailed),
        (siz(origin=64), DecodeFailed),
    ],
)
def test_jpeg2000_stream_without_a_usable_header_or_end_is_refused(
    stream: bytes, refusal: type[EdgeSacroError]
) -> None:
    with pytest.raises(refusal):
        jpeg2000_header(stream)


def compressed(stream: bytes, uid: str, bits: int = 12, **attributes: int) -> bytes:
    return file_bytes(dataset(drawn(bits), bits, **attributes), encapsulate([stream]), uid)


def test_precision_beyond_the_cell_is_refused() -> None:
    with pytest.raises(ContradictoryAttributes, match="12 bits a sample"):
        read(compressed(codestream(drawn(12), synthetic.SV1, 12), synthetic.SV1, 8))


def test_signed_samples_under_an_unsigned_header_are_refused() -> None:
    stream = imagecodecs.jpeg2k_encode(drawn().astype(np.int16), codecformat="J2K", reversible=True)
    with pytest.raises(ContradictoryAttributes, match="signed samples"):
        read(compressed(stream, synthetic.J2K))


def test_signed_pixels_in_too_few_bits_are_refused() -> None:
    stream = codestream(drawn(10), synthetic.SV1, 10)
    with pytest.raises(ContradictoryAttributes, match="10 bits a sample"):
        read(compressed(stream, synthetic.SV1, PixelRepresentation=1))


RLE = codestream(drawn(), synthetic.RLE, 12)


@pytest.mark.parametrize(
    ("stream", "refusal"),
    [
        (RLE[:63], TruncatedFile),
        (with_bytes(RLE, 0, b"\x03"), ContradictoryAttributes),
        (with_bytes(RLE, 4, b"\x50"), ContradictoryAttributes),
        (with_bytes(RLE, 8, b"\x10\0\0\0"), TruncatedFile),
        (with_bytes(RLE, 8, b"\xff\xff\xff\x7f"), TruncatedFile),
        (with_bytes(RLE, 8, struct.pack("<I", 400)), TruncatedFile),
    ],
)
def test_rle_header_that_lies_is_refused(stream: bytes, refusal: type[EdgeSacroError]) -> None:
    with pytest.raises(refusal):
        read(compressed(stream, synthetic.RLE))


def test_fragments_that_are_none_are_refused() -> None:
    data = dicom(uid=synthetic.JLS)
    item = data.index(b"\xfe\xff\x00\xe0", data.index(b"\xe0\x7f\x10\x00"))
    with pytest.raises(DecodeFailed, match="fragment"):
        read(with_bytes(data, item, b"\xfe\xff\x0d\xe0"))
    header, end = data[:item], b"\xfe\xff\xdd\xe0\0\0\0\0"
    for pixels in (end, b"\xfe\xff\x00\xe0\0\0\0\0" + end):
        with pytest.raises(DecodeFailed, match="no fragment"):
            read(header + pixels)


def test_offset_table_that_points_elsewhere_is_refused() -> None:
    streams = [codestream(drawn(), synthetic.JLS, 12)] * 2
    header = dataset(drawn(), 12, Modality="CT", SOPClassUID=synthetic.ENHANCED_CT, NumberOfFrames=2)
    data = file_bytes(header, encapsulate(streams, has_bot=True), synthetic.JLS)
    second = struct.pack("<I", len(streams[0]) + len(streams[0]) % 2 + 8)
    at = data.index(second, data.index(b"\xfe\xff\x00\xe0\x08\0\0\0"))
    with pytest.raises(DecodeFailed, match="offset table"):
        read(with_bytes(data, at, b"\x03\0\0\0"), frame=1)


@pytest.mark.parametrize("bits", [0, 7, 17])
def test_lut_of_impossible_bits_is_refused_or_left_out(bits: int) -> None:
    item = lut(0, np.arange(64, dtype=np.uint16), 16)
    item.LUTDescriptor = [64, 0, bits]
    with pytest.raises(ContradictoryAttributes, match="LUT"):
        read(dicom(ModalityLUTSequence=[item]))
    header = Header(dataset(drawn(), 12, VOILUTSequence=[item, lut(0, np.arange(64, dtype=np.uint16), 16)]))
    gray = Grayscale(0, np.arange(4096, dtype=np.float32), False, None, "US")
    assert len(voi_luts_from_header(header, gray)) == 1
    assert "VOI LUT 1" in header.notes[0]
