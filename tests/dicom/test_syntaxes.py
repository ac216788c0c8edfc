"""Every transfer syntax decodes to what was encoded, and none decodes what is cut short or of another size."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.encaps import encapsulate, encapsulate_extended

from edge_sacro.dicom import ReadLimits, read
from edge_sacro.dicom.decoders import SYNTAXES
from edge_sacro.errors import (
    ContradictoryAttributes,
    DecodeFailed,
    MultiFrameImage,
    TruncatedFile,
    UnsupportedTransferSyntax,
    UsageError,
)
from tests.dicom import synthetic
from tests.dicom.synthetic import codestream, dataset, dicom, drawn, file_bytes

ALL = (*synthetic.NATIVE, *synthetic.COMPRESSED)
BITS = {uid: 8 if uid == synthetic.BASELINE else 12 for uid in ALL}
LOSS = {
    synthetic.BASELINE: 4,
    synthetic.EXTENDED: 40,
    synthetic.JLS_NEAR: 3,
    synthetic.J2K_LOSSY: 48,
    synthetic.HT_LOSSY: 2,
}
"""Most levels by which a lossy codestream of the drawn image may differ."""


def test_table_lists_exactly_the_syntaxes_that_are_tested() -> None:
    assert set(SYNTAXES) == set(ALL)


@pytest.mark.parametrize("uid", ALL)
def test_syntax_gives_back_what_was_encoded(uid: str) -> None:
    truth = drawn(BITS[uid])
    radiograph = read(dicom(truth, uid, BITS[uid]))
    worst = int(np.abs(radiograph.stored.astype(int) - truth).max())
    assert worst <= LOSS.get(uid, 0)
    assert radiograph.transfer_syntax_uid == uid
    assert radiograph.lossy == (uid in LOSS)
    assert radiograph.stored.dtype == truth.dtype
    assert not radiograph.stored.flags.writeable


@pytest.mark.parametrize("uid", sorted(LOSS))
def test_lossy_bound_tells_a_lossy_stream_from_another_image(uid: str) -> None:
    other = drawn(BITS[uid])[:, ::-1]
    worst = np.abs(read(dicom(drawn(BITS[uid]), uid, BITS[uid])).stored.astype(int) - other).max()
    assert worst > LOSS[uid]


@pytest.mark.parametrize("uid", [synthetic.EXPLICIT, synthetic.BIG, synthetic.RLE, synthetic.SV1, synthetic.JLS])
def test_signed_values_keep_their_sign(uid: str) -> None:
    truth = drawn(12).astype(np.int16) - 2048
    cells = truth if uid in synthetic.NATIVE else truth.view(np.uint16) & 0x0FFF
    header = dataset(cells, 12, PixelRepresentation=1)
    native = uid in synthetic.NATIVE
    pixels = synthetic.native(cells, uid) if native else encapsulate([codestream(cells, uid, 12)])
    radiograph = read(file_bytes(header, pixels, uid))
    np.testing.assert_array_equal(radiograph.stored, truth)
    assert radiograph.stored.dtype == np.int16


def test_signed_jpeg2000_under_a_wider_stored_format_keeps_its_sign() -> None:
    truth = drawn(12).astype(np.int16) - 2048
    stream = imagecodecs.jpeg2k_encode(truth, codecformat="J2K", reversible=True)
    data = file_bytes(dataset(truth, 16), encapsulate([stream]), synthetic.J2K)
    np.testing.assert_array_equal(read(data).stored, truth)


def test_unsigned_jpeg2000_of_signed_pixels_is_extended_from_bits_stored() -> None:
    path = pydicom.data.get_testdata_file("J2K_pixelrep_mismatch.dcm", download=False)
    stored = read(path).stored
    assert (stored.min(), stored.max()) == (-2000, 1896)


def test_lossy_overshoot_is_clipped_and_never_wraps() -> None:
    truth = np.zeros((synthetic.ROWS, synthetic.COLUMNS), np.uint16)
    truth[:, ::16], truth[::2, 128:] = 1023, 1023
    stream = imagecodecs.jpeg8_encode(truth, 60, bitspersample=12)
    decoded = imagecodecs.jpeg8_decode(stream)
    assert decoded.max() > 1023, "the case must overshoot what 10 bits hold"
    stored = read(file_bytes(dataset(truth, 10), encapsulate([stream]), synthetic.EXTENDED)).stored
    np.testing.assert_array_equal(stored, np.minimum(decoded, 1023))


def test_bits_above_bits_stored_of_a_lossless_stream_are_masked() -> None:
    truth = drawn(12)
    stream = codestream(truth | 0xA000, synthetic.SV1, 16)
    np.testing.assert_array_equal(
        read(file_bytes(dataset(truth, 12), encapsulate([stream]), synthetic.SV1)).stored, truth
    )


@pytest.mark.parametrize("vr", ["OB", "OW"])
@pytest.mark.parametrize("columns", [260, 261])
def test_big_endian_words_hold_8_bit_cells_in_their_own_order(vr: str, columns: int) -> None:
    truth = drawn(8, 257, columns)
    raw = synthetic.native(truth)
    if vr == "OW":
        raw = np.frombuffer(raw, "<u2").byteswap().tobytes()
    np.testing.assert_array_equal(read(file_bytes(dataset(truth, 8), raw, synthetic.BIG, vr)).stored, truth)


@pytest.mark.parametrize("uid", ALL)
def test_file_cut_at_60_percent_is_refused_as_truncated(uid: str) -> None:
    whole = dicom(uid=uid, bits=BITS[uid])
    with pytest.raises(TruncatedFile):
        read(whole[: int(len(whole) * 0.6)])


@pytest.mark.parametrize("uid", synthetic.COMPRESSED)
def test_codestream_cut_at_60_percent_in_a_whole_file_is_refused(uid: str) -> None:
    stream = codestream(drawn(BITS[uid]), uid, BITS[uid])
    cut = stream[: int(len(stream) * 0.6) // 2 * 2]
    # an RLE stream has no end marker: it is told by the packet or by the length at which it stops
    refusal = (TruncatedFile, DecodeFailed) if uid == synthetic.RLE else TruncatedFile
    with pytest.raises(refusal):
        read(file_bytes(dataset(drawn(BITS[uid]), BITS[uid]), encapsulate([cut]), uid))


@pytest.mark.parametrize("uid", synthetic.COMPRESSED)
def test_codestream_of_another_size_is_refused(uid: str) -> None:
    stream = codestream(drawn(BITS[uid]), uid, BITS[uid])
    flipped = dataset(drawn(BITS[uid]), BITS[uid], Rows=synthetic.COLUMNS + 8, Columns=synthetic.ROWS + 8)
    with pytest.raises((ContradictoryAttributes, TruncatedFile)):
        read(file_bytes(flipped, encapsulate([stream]), uid))


@pytest.mark.parametrize(
    "uid", [each for each in synthetic.COMPRESSED if each not in (synthetic.RLE, *synthetic.HTJ2K)]
)
def test_codestream_of_three_components_is_refused(uid: str) -> None:
    colour = np.dstack([drawn(8)] * 3)
    stream = codestream(colour, uid, 8)
    with pytest.raises(ContradictoryAttributes, match="components"):
        read(file_bytes(dataset(drawn(8), 8), encapsulate([stream]), uid))


@pytest.mark.parametrize("padding", [b"\xff", b"\x00", b"\xff\xff\x00\x00"])
def test_padding_behind_the_end_marker_is_accepted(padding: bytes) -> None:
    stream = codestream(drawn(), synthetic.SV1, 12) + padding
    stored = read(file_bytes(dataset(drawn(), 12), encapsulate([stream]), synthetic.SV1)).stored
    np.testing.assert_array_equal(stored, drawn())


def test_stream_of_another_process_than_its_syntax_is_refused() -> None:
    cases = ((synthetic.P14, synthetic.SV1), (synthetic.EXTENDED, synthetic.SV1), (synthetic.JLS_NEAR, synthetic.JLS))
    for made, told in cases:
        data = file_bytes(dataset(drawn(), 12), encapsulate([codestream(drawn(), made, 12)]), told)
        with pytest.raises(ContradictoryAttributes):
            read(data)


def test_garbage_under_a_codestream_syntax_is_a_refusal() -> None:
    for uid in synthetic.COMPRESSED:
        with pytest.raises((DecodeFailed, TruncatedFile, ContradictoryAttributes)):
            read(file_bytes(dataset(drawn(), 12), encapsulate([b"\x5a" * 4096]), uid))


def test_jp2_wrapper_round_a_codestream_is_taken_off() -> None:
    stream = imagecodecs.jpeg2k_encode(drawn(), codecformat="JP2", reversible=True, bitspersample=12)
    assert stream[4:8] == b"jP  "
    stored = read(file_bytes(dataset(drawn(), 12), encapsulate([stream]), synthetic.J2K)).stored
    np.testing.assert_array_equal(stored, drawn())


@pytest.mark.parametrize("fragments", [1, 2, 7])
@pytest.mark.parametrize("table", [True, False])
def test_one_frame_in_several_fragments_is_joined(fragments: int, table: bool) -> None:
    stream = codestream(drawn(), synthetic.JLS, 12)
    pixels = encapsulate([stream], fragments_per_frame=fragments, has_bot=table)
    np.testing.assert_array_equal(read(file_bytes(dataset(drawn(), 12), pixels, synthetic.JLS)).stored, drawn())


@pytest.mark.parametrize("kind", ["basic", "extended", "none"])
def test_each_frame_of_a_ct_object_is_found(kind: str) -> None:
    frames = [drawn(), drawn()[::-1], drawn()[:, ::-1]]
    streams = [codestream(np.ascontiguousarray(each), synthetic.JLS, 12) for each in frames]
    header = dataset(drawn(), 12, Modality="CT", SOPClassUID=synthetic.ENHANCED_CT, NumberOfFrames=3)
    if kind == "extended":
        pixels, offsets, lengths = encapsulate_extended(streams)
        header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths = offsets, lengths
    else:
        pixels = encapsulate(streams, fragments_per_frame=2 if kind == "basic" else 1, has_bot=kind == "basic")
    data = file_bytes(header, pixels, synthetic.JLS)
    for index, truth in enumerate(frames):
        radiograph = read(data, frame=index)
        np.testing.assert_array_equal(radiograph.stored, truth)
        assert radiograph.frame == index
    with pytest.raises(UsageError):
        read(data, frame=3)


def test_several_frames_in_more_fragments_without_a_table_are_refused() -> None:
    streams = [codestream(drawn(), synthetic.JLS, 12)] * 2
    header = dataset(drawn(), 12, Modality="CT", SOPClassUID=synthetic.ENHANCED_CT, NumberOfFrames=2)
    pixels = encapsulate(streams, fragments_per_frame=2, has_bot=False)
    with pytest.raises(MultiFrameImage, match="offset table"):
        read(file_bytes(header, pixels, synthetic.JLS))


def test_native_frames_of_a_ct_object_are_sliced() -> None:
    frames = np.stack([drawn(), drawn()[::-1]])
    header = dataset(frames, 12, Modality="CT", SOPClassUID=synthetic.ENHANCED_CT, NumberOfFrames=2)
    data = file_bytes(header, synthetic.native(frames))
    np.testing.assert_array_equal(read(data, frame=1).stored, frames[1])


def test_native_length_must_be_exact() -> None:
    whole = synthetic.native(drawn())
    header = dataset(drawn(), 12)
    with pytest.raises(TruncatedFile):
        read(file_bytes(header, whole[:-2]))
    with pytest.raises(ContradictoryAttributes):
        read(file_bytes(header, whole + b"\0\0"))
    odd = drawn(8, 257, 261)
    assert read(file_bytes(dataset(odd, 8), synthetic.native(odd))).rows == 257


def test_unknown_transfer_syntax_is_refused() -> None:
    data = bytearray(dicom())
    data[:] = data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1)
    with pytest.raises(UnsupportedTransferSyntax):
        read(bytes(data))


def test_header_whose_encoding_is_not_its_syntaxs_is_read_as_found() -> None:
    implicit = dicom(uid=synthetic.IMPLICIT)
    length = struct.unpack_from("<I", implicit, 140)[0]
    assert b"1.2.840.10008.1.2\0" in implicit[: 144 + length]
    # 18 and 20 bytes: the two that the longer UID takes come out of the group length's element
    meta = implicit[: 144 + length].replace(b"\x12\x001.2.840.10008.1.2\0", b"\x14\x001.2.840.10008.1.2.1\0")
    radiograph = read(meta + implicit[144 + length :])
    np.testing.assert_array_equal(radiograph.stored, drawn())
    assert any("value representations" in note for note in radiograph.notes)


@pytest.mark.shared
def test_rg2_lossless_files_equal_the_reference(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "wg04_rg2"
    reference = read(folder / "RG2_UNC.dcm").stored
    for name in ("RLE", "JPLL", "JLSL", "J2KR"):
        radiograph = read(folder / f"RG2_{name}.dcm")
        np.testing.assert_array_equal(radiograph.stored, reference)
        assert not radiograph.lossy
    for name, bound in (("JLSN", 4), ("J2KI", 90), ("JPLY", 105)):
        radiograph = read(folder / f"RG2_{name}.dcm")
        error = np.abs(radiograph.stored.astype(int) - reference)
        assert radiograph.lossy
        assert 0 < error.max() <= bound
        assert error.mean() < 8


@pytest.mark.shared
@pytest.mark.parametrize(("name", "program"), [("JPLY", "dcmdjpeg"), ("JPLL", "dcmdjpeg"), ("JLSN", "dcmdjpls")])
def test_rg2_equals_dcmtks_decoder(shared_dir: Path, tmp_path: Path, name: str, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} of DCMTK is not installed")
    source, plain = shared_dir / "data" / "wg04_rg2" / f"RG2_{name}.dcm", tmp_path / "plain.dcm"
    subprocess.run([program, source, plain], check=True, capture_output=True)
    theirs = pydicom.dcmread(plain)
    cells = np.frombuffer(theirs.PixelData, "<u2").reshape(theirs.Rows, theirs.Columns)
    np.testing.assert_array_equal(read(source).stored, cells)


def test_real_files_of_one_image_agree_over_syntaxes() -> None:
    limits = ReadLimits(min_side=1)
    names = ("MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm")
    names += ("MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm")
    images = [read(pydicom.data.get_testdata_file(name, download=False), limits=limits).stored for name in names]
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])
