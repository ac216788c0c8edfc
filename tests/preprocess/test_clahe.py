"""The contrast filter: the published intermediates, scikit-image as an oracle, OpenCV's CLAHE as a near miss."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_sacro.preprocess import clahe
from edge_sacro.preprocess.intensity import zero_to_one
from tests.golden.arrays import displayed, golden, worst
from tests.golden.images import radiograph
from tests.golden.subset import CLAHE_CASES

TOLERANCE = 1e-6


@pytest.mark.parametrize("case", CLAHE_CASES)
def test_filter_meets_the_published_one(case: str) -> None:
    arrays = golden("clahe")
    found = clahe.clahe_variant(arrays[f"{case}/in"])
    assert found.dtype == np.float32
    assert worst(found, arrays[f"{case}/out"]) <= TOLERANCE


def test_each_step_has_the_published_bits() -> None:
    arrays = golden("clahe")
    image = arrays["f32_64x96/in"]
    rescaled = zero_to_one(image)
    median = cv2.medianBlur(rescaled, 3)
    steps = {
        "rescaled": rescaled,
        "median": median,
        "gauss": clahe.gaussian_sigma_one(median),
        "filtered": clahe.sharpened(image),
    }
    for name, found in steps.items():
        np.testing.assert_array_equal(found, arrays[f"f32_64x96/{name}"], err_msg=name)


def test_opencvs_clahe_is_another_algorithm() -> None:
    arrays = golden("clahe")
    levels = np.rint(clahe.sharpened(arrays["f32_odd_101x67/in"]) * 65535).astype(np.uint16)
    other = cv2.createCLAHE(clipLimit=2.56, tileGridSize=(8, 8)).apply(levels) / np.float32(65535)
    assert worst(other, arrays["f32_odd_101x67/out"]) > 0.1


def test_a_gaussian_of_opencv_moves_grey_levels() -> None:
    median = cv2.medianBlur(zero_to_one(radiograph(300, 260, 8).astype(np.float32)), 3)
    other = cv2.GaussianBlur(median, (9, 9), 1.0, borderType=cv2.BORDER_REPLICATE)
    ours = clahe.adaptive_equalisation(zero_to_one(median - clahe.SHARPENING * clahe.gaussian_sigma_one(median)))
    assert worst(clahe.adaptive_equalisation(zero_to_one(median - clahe.SHARPENING * other)), ours) > TOLERANCE


def test_mirroring_comes_before_the_filter() -> None:
    arrays = golden("clahe")
    image, expected = displayed(arrays["order/in"]), arrays["order/deploy_rotate_then_clahe"][0]
    assert worst(clahe.clahe_variant(image[:, ::-1]), expected) <= TOLERANCE
    assert worst(clahe.clahe_variant(image)[:, ::-1], expected) > 0.1


@pytest.mark.parametrize("shape", [(64, 64), (61, 130), (16, 9), (2, 2), (7, 200), (113, 57)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equalisation_is_scikit_images(shape: tuple[int, int], seed: int) -> None:
    exposure = pytest.importorskip("skimage.exposure")
    random = np.random.default_rng(seed)
    image = zero_to_one((random.random(shape) ** (1 + 2 * seed)).astype(np.float32))
    np.testing.assert_array_equal(clahe.adaptive_equalisation(image), exposure.equalize_adapthist(image))


@pytest.mark.parametrize("image", [radiograph(311, 204, 5), radiograph(120, 400, 6, 16)])
def test_whole_filter_is_the_chain_of_scikit_image_and_scipy(image: np.ndarray) -> None:
    exposure = pytest.importorskip("skimage.exposure")
    ndimage = pytest.importorskip("scipy.ndimage")
    median = ndimage.median_filter(zero_to_one(image.astype(np.float32)), size=3, mode="nearest")
    smooth = ndimage.gaussian_filter(median, 1, mode="nearest", truncate=4.0)
    expected = exposure.equalize_adapthist(zero_to_one(median - np.float32(0.6) * smooth))
    np.testing.assert_array_equal(clahe.clahe_variant(image), expected)


def test_an_image_of_zeros_becomes_ones_as_published() -> None:
    assert np.all(clahe.clahe_variant(np.zeros((40, 50), np.float32)) == 1)


def test_the_callers_image_is_left_alone() -> None:
    image = radiograph(60, 70, 3)
    before = image.copy()
    clahe.clahe_variant(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("shape", [(1, 10), (10, 1), (10,), (2, 10, 10)])
def test_an_image_too_small_for_tiles_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least 2 x 2"):
        clahe.clahe_variant(np.zeros(shape, np.float32))
