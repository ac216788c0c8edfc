"""Spacing, orientation, body part, view, laterality and loss come from the attribute that the standard prefers."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from edge_sacro.dicom import read
from edge_sacro.errors import ContradictoryAttributes
from tests.dicom import synthetic
from tests.dicom.synthetic import dicom

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR CS")


def coded(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeMeaning = meaning
    return item


@pytest.mark.parametrize(
    ("attributes", "expected", "noted"),
    [
        ({}, (0.15, 0.15, "PixelSpacing"), False),
        ({"PixelSpacing": [0.2, 0.1]}, (0.2, 0.1, "PixelSpacing"), False),
        ({"PixelSpacing": None}, (0.16, 0.16, "ImagerPixelSpacing"), False),
        ({"PixelSpacing": ""}, (0.16, 0.16, "ImagerPixelSpacing"), False),
        ({"PixelSpacing": [0, 0]}, (0.16, 0.16, "ImagerPixelSpacing"), True),
        ({"PixelSpacing": [-1, 1]}, (0.16, 0.16, "ImagerPixelSpacing"), True),
        ({"PixelSpacing": [0.1]}, (0.16, 0.16, "ImagerPixelSpacing"), True),
        (
            {"PixelSpacing": None, "ImagerPixelSpacing": None, "NominalScannedPixelSpacing": [0.1, 0.1]},
            (0.1, 0.1, "NominalScannedPixelSpacing"),
            False,
        ),
        ({"PixelSpacing": None, "ImagerPixelSpacing": None}, None, False),
    ],
)
def test_spacing_is_the_first_that_is_positive(
    attributes: dict[str, Any], expected: tuple[float, float, str] | None, noted: bool
) -> None:
    radiograph = read(dicom(**attributes))
    spacing = radiograph.spacing
    found = None if spacing is None else (spacing.row_mm, spacing.column_mm, spacing.source)
    assert found == expected
    assert any("Spacing" in note for note in radiograph.notes) is noted


@pytest.mark.parametrize(
    ("given", "row", "column", "assumed"),
    [
        (["L", "F"], "L", "F", False),
        (["R", "F"], "R", "F", False),
        (["L", "H"], "L", "H", False),
        (["F", "L"], "F", "L", False),
        (["LF", "FA"], "L", "F", False),
        (["l", "f"], "L", "F", False),
        (None, "L", "F", True),
        ("", "L", "F", True),
    ],
)
def test_patient_orientation_gives_both_axes(given: Any, row: str, column: str, assumed: bool) -> None:
    radiograph = read(dicom(PatientOrientation=given))
    assert (radiograph.orientation.row, radiograph.orientation.column) == (row, column)
    assert radiograph.orientation.assumed is assumed
    assert any("assumed" in note for note in radiograph.notes) is assumed


def test_lateral_orientation_may_be_overridden_and_is_then_said() -> None:
    radiograph = read(dicom(PatientOrientation=["A", "F"]), overrides=frozenset({"wrong_view"}))
    assert radiograph.orientation.assumed
    assert any("overridden" in note for note in radiograph.notes)


@pytest.mark.parametrize(
    ("cosines", "row", "column"),
    [
        ([1, 0, 0, 0, 1, 0], "L", "P"),
        ([-1, 0, 0, 0, -1, 0], "R", "A"),
        ([0.97, 0.1, 0, 0, 0.2, -0.98], "L", "F"),
        ([0, 1, 0, 0, 0, 1], "P", "H"),
    ],
)
def test_ct_orientation_is_the_leading_axis_of_its_cosines(cosines: list[float], row: str, column: str) -> None:
    header = {"Modality": "CT", "SOPClassUID": synthetic.CT, "ImageOrientationPatient": cosines}
    orientation = read(dicom(**header)).orientation
    assert (orientation.row, orientation.column, orientation.assumed) == (row, column, False)


def test_ct_orientation_without_direction_is_refused() -> None:
    header = {"Modality": "CT", "SOPClassUID": synthetic.CT, "ImageOrientationPatient": [0, 0, 0, 0, 1, 0]}
    with pytest.raises(ContradictoryAttributes):
        read(dicom(**header))


def test_body_part_and_view_fall_back_on_their_codes() -> None:
    plain = read(dicom(BodyPartExamined="pelvis ", ViewPosition="PA"))
    assert (plain.body_part, plain.view) == ("PELVIS", "PA")
    fallback = read(
        dicom(
            BodyPartExamined=None,
            ViewPosition="",
            AnatomicRegionSequence=[coded("Sacroiliac joint")],
            ViewCodeSequence=[coded("antero-posterior")],
        )
    )
    assert (fallback.body_part, fallback.view) == ("SACROILIAC JOINT", "AP")
    lateral = read(dicom(ViewPosition=None, ViewCodeSequence=[coded("lateral")]))
    assert lateral.view == "LATERAL"
    nothing = read(dicom(BodyPartExamined="", ViewPosition=None))
    assert (nothing.body_part, nothing.view) == (None, None)


@pytest.mark.parametrize(
    ("attributes", "expected", "noted"),
    [
        ({"ImageLaterality": "L"}, "L", False),
        ({"ImageLaterality": "R", "Laterality": "L"}, "R", False),
        ({"Laterality": "B"}, "B", False),
        ({"Laterality": ""}, None, False),
        ({"Laterality": "Q"}, None, True),
        ({}, None, False),
    ],
)
def test_laterality_is_one_of_four_letters(attributes: dict[str, str], expected: str | None, noted: bool) -> None:
    radiograph = read(dicom(**attributes))
    assert radiograph.laterality == expected
    assert any("Laterality" in note for note in radiograph.notes) is noted


@pytest.mark.parametrize(
    ("uid", "attributes", "lossy", "ratio"),
    [
        (synthetic.EXPLICIT, {}, False, None),
        (synthetic.EXPLICIT, {"LossyImageCompression": "00"}, False, None),
        (synthetic.EXPLICIT, {"LossyImageCompression": "01"}, True, None),
        (synthetic.EXPLICIT, {"LossyImageCompression": "01", "LossyImageCompressionRatio": ["4", "12"]}, True, 12.0),
        (synthetic.EXTENDED, {"LossyImageCompression": "00"}, True, None),
        (synthetic.J2K_LOSSY, {}, True, None),
        (synthetic.J2K_LOSSY, {"LossyImageCompression": "00"}, False, None),
        (synthetic.J2K, {}, False, None),
    ],
)
def test_loss_is_what_header_or_syntax_says(
    uid: str, attributes: dict[str, Any], lossy: bool, ratio: float | None
) -> None:
    radiograph = read(dicom(uid=uid, **attributes))
    assert (radiograph.lossy, radiograph.lossy_ratio) == (lossy, ratio)
