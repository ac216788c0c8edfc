"""What no radiograph can be had from is refused with the code that says why, and never with another exception."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from pydicom.dataset import Dataset

from edge_sacro import errors
from edge_sacro.dicom import ReadLimits, read
from edge_sacro.errors import EdgeSacroError
from tests.dicom import synthetic
from tests.dicom.synthetic import dataset, dicom, drawn, file_bytes, native

REAL = {
    "SC_rgb.dcm": errors.ColourImage,
    "SC_rgb_jpeg_dcmtk.dcm": errors.ColourImage,
    "OBXXXX1A.dcm": errors.ColourImage,
    "reportsi.dcm": errors.NoPixelData,
    "test-SR.dcm": errors.NoPixelData,
    "rtplan.dcm": errors.NoPixelData,
    "waveform_ecg.dcm": errors.NoPixelData,
    "DICOMDIR-implicit": errors.NoPixelData,
    "rtplan_truncated.dcm": errors.TruncatedFile,
    "MR_truncated.dcm": errors.TruncatedFile,
    "MR_small_padded.dcm": errors.ContradictoryAttributes,
    "emri_small.dcm": errors.MultiFrameImage,
    "emri_small_jpeg_2k_lossless_too_short.dcm": errors.MultiFrameImage,
    "rtdose.dcm": errors.ContradictoryAttributes,
    "liver_1frame.dcm": errors.ContradictoryAttributes,
    "JPEG2000-embedded-sequence-delimiter.dcm": errors.ContradictoryAttributes,
    "no_meta.dcm": errors.NotDicom,
    "rtstruct.dcm": errors.NotDicom,
    "zipMR.gz": errors.NotDicom,
    "meta_missing_tsyntax.dcm": errors.MissingAttributes,
}
"""Files of pydicom and pydicom-data."""

HEADERS: list[tuple[dict[str, Any], type[EdgeSacroError]]] = [
    ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, errors.ColourImage),
    ({"PhotometricInterpretation": "PALETTE COLOR"}, errors.ColourImage),
    ({"SamplesPerPixel": 3}, errors.ContradictoryAttributes),
    ({"BitsStored": 17}, errors.ContradictoryAttributes),
    ({"BitsStored": 1, "HighBit": 0}, errors.ContradictoryAttributes),
    ({"HighBit": 16}, errors.ContradictoryAttributes),
    ({"HighBit": 5}, errors.ContradictoryAttributes),
    ({"BitsAllocated": 32}, errors.ContradictoryAttributes),
    ({"BitsAllocated": 12}, errors.ContradictoryAttributes),
    ({"PixelRepresentation": 2}, errors.ContradictoryAttributes),
    ({"Rows": 255}, errors.SizeLimitExceeded),
    ({"Columns": 8193}, errors.SizeLimitExceeded),
    ({"Rows": 0}, errors.SizeLimitExceeded),
    ({"NumberOfFrames": "2"}, errors.MultiFrameImage),
    ({"NumberOfFrames": "0"}, errors.ContradictoryAttributes),
    ({"PresentationIntentType": "FOR PROCESSING"}, errors.ForProcessingImage),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, errors.ForProcessingImage),
    ({"PatientOrientation": ["A", "F"]}, errors.WrongView),
    ({"PatientOrientation": ["P", "H"]}, errors.WrongView),
    ({"PatientOrientation": ["L", "R"]}, errors.ContradictoryAttributes),
    ({"PatientOrientation": ["L"]}, errors.ContradictoryAttributes),
    ({"PatientOrientation": ["X", "F"]}, errors.ContradictoryAttributes),
    ({"SOPInstanceUID": None}, errors.MissingAttributes),
    *(({keyword: None}, errors.MissingAttributes) for keyword in ("Rows", "BitsStored", "SamplesPerPixel")),
    *(({keyword: None}, errors.MissingAttributes) for keyword in ("PixelRepresentation", "PhotometricInterpretation")),
]


@pytest.mark.parametrize(("name", "refusal"), REAL.items())
def test_real_file_is_refused_for_what_it_is(name: str, refusal: type[EdgeSacroError]) -> None:
    path = pydicom.data.get_testdata_file(name, download=False)
    if path is None:
        folder = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
        path = str(next(folder.rglob(name)))
    with pytest.raises(refusal) as caught:
        read(path, limits=ReadLimits(min_side=1))
    assert caught.value.source == path


@pytest.mark.parametrize(("attributes", "refusal"), HEADERS, ids=[str(each[0]) for each in HEADERS])
def test_header_that_cannot_be_meant_is_refused(attributes: dict[str, Any], refusal: type[EdgeSacroError]) -> None:
    with pytest.raises(refusal) as caught:
        read(dicom(**attributes))
    assert type(caught.value) is refusal


def test_every_missing_attribute_is_named_at_once() -> None:
    with pytest.raises(errors.MissingAttributes, match="Columns, BitsStored"):
        read(dicom(Columns=None, BitsStored=None))


def test_high_bit_may_not_shift_compressed_samples() -> None:
    left = drawn(10)
    with pytest.raises(errors.ContradictoryAttributes, match="High Bit"):
        read(dicom(left, synthetic.JLS, 10, HighBit=15))


def test_encapsulation_must_be_that_of_the_syntax() -> None:
    with pytest.raises(errors.ContradictoryAttributes, match="encapsulated"):
        read(dicom(uid=synthetic.JLS).replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.1\0\0\0", 1))


def test_object_without_any_pixels_is_no_image_and_an_image_without_them_is_truncated() -> None:
    report = dataset(drawn(), 12, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33")
    with pytest.raises(errors.NoPixelData):
        read(file_bytes(report, None))
    with pytest.raises(errors.TruncatedFile):
        read(file_bytes(dataset(drawn(), 12), None))
    floating = dataset(drawn(), 12, SOPClassUID="1.2.840.10008.5.1.4.1.1.30")
    floating.add_new("FloatPixelData", "OF", b"\0" * 64)
    with pytest.raises(errors.NoPixelData, match="floating"):
        read(file_bytes(floating, None))


def test_every_prefix_of_a_file_is_refused_and_mostly_as_truncated() -> None:
    whole = dicom()
    codes = set()
    for size in [*range(0, 1200, 7), len(whole) // 2, len(whole) - 1]:
        with pytest.raises(errors.InputRefused) as caught:
            read(whole[:size])
        codes.add(caught.value.code)
    assert codes == {"not_dicom", "truncated"}


def test_uid_that_is_none_never_reaches_a_file_name() -> None:
    data = dicom(SOPInstanceUID="1.2.3.4.5.6.7.8")
    with pytest.raises(errors.ContradictoryAttributes, match="UID"):
        read(data.replace(b"1.2.3.4.5.6.7.8", b"../../../etc/pw"))


def test_no_message_repeats_the_patients_name() -> None:
    data = dicom(RescaleSlope="1.5", RescaleIntercept="0")
    for broken in (data.replace(b"DS\x04\x001.5 ", b"DS\x04\x00Nobo"), data[:700]):
        with pytest.raises(EdgeSacroError) as caught:
            read(broken)
        assert "Nobo" not in str(caught.value)


def test_text_burned_in_is_only_a_note() -> None:
    assert any("burned" in note for note in read(dicom(BurnedInAnnotation="YES")).notes)
    assert not read(dicom(BurnedInAnnotation="NO")).notes


def test_malformed_optional_attributes_are_left_out_and_noted() -> None:
    data = dicom(PixelSpacing=["0.15", "0.15"]).replace(b"0.15\\0.15", b"0.1x\\0.15")
    radiograph = read(data)
    assert radiograph.spacing is not None
    assert radiograph.spacing.source == "ImagerPixelSpacing"
    assert any("PixelSpacing" in note for note in radiograph.notes)


def test_unknown_value_representation_of_a_private_element_is_tolerated() -> None:
    header = dataset(drawn(), 12)
    header.add_new(0x00091001, "LO", "private ")
    data = file_bytes(header, native(drawn()))
    assert data.count(b"\x09\x00\x01\x10LO") == 1
    radiograph = read(data.replace(b"\x09\x00\x01\x10LO", b"\x09\x00\x01\x10ZZ"))
    np.testing.assert_array_equal(radiograph.stored, drawn())


def test_absent_high_bit_is_noted() -> None:
    assert any("High Bit" in note for note in read(dicom(HighBit=None)).notes)


def test_path_bytes_and_file_object_are_read_alike(tmp_path: Path) -> None:
    data = dicom()
    path = tmp_path / "one.dcm"
    path.write_bytes(data)
    with path.open("rb") as stream:
        results = [read(path), read(str(path)), read(data), read(io.BytesIO(data), name="named"), read(stream)]
    for each in results:
        np.testing.assert_array_equal(each.stored, results[0].stored)
        assert each.sha256 == results[0].sha256
    assert [each.source for each in results] == [str(path), str(path), "<bytes>", "named", str(path)]


def test_what_is_no_readable_file_is_not_found(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "none.dcm", tmp_path, tmp_path / "fifo", "/dev/zero", "nul\0byte"):
        with pytest.raises(errors.InputNotFound):
            read(path)


def test_file_above_the_size_limit_is_not_even_sent(tmp_path: Path) -> None:
    limits = ReadLimits(file_bytes=1000)
    path = tmp_path / "large.dcm"
    path.write_bytes(b"\0" * 1001)
    for source in (path, b"\0" * 1001, io.BytesIO(b"\0" * 1001)):
        with pytest.raises(errors.SizeLimitExceeded):
            read(source, limits=limits)


def test_options_that_mean_nothing_are_usage_errors() -> None:
    with pytest.raises(errors.UsageError, match="truncated"):
        read(dicom(), overrides=frozenset({"truncated"}))
    with pytest.raises(errors.UsageError):
        read(dicom(), frame=1)
    with pytest.raises(errors.UsageError):
        read(dicom(), isolation="thread")  # type: ignore[arg-type]
    for wrong in ({"min_side": 0}, {"max_side": 70000}, {"wall_s": 0}, {"min_side": 9, "max_side": 8}):
        with pytest.raises(ValueError, match=r"limit|image"):
            ReadLimits(**wrong)


def test_enhanced_ct_takes_its_values_from_functional_groups() -> None:
    def item(**attributes: Any) -> Dataset:
        made = Dataset()
        for keyword, value in attributes.items():
            setattr(made, keyword, value)
        return made

    groups = [
        item(PixelValueTransformationSequence=[item(RescaleSlope="1", RescaleIntercept=value, RescaleType="HU")])
        for value in ("-1000", "-500")
    ]
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=["0.7", "0.8"])],
        PlaneOrientationSequence=[item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
        FrameAnatomySequence=[item(FrameLaterality="B", AnatomicRegionSequence=[item(CodeMeaning="Pelvis")])],
    )
    frames = np.stack([drawn(), drawn()])
    header = dataset(
        frames, 12, Modality="CT", SOPClassUID=synthetic.ENHANCED_CT, NumberOfFrames=2, PixelSpacing=None,
        BodyPartExamined=None, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=groups,
    )  # fmt: skip
    data = file_bytes(header, native(frames))
    for frame, intercept in enumerate((-1000, -500)):
        radiograph = read(data, frame=frame)
        assert radiograph.grayscale.table[0] == intercept
        assert radiograph.grayscale.rescale_type == "HU"
        assert radiograph.spacing is not None
        assert (radiograph.spacing.row_mm, radiograph.spacing.column_mm) == (0.7, 0.8)
        assert (radiograph.orientation.row, radiograph.orientation.column) == ("L", "P")
        assert (radiograph.body_part, radiograph.laterality) == ("PELVIS", "B")
