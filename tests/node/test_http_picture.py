"""What the page is given to draw: values, sides and boxes however stored, the heat map, and the header's words."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest

from edge_sacro import dicom
from edge_sacro.dicom.summary import PREFIX_BYTES, Summary, summary_from_file
from edge_sacro.errors import NotDicom, TruncatedFile
from edge_sacro.explain import Explanation
from edge_sacro.node.web.heat import LONG_SIDE, heat_png
from edge_sacro.node.web.picture import Kept, picture_from_radiograph
from edge_sacro.types import Box, Orientation, Radiograph
from tests.dicom import synthetic

BOX = [20, 40, 120, 200]


def radiograph(**attributes: Any) -> Radiograph:
    """The synthetic image, read in this process."""
    return dicom.read(synthetic.dicom(**attributes), isolation="none")


def values(image: Radiograph) -> np.ndarray:
    return image.grayscale.table[image.stored.astype(np.int64) - image.grayscale.first]


def shown_values(image: Radiograph, size: int = 4096) -> np.ndarray:
    picture = picture_from_radiograph(image, size)
    return picture.levels * picture.slope + picture.intercept


def test_whole_numbers_are_given_exactly() -> None:
    image = radiograph()
    assert np.array_equal(shown_values(image), values(image))


def test_a_rescale_to_fractions_is_given_within_half_a_level() -> None:
    image = radiograph(RescaleSlope="0.0371", RescaleIntercept="-11.5")
    picture = picture_from_radiograph(image, 4096)
    assert np.abs(shown_values(image) - values(image)).max() <= picture.slope * 0.51
    assert picture.slope < 0.0371 / 10, "far finer than what is stored"


@pytest.mark.parametrize(("row", "column"), [("L", "F"), ("R", "F"), ("L", "H"), ("R", "H"), ("F", "L"), ("H", "R")])
def test_the_patients_right_is_at_the_left_however_it_is_stored(row: str, column: str) -> None:
    image = replace(radiograph(), orientation=Orientation(row, column, False))
    picture = picture_from_radiograph(image, 4096)
    mark = np.zeros(image.stored.shape, bool)
    mark[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    x0, y0, x1, y1 = (int(edge) for edge in picture.shown(BOX))
    marked = replace(image, stored=np.where(mark, 4095, 0).astype(np.uint16))
    levels = picture_from_radiograph(marked, 4096).levels
    assert levels[y0:y1, x0:x1].min() == levels.max()
    assert levels.astype(np.int64).sum() == int(levels.max()) * mark.sum(), "and nowhere else"
    side = (x0 + x1) / 2 < levels.shape[1] / 2
    stored_left = {"L": True, "R": False}.get(row)
    if stored_left is not None:
        assert side is stored_left, "the box is at the stored image's left"


def test_monochrome1_is_marked_and_its_values_are_left_as_they_are() -> None:
    plain, inverted = radiograph(), radiograph(PhotometricInterpretation="MONOCHROME1")
    assert not picture_from_radiograph(plain, 4096).inverted
    picture = picture_from_radiograph(inverted, 4096)
    assert picture.inverted
    assert np.array_equal(picture.levels * picture.slope + picture.intercept, values(inverted))


@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_as_dark_as_the_darkest_of_the_image(inverted: bool) -> None:
    image = radiograph()
    stored = np.clip(image.stored, 100, 3000).astype(np.uint16)
    stored[:40] = 4000
    gray = replace(image.grayscale, padding=(4000, 4000), inverted=inverted)
    shown = shown_values(replace(image, stored=stored, grayscale=gray))
    assert set(np.unique(shown[:40])) == {3000.0 if inverted else 100.0}
    assert np.array_equal(shown[40:], stored[40:])


def test_a_large_image_is_reduced_and_its_boxes_with_it() -> None:
    image = radiograph()
    picture = picture_from_radiograph(image, 136)
    assert picture.levels.shape == (136, 130)
    assert picture.scale == 0.5
    assert picture.shown(BOX) == [10, 20, 60, 100]
    mean = values(image).reshape(136, 2, 130, 2).mean(axis=(1, 3))
    assert np.abs(picture.levels * picture.slope + picture.intercept - mean).max() <= 0.5


def test_an_image_of_one_value_is_drawn_too() -> None:
    image = radiograph()
    picture = picture_from_radiograph(replace(image, stored=np.full_like(image.stored, 7)), 4096)
    assert picture.levels.max() == 0
    assert picture.intercept == 7


def explanation(shape: tuple[int, int], peak: tuple[int, int]) -> Explanation:
    """A map that is 1 at one place of the stored image and falls off around it."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    strength = np.clip(1 - np.hypot(y - peak[0], x - peak[1]) / 40, 0, 1).astype(np.float32)
    cells = np.ones((2, 2), np.float32)
    return Explanation(Box(0, 0, shape[1], shape[0]), strength, shape, 1.0, 1, "present", 0.0, cells)


