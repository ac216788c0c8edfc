"""Stored values become modality values as the standard says, also where pydicom's helpers give another result."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from edge_sacro.dicom import read
from edge_sacro.dicom.attributes import Header
from edge_sacro.dicom.display import display_table
from edge_sacro.dicom.voi import voi_luts_from_header
from edge_sacro.errors import ContradictoryAttributes, MissingAttributes
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.types import Grayscale, Radiograph
from tests.dicom.synthetic import dataset, dicom, drawn, file_bytes, lut, native


def modality_values(radiograph: Radiograph) -> np.ndarray:
    return radiograph.grayscale.table[radiograph.stored.astype(int) - radiograph.grayscale.first]


def test_rescale_is_applied_to_every_storable_value() -> None:
    radiograph = read(dicom(RescaleSlope="0.684", RescaleIntercept="200", RescaleType="OD"))
    expected = np.arange(4096) * 0.684 + 200
    np.testing.assert_allclose(radiograph.grayscale.table, expected, rtol=1e-6)
    assert radiograph.grayscale.rescale_type == "OD"
    assert np.abs(modality_values(radiograph) - drawn()).max() > 100, "identity would pass this bound"


@pytest.mark.parametrize(
    ("attributes", "note"),
    [
        ({}, None),
        ({"RescaleSlope": None, "RescaleIntercept": None}, None),
        ({"RescaleSlope": "", "RescaleIntercept": ""}, None),
        ({"RescaleSlope": "", "RescaleIntercept": "5"}, "neither was applied"),
        ({"RescaleSlope": "2"}, "neither was applied"),
    ],
)
def test_absent_or_empty_rescale_is_identity(attributes: dict[str, str | None], note: str | None) -> None:
    given = {keyword: value for keyword, value in attributes.items() if value is not None}
    radiograph = read(dicom(**given))
    np.testing.assert_array_equal(radiograph.grayscale.table, np.arange(4096))
    assert any(note in each for each in radiograph.notes) if note else not radiograph.notes


@pytest.mark.parametrize("slope", ["0", "1e39"])
def test_rescale_without_meaning_is_refused(slope: str) -> None:
    with pytest.raises(ContradictoryAttributes, match=r"rescale|Rescale"):
        read(dicom(RescaleSlope=slope, RescaleIntercept="0"))


def test_rescale_that_is_no_number_is_refused() -> None:
    data = dicom(RescaleSlope="1.5", RescaleIntercept="-1024")
    with pytest.raises(ContradictoryAttributes, match="RescaleSlope"):
        read(data.replace(b"DS\x04\x001.5 ", b"DS\x04\x00a.b "))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_modality_lut_of_any_depth_is_read(bits: int) -> None:
    # pydicom 3.0.2 fails on 10, 12 and 14 bits, and on 8-bit data packed in OW
    data = (np.arange(4096) * ((1 << bits) - 1) // 4095).astype(np.uint16)
    radiograph = read(dicom(ModalityLUTSequence=[lut(0, data, bits, ModalityLUTType="OD")]))
    np.testing.assert_array_equal(radiograph.grayscale.table, data)
    assert radiograph.grayscale.rescale_type == "OD"


def test_modality_lut_of_65536_entries_reaches_every_signed_value() -> None:
    # a count of 0 means 65536 (PS3.3 C.11.1.1); pydicom 3.0.2 returns zeros
    data = np.arange(65536, dtype=np.uint32)[::-1].astype(np.uint16)
    stored = (drawn(16).astype(np.int32) - 32768).astype(np.int16)
    header = dataset(stored, 16, ModalityLUTSequence=[lut(-32768, data, 16)])
    radiograph = read(file_bytes(header, native(stored)))
    np.testing.assert_array_equal(modality_values(radiograph), 65535 - drawn(16).astype(np.int32))


def test_inputs_beyond_a_modality_lut_take_its_ends() -> None:
    radiograph = read(dicom(ModalityLUTSequence=[lut(1000, np.arange(7, 107, dtype=np.uint16), 16)]))
    table = radiograph.grayscale.table
    assert (table[0], table[1000], table[1050], table[1099], table[4095]) == (7, 7, 57, 106, 106)


def test_negative_first_value_of_a_lut_for_unsigned_pixels_is_what_the_sign_of_the_pixels_makes_it() -> None:
    # pydicom 3.0.2 raises OverflowError here
    item = Dataset()
    item.add_new("LUTDescriptor", "SS", [100, -10, 16])
    item.add_new("LUTData", "OW", np.arange(100, dtype="<u2").tobytes())
    stored = drawn(12).astype(np.int16) - 2048
    signed = read(file_bytes(dataset(stored, 12, ModalityLUTSequence=[item]), native(stored)))
    assert signed.grayscale.table[2048 - 10] == 0
    assert signed.grayscale.table[2048 + 5] == 15
    unsigned = read(dicom(ModalityLUTSequence=[item]))
    # 65526 lies above every 12-bit value, so all of them take the first entry (PS3.3 C.11.1.1)
    assert not unsigned.grayscale.table.any()


def test_lut_without_data_and_lut_that_is_short_are_refused() -> None:
    empty, short = lut(0, np.arange(16, dtype=np.uint16), 16), lut(0, np.arange(16, dtype=np.uint16), 16)
    del empty.LUTData
    short.LUTDescriptor = [64, 0, 16]
    with pytest.raises(MissingAttributes):
        read(dicom(ModalityLUTSequence=[empty]))
    with pytest.raises(ContradictoryAttributes, match="64"):
        read(dicom(ModalityLUTSequence=[short]))


def test_modality_lut_wins_over_rescale_and_says_so() -> None:
    items = [lut(0, np.arange(4096, dtype=np.uint16), 16)]
    radiograph = read(dicom(ModalityLUTSequence=items, RescaleSlope="9", RescaleIntercept="9"))
    np.testing.assert_array_equal(radiograph.grayscale.table, np.arange(4096))
    assert any("LUT was used" in note for note in radiograph.notes)


def test_voi_lut_of_more_than_256_entries_ends_at_white() -> None:
    # pydicom 3.0.2 indexes with the LUT's own type, and ends at 15 here
    item = lut(0, (np.arange(4096) >> 4).astype(np.uint16), 8)
    header = Dataset()
    header.VOILUTSequence = [item]
    gray = Grayscale(0, np.arange(4096, dtype=np.float32), False, None, "US")
    (table,) = voi_luts_from_header(Header(header), gray)
    shown = display_table(gray, table)
    np.testing.assert_array_equal(shown[[0, 100, 255, 256, 1000, 4095]], [0, 6, 15, 16, 62, 255])


def test_lut_that_holds_more_bits_than_it_announces_is_believed() -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4096, 0, 10])
    item.add_new("LUTData", "OW", np.arange(4096, dtype="<u2").tobytes())
    radiograph = read(dicom(ModalityLUTSequence=[item]))
    assert radiograph.grayscale.table[-1] == 4095
    assert any("announces 10" in note for note in radiograph.notes)


@pytest.mark.parametrize(("stored_bits", "high"), [(10, 15), (12, 13), (10, 9)])
def test_high_bit_is_where_the_value_begins(stored_bits: int, high: int) -> None:
    # pydicom 3.0.2 never looks at High Bit; other bits of the cell may hold anything (PS3.5 8.1.1)
    truth = drawn(stored_bits)
    shift = high + 1 - stored_bits
    noise = np.uint16(0xFFFF) ^ np.uint16(((1 << stored_bits) - 1) << shift)
    cells = (truth << shift) | noise
    radiograph = read(file_bytes(dataset(cells, stored_bits, HighBit=high), native(cells)))
    np.testing.assert_array_equal(radiograph.stored, truth)
    assert radiograph.bits_stored == stored_bits


def test_left_justified_signed_values_keep_their_sign() -> None:
    truth = drawn(10).astype(np.int16) - 512
    cells = truth << 6
    radiograph = read(file_bytes(dataset(cells, 10, HighBit=15), native(cells)))
    np.testing.assert_array_equal(radiograph.stored, truth)


@pytest.mark.parametrize(
    ("interpretation", "shape", "inverted", "noted"),
    [
        ("MONOCHROME2", None, False, False),
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME1", None, True, False),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME1", "IDENTITY", True, True),
        ("MONOCHROME2", "INVERSE", True, True),
        ("MONOCHROME2", "SOMETHING", False, False),
    ],
)
def test_monochrome1_and_inverse_invert_exactly_once(
    interpretation: str, shape: str | None, inverted: bool, noted: bool
) -> None:
    extra = {} if shape is None else {"PresentationLUTShape": shape}
    radiograph = read(dicom(PhotometricInterpretation=interpretation, **extra))
    assert radiograph.grayscale.inverted is inverted
    assert any("inverted once" in note for note in radiograph.notes) is noted


def test_the_network_sees_bone_bright_whichever_way_it_was_stored() -> None:
    plain = eight_bit_from_radiograph(read(dicom()))
    negative = eight_bit_from_radiograph(read(dicom(4095 - drawn(), PhotometricInterpretation="MONOCHROME1")))
    assert np.abs(plain.astype(int) - negative).max() <= 1
    forgotten = eight_bit_from_radiograph(read(dicom(4095 - drawn())))
    assert np.abs(plain.astype(int) - forgotten).max() > 200


@pytest.mark.parametrize(
    ("value", "limit", "expected"),
    [
        (None, None, None),
        (0, None, (0, 0)),
        (10, 20, (10, 20)),
        (20, 10, (10, 20)),
        (None, 10, None),
        (63536, None, None),
        (4000, 60000, (4000, 4095)),
    ],
)
def test_padding_is_cut_to_what_can_be_stored(
    value: int | None, limit: int | None, expected: tuple[int, int] | None
) -> None:
    header = dataset(drawn(), 12)
    for keyword, each in (("PixelPaddingValue", value), ("PixelPaddingRangeLimit", limit)):
        if each is not None:
            header.add_new(keyword, "US", each)
    assert read(file_bytes(header, native(drawn()))).grayscale.padding == expected


def test_padding_of_signed_pixels_is_signed_whatever_its_vr() -> None:
    stored = drawn(16).astype(np.int32).clip(0, 30000).astype(np.int16) - 2000
    for vr, value in (("SS", -2000), ("US", 63536)):
        header = dataset(stored, 16)
        header.add_new("PixelPaddingValue", vr, value)
        assert read(file_bytes(header, native(stored))).grayscale.padding == (-2000, -2000)


def test_implicit_encoding_reads_the_same_tables() -> None:
    item = lut(0, (np.arange(4096) // 2).astype(np.uint16), 16)
    header = {"ModalityLUTSequence": [item], "PixelPaddingValue": 7}
    explicit, implicit = read(dicom(**header)), read(dicom(uid="1.2.840.10008.1.2", **header))
    np.testing.assert_array_equal(explicit.grayscale.table, implicit.grayscale.table)
    assert explicit.grayscale.padding == implicit.grayscale.padding == (7, 7)
