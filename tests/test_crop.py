"""The crop: Otsu's threshold and box against the published ones."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sacro.crop import crop_from_box, otsu_threshold, pixels
from edge_sacro.types import Box
from tests.golden.arrays import box_from_inclusive, displayed, golden
from tests.golden.images import radiograph
from tests.golden.subset import CROP_CASES

ARRAYS = golden("crop")
LOCATED = [case for case in CROP_CASES if f"{case}/bbox_x0x1y0y1_inclusive" in ARRAYS]


def image_of(case: str) -> np.ndarray:
    return displayed(ARRAYS.get(f"{case}/image", ARRAYS["normal/image"]))


@pytest.mark.parametrize("case", [case for case in LOCATED if case != "zero_image"])
def test_threshold_and_box_are_the_published_ones(case: str) -> None:
    crop = crop_from_box(image_of(case), box_from_inclusive(ARRAYS[f"{case}/bbox_x0x1y0y1_inclusive"]))
    assert crop.threshold == ARRAYS[f"{case}/otsu_threshold"]
    assert crop.box == box_from_inclusive(ARRAYS[f"{case}/fg_bbox_x0x1y0y1_inclusive"])
    assert crop.reason is None


def test_a_threshold_of_the_box_alone_would_crop_otherwise() -> None:
    box = box_from_inclusive(ARRAYS["touching_borders/bbox_x0x1y0y1_inclusive"])
    inner = pixels(image_of("touching_borders"), box)
    alone = crop_from_box(inner, Box(0, 0, box.width, box.height))
    assert (alone.threshold, int(ARRAYS["touching_borders/otsu_threshold"])) == (151, 71)
    assert alone.box is not None
    assert (box.area, alone.box.area) == (12000, 5880)


def test_dark_margins_are_cut_as_published() -> None:
    case = "dark_top_shrinks_crop"
    box = box_from_inclusive(ARRAYS[f"{case}/bbox_x0x1y0y1_inclusive"])
    crop = crop_from_box(image_of(case), box)
    assert crop.box is not None
    assert (box.height, crop.box.height) == (44, 17)


def test_a_box_of_nothing_but_black_is_a_reason_where_the_original_raised() -> None:
    box = box_from_inclusive(ARRAYS["zero_image/bbox_x0x1y0y1_inclusive"])
    crop = crop_from_box(image_of("zero_image"), box)
    assert (crop.box, crop.reason, crop.threshold) == (None, "crop_is_dark", 1)


def test_equal_maxima_give_the_first_threshold() -> None:
    counts = np.zeros(256, np.int64)
    counts[[10, 200]] = 50
    assert otsu_threshold(counts) == 11
    counts[[10, 11]] = 25
    assert otsu_threshold(counts) == 11


@pytest.mark.parametrize("level", [0, 7, 255])
def test_an_image_of_one_value_has_a_threshold(level: int) -> None:
    counts = np.zeros(256, np.int64)
    counts[level] = 100
    assert 1 <= otsu_threshold(counts) <= 253


def test_threshold_separates_best_of_all() -> None:
    counts = np.random.default_rng(6).integers(0, 40, 256)
    bins, centres = counts.reshape(128, 2).sum(axis=1), 2 * np.arange(128) + 0.5

    def within(k: int) -> float:
        parts = ((bins[: k + 1], centres[: k + 1]), (bins[k + 1 :], centres[k + 1 :]))
        return float(sum((n * (c - (n * c).sum() / n.sum()) ** 2).sum() for n, c in parts))

    assert otsu_threshold(counts) == 2 * min(range(127), key=within) + 1


def test_pixels_are_a_copy() -> None:
    image = radiograph(40, 50, 1)
    part = pixels(image, Box(3, 4, 10, 20))
    np.testing.assert_array_equal(part, image[4:20, 3:10])
    part[:] = 0
    assert image[4:20, 3:10].any()


@pytest.mark.parametrize(
    ("image", "box"),
    [
        (np.zeros((10, 10), np.uint16), Box(0, 0, 5, 5)),
        (np.zeros((10, 10, 3), np.uint8), Box(0, 0, 5, 5)),
        (np.zeros((10, 10), np.uint8), Box(0, 0, 11, 5)),
        (np.zeros((10, 10), np.uint8), Box(0, 0, 5, 11)),
    ],
)
def test_what_cannot_be_cropped_is_refused(image: np.ndarray, box: Box) -> None:
    with pytest.raises(ValueError, match="no crop"):
        crop_from_box(image, box)
