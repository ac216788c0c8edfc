"""The compiled contrast filter: the bits of the NumPy one, whichever processor runs it."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sacro import native
from edge_sacro.preprocess import clahe, contrast
from tests.golden.arrays import golden, worst
from tests.golden.images import radiograph
from tests.golden.subset import CLAHE_CASES

KINDS = native.kinds()
pytestmark = pytest.mark.skipif(not KINDS, reason="no compiled functions come with the package for this machine")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("rows", "columns", "bits"), [(32, 32, 8), (33, 47, 12), (101, 67, 16), (64, 520, 1), (300, 233, 8), (544, 901, 14)]
)
def test_every_pixel_has_the_bits_of_the_numpy_filter(kind: str, rows: int, columns: int, bits: int) -> None:
    image = radiograph(rows, columns, bits)
    found = contrast.compiled_filter(image, native.library(kind))
    np.testing.assert_array_equal(found, clahe.clahe_variant(image))


@pytest.mark.parametrize("kind", KINDS)
def test_noise_and_flat_parts_have_the_same_bits(kind: str) -> None:
    random = np.random.default_rng(3)
    for _ in range(12):
        rows, columns = random.integers(32, 200, 2)
        image = random.normal(size=(rows, columns)).astype(np.float32)
        image[: rows // 3] = image.max()
        found = contrast.compiled_filter(image, native.library(kind))
        np.testing.assert_array_equal(found, clahe.clahe_variant(image))


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_wrong_by_a_millionth_is_noticed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = radiograph(300, 260, 8)
    wrong = clahe.gaussian_weights()[clahe.GAUSSIAN_RADIUS :] * [1, 1 + 1e-6, 1, 1, 1]
    monkeypatch.setattr(contrast, "_weights", lambda: wrong)
    assert not np.array_equal(contrast.compiled_filter(image, native.library(kind)), clahe.clahe_variant(image))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.finfo(np.float32).max])
def test_a_value_that_is_no_number_or_beyond_all_is_left_to_the_numpy_filter(value: float) -> None:
    image = np.random.default_rng(4).normal(size=(64, 80)).astype(np.float32)
    image[20, 30], image[40, 50] = value, -np.finfo(np.float32).max
    with np.errstate(all="ignore"):
        for kind in KINDS:
            found = contrast.compiled_filter(image.copy(), native.library(kind))
            np.testing.assert_array_equal(found, clahe.clahe_variant(image))


@pytest.mark.parametrize("case", CLAHE_CASES)
def test_the_runtimes_filter_meets_the_published_one(case: str) -> None:
    arrays = golden("clahe")
    assert worst(contrast.contrast_filter(arrays[f"{case}/in"]), arrays[f"{case}/out"]) <= 1e-6


@pytest.mark.parametrize("shape", [(2, 2), (31, 400), (400, 31)])
def test_small_images_go_the_numpy_way(shape: tuple[int, int]) -> None:
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    np.testing.assert_array_equal(contrast.contrast_filter(image), clahe.clahe_variant(image))


def test_an_image_of_one_value_is_answered_as_by_numpy() -> None:
    image = np.full((64, 80), 7, np.uint16)
    np.testing.assert_array_equal(contrast.contrast_filter(image), clahe.clahe_variant(image))


def test_the_given_image_is_left_alone() -> None:
    image = radiograph(64, 64, 8).astype(np.float32)
    before = image.copy()
    contrast.contrast_filter(image)
    np.testing.assert_array_equal(image, before)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 x 2"):
        contrast.contrast_filter(np.zeros((4, 64, 64), np.float32))