@pytest.mark.parametrize("row", ["L", "R"])
def test_the_heat_map_covers_the_crop_as_the_page_shows_it(row: str) -> None:
    image = replace(radiograph(), orientation=Orientation(row, "F", False))
    peak = (90, 45)
    data = heat_png(explanation(image.stored.shape, peak), image, BOX)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (160, 100, 4)
    found = np.unravel_index(int(picture[..., 3].argmax()), picture.shape[:2])
    column = peak[1] - BOX[0] if row == "L" else BOX[2] - 1 - peak[1]
    assert found == (peak[0] - BOX[1], column)
    assert picture[..., 3].min() == 0
    assert picture[found][3] == 255


def test_the_heat_map_is_small_and_of_the_whole_image_where_there_is_no_crop() -> None:
    image = radiograph()
    large = replace(image, stored=np.zeros((2 * LONG_SIDE, LONG_SIDE), np.uint16))
    data = heat_png(explanation(large.stored.shape, (100, 100)), large, None)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (LONG_SIDE, LONG_SIDE // 2, 4)


def summary(folder: Path, content: bytes) -> Summary:
    place = folder / "x.dcm"
    place.write_bytes(content)
    return summary_from_file(place)


@pytest.mark.parametrize("uid", synthetic.NATIVE)
def test_the_header_is_summed_up_in_every_encoding(tmp_path: Path, uid: str) -> None:
    content = synthetic.dicom(uid=uid, PatientName="Doe^Jane^^Dr.", PatientID="7", WindowCenter="40", WindowWidth="400")
    found = summary(tmp_path, content)
    assert (found.patient_name, found.patient_id, found.modality) == ("Doe, Dr. Jane", "7", "DX")
    assert [(each.center, each.width) for each in found.windows] == [(40.0, 400.0)]


@pytest.mark.parametrize(
    ("sets", "name", "shown"),
    [
        ("ISO_IR 100", "Müller^Jörg", "Müller, Jörg"),
        ("ISO_IR 144", "Люкceмбypг^", "Люкceмбypг"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东", "Wang, XiaoDong (王, 小东)"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田, 太郎, やまだ, たろう)"),
    ],
)
def test_names_are_read_in_their_character_sets(tmp_path: Path, sets: Any, name: str, shown: str) -> None:
    header = pydicom.dcmread(io.BytesIO(synthetic.dicom()))
    header.SpecificCharacterSet, header.PatientName = sets, name
    buffer = io.BytesIO()
    header.save_as(buffer)
    assert summary(tmp_path, buffer.getvalue()).patient_name == shown


def test_a_name_cannot_turn_or_break_the_line(tmp_path: Path) -> None:
    name = "A\u202eB\u2066C\x1b[2J" + "x" * 500
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the name is longer than any may be, which is the point
        content = synthetic.dicom(SpecificCharacterSet="ISO_IR 192", PatientName=name)
    found = summary(tmp_path, content).patient_name
    assert found is not None
    assert found.isprintable()
    assert len(found) <= 200


def test_absent_and_malformed_values_count_as_absent(tmp_path: Path) -> None:
    found = summary(tmp_path, synthetic.dicom(PatientName=None, WindowCenter="40"))
    assert (found.patient_name, found.birth_date, found.windows) == (None, None, ())


def test_a_long_header_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    content = synthetic.dicom(PatientName="Doe^Jane", ImageComments="x" * 10_000)
    cut = content.index(b"x" * 100) + 50
    assert summary(tmp_path, content[:cut]).patient_name == "Doe, Jane"
    long = synthetic.dicom(PatientName="Doe^Jane")
    assert summary(tmp_path, long + bytes(2 * PREFIX_BYTES)).patient_name == "Doe, Jane"


def test_what_is_no_dicom_file_has_no_summary(tmp_path: Path) -> None:
    with pytest.raises(NotDicom):
        summary(tmp_path, b"x" * 400)
    whole = synthetic.dicom(PatientName="Doe^Jane")
    broken = whole[: whole.index(b"\x10\x00\x10\x00")]
    found = summary(tmp_path, broken + b"\xff" * 500)
    assert (found.patient_name, found.modality) == (None, "DX")
    with pytest.raises(TruncatedFile):
        summary(tmp_path, whole[:150])


def test_the_last_values_are_kept_and_each_is_made_once() -> None:
    made: list[int] = []
    kept: Kept[int, int] = Kept(2)

    def value(number: int) -> int:
        return kept.get(number, lambda: made.append(number) or number * 10)

    assert [value(1), value(1), value(2), value(3), value(2), value(1)] == [10, 10, 20, 30, 20, 10]
    assert made == [1, 2, 3, 1], "1 was let go for 3, and 2 was not made again"
