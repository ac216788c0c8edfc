"""The three resizes against golden arrays, plain loops and PyTorch; each with a near miss that must fail."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest

from edge_sacro.preprocess.resize import (
    area_resize,
    bilinear_align_corners,
    center_crop_or_pad,
    longest_side_size,
    nearest_inverse,
)
from tests.golden.arrays import displayed, golden, worst
from tests.golden.images import radiograph
from tests.golden.subset import INVERSE_SIZES

ROUNDING = 2.4e-7
"""Two roundings of single precision, relative."""

IMAGES = {"L_600x720": (600, 720, 1, 8), "L_901x1103": (901, 1103, 2, 8), "I16_901x1103": (901, 1103, 3, 16)}
SIZES = [((7, 5), (3, 4)), ((5, 9), (12, 11)), ((33, 64), (32, 7)), ((1, 3), (4, 1)), ((40, 40), (40, 40))]


def area_by_loops(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    (n, m), (rows, columns) = image.shape, size
    result = np.empty(size)
    for i in range(rows):
        for j in range(columns):
            top, bottom = i * n // rows, -(-(i + 1) * n // rows)
            left, right = j * m // columns, -(-(j + 1) * m // columns)
            result[i, j] = image[top:bottom, left:right].astype(np.float64).mean()
    return result


@pytest.mark.parametrize("name", IMAGES)
def test_area_resize_meets_the_published_one(name: str) -> None:
    expected = displayed(golden("segmentation")[f"{name}/resized_sub12"])
    found = area_resize(radiograph(*IMAGES[name]), (768, 768))[::12, ::12]
    assert worst(found, expected) <= ROUNDING * expected.max()


def test_overlap_weighted_area_resize_would_not_meet_it() -> None:
    expected = displayed(golden("segmentation")["L_901x1103/resized_sub12"])
    other = cv2.resize(radiograph(901, 1103, 2).astype(np.float32), (768, 768), interpolation=cv2.INTER_AREA)
    assert worst(other[::12, ::12], expected) > 1


@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_area_resize_is_the_mean_of_whole_pixels(shape: tuple[int, int], size: tuple[int, int], dtype: type) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape).astype(dtype)
    found = area_resize(image, size)
    assert found.dtype == np.float32
    assert worst(found, area_by_loops(image, size)) <= ROUNDING * 256


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_area_resize_is_pytorchs_adaptive_pooling(shape: tuple[int, int], size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(2).random(shape, np.float32)
    pooled = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(image)[None, None], size)[0, 0].numpy()
    assert worst(area_resize(image, size), pooled) <= 1e-6


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_bilinear_resize_is_pytorchs_with_aligned_corners(shape: tuple[int, int], size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(3).random(shape, np.float32)
    batch = torch.from_numpy(image)[None, None]
    aligned = torch.nn.functional.interpolate(batch, size, mode="bilinear", align_corners=True)[0, 0].numpy()
    assert worst(bilinear_align_corners(image, size), aligned) <= 1e-6
    if shape != size:
        half_pixel = torch.nn.functional.interpolate(batch, size, mode="bilinear", align_corners=False)[0, 0].numpy()
        assert worst(bilinear_align_corners(image, size), half_pixel) > 1e-2


def test_bilinear_resize_keeps_the_corners() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = bilinear_align_corners(image, (7, 9))
    assert [found[0, 0], found[0, -1], found[-1, 0], found[-1, -1]] == [0, 3, 8, 11]


@pytest.mark.parametrize(("rows", "columns"), INVERSE_SIZES)
def test_labels_return_to_the_radiograph_as_published(rows: int, columns: int) -> None:
    arrays = golden("segmentation")
    found = nearest_inverse(displayed(arrays["inv_label768"]), (rows, columns))
    digest = hashlib.sha256(displayed(found).tobytes()).digest()
    assert digest == arrays[f"inv_{rows}x{columns}_sha256"].tobytes()


def test_an_index_in_double_precision_would_read_other_rows_at_2500() -> None:
    labels = np.repeat(np.arange(768, dtype=np.uint16)[:, None], 2, axis=1)
    double = np.floor(np.arange(2500) * (768 / 2500)).astype(int)
    assert np.count_nonzero(nearest_inverse(labels, (2500, 2))[:, 0] != double) == 2


@pytest.mark.parametrize("rows", [282, 320, 720, 2500, 3054])
def test_nearest_index_is_pytorchs(rows: int) -> None:
    torch = pytest.importorskip("torch")
    line = torch.arange(768.0)[None, None]
    expected = torch.nn.functional.interpolate(line, size=rows, mode="nearest")[0, 0].numpy()
    labels = np.arange(768, dtype=np.uint16)[:, None]
    assert nearest_inverse(labels, (rows, 1))[:, 0].tolist() == expected.astype(int).tolist()


@pytest.mark.parametrize(
    ("length", "target", "expected"),
    [
        (5, 5, [1, 2, 3, 4, 5]),
        (5, 3, [2, 3, 4]),
        (6, 3, [3, 4, 5]),
        (5, 2, [2, 3]),
        (3, 5, [0, 1, 2, 3, 0]),
        (3, 6, [0, 1, 2, 3, 0, 0]),
    ],
)
def test_crop_and_pad_stand_about_the_centre(length: int, target: int, expected: list[int]) -> None:
    line = np.arange(1, length + 1, dtype=np.int16)[None]
    assert center_crop_or_pad(line, (1, target)).tolist() == [expected]
    assert center_crop_or_pad(line.T, (target, 1))[:, 0].tolist() == expected


@pytest.mark.parametrize(
    ("size", "expected"), [((260, 640), (255, 628)), ((700, 300), (628, 269)), ((5, 10000), (1, 628))]
)
def test_the_longer_side_sets_the_scale(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert longest_side_size(size, 628) == expected


@pytest.mark.parametrize("resize", [area_resize, bilinear_align_corners, nearest_inverse, center_crop_or_pad])
@pytest.mark.parametrize(("shape", "size"), [((0, 4), (2, 2)), ((4,), (2, 2)), ((4, 4, 1), (2, 2)), ((4, 4), (0, 2))])
def test_what_cannot_be_resized_is_refused(resize: object, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot resize"):
        resize(np.zeros(shape, np.float32), size)  # type: ignore[operator]


def test_an_image_whose_sum_passes_32_bits_is_averaged_all_the_same() -> None:
    image = np.full((3000, 3000), 255, np.uint8)
    image[-1, -1] = 0
    assert image.size * 255 > 1 << 31
    resized = area_resize(image, (100, 100))
    assert resized[:-1].min() == resized.max() == 255
    assert resized[-1, -1] == np.float32(255 * (1 - 1 / 900)), "negative control"
