"""TensorFlow 1's asymmetric bilinear resize and the detector's input: TensorFlow's own values and plain loops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_sacro.preprocess.tf_resize import (
    MEAN,
    STANDARD_DEVIATION,
    aspect_resize_tf1,
    aspect_size,
    asymmetric_bilinear,
    detector_input,
)
from tests.golden.arrays import worst

ROUNDING = 2.4e-7
"""Two roundings of single precision, relative."""

SHAPES = [((7, 5), (3, 4)), ((5, 9), (12, 11)), ((64, 33), (7, 32)), ((1, 3), (4, 1)), ((40, 41), (40, 41))]

SQUARE = np.array([[1, 2], [3, 4]], np.float32)


def by_loops(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    (n, m), (rows, columns) = image.shape, size
    values, result = image.astype(np.float64), np.empty(size)
    for i in range(rows):
        for j in range(columns):
            y, x = i * n / rows, j * m / columns
            top, left = int(y), int(x)
            bottom, right = min(top + 1, n - 1), min(left + 1, m - 1)
            upper = values[top, left] + (values[top, right] - values[top, left]) * (x - left)
            lower = values[bottom, left] + (values[bottom, right] - values[bottom, left]) * (x - left)
            result[i, j] = upper + (lower - upper) * (y - top)
    return result


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3, 3), [[1, 5 / 3, 2], [7 / 3, 3, 10 / 3], [3, 11 / 3, 4]]),
        ((4, 4), [[1, 1.5, 2, 2], [2, 2.5, 3, 3], [3, 3.5, 4, 4], [3, 3.5, 4, 4]]),
    ],
)
def test_the_resize_gives_the_values_of_tensorflows_own_test(
    size: tuple[int, int], expected: list[list[float]]
) -> None:
    # resize_bilinear_op_test.cc, 2x2To3x3 and 2x2To4x4, neither corners aligned nor half-pixel centres.
    np.testing.assert_allclose(asymmetric_bilinear(SQUARE, size), expected, rtol=ROUNDING)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_resize_reads_asymmetric_positions(shape: tuple[int, int], size: tuple[int, int], dtype: type) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape).astype(dtype)
    found = asymmetric_bilinear(image, size)
    assert found.dtype == np.float32
    # A position is single precision too: its rounding grows with the length of the axis.
    assert worst(found, by_loops(image, size)) <= 256 * ROUNDING * max(shape)


def test_half_pixel_centres_would_not_meet_it() -> None:
    image = np.random.default_rng(2).integers(0, 256, (64, 48)).astype(np.float32)
    other = cv2.resize(image, (36, 48), interpolation=cv2.INTER_LINEAR)
    assert worst(asymmetric_bilinear(image, (48, 36)), other) > 10


def test_channels_are_resized_alike() -> None:
    image = np.random.default_rng(3).integers(0, 256, (20, 31, 3)).astype(np.uint8)
    found = asymmetric_bilinear(image, (11, 40))
    for channel in range(3):
        np.testing.assert_array_equal(found[:, :, channel], asymmetric_bilinear(image[:, :, channel], (11, 40)))


def test_an_image_of_the_target_size_stays_as_it_is() -> None:
    image = np.random.default_rng(4).integers(0, 256, (30, 64)).astype(np.uint8)
    np.testing.assert_array_equal(aspect_resize_tf1(image, 64), image)


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [
        ((1024, 870), 512, (512, 435)),
        ((460, 512), 512, (460, 512)),
        ((2500, 3000), 1024, (853, 1024)),
        ((100, 40), 1024, (1024, 410)),
        ((5, 1024), 512, (2, 512)),
    ],
)
def test_the_longer_side_is_met_and_the_aspect_kept(
    size: tuple[int, int], longest: int, expected: tuple[int, int]
) -> None:
    # The last case is 2.5 rows: half goes to the even number, as tf.round has it.
    assert aspect_size(size, longest) == expected


def test_the_input_is_padded_with_the_mean_colour_and_not_with_black() -> None:
    image = np.full((50, 100), 200, np.uint8)
    found, used = detector_input(image, 128)
    assert (found.shape, found.dtype, used) == ((1, 3, 128, 128), np.float32, (64, 128))
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found[:, :, 64:], 0)
    for channel in range(3):
        expected = (200 / 255 - MEAN[channel]) / STANDARD_DEVIATION[channel]
        np.testing.assert_allclose(found[0, channel, :64], expected, rtol=1e-6)
    black = (0 - np.array(MEAN)) / np.array(STANDARD_DEVIATION)
    assert np.abs(black).min() > 1.8, "negative control: black padding is another input"


def test_a_gray_image_is_the_colour_image_with_three_equal_channels() -> None:
    image = np.random.default_rng(5).integers(0, 256, (70, 41)).astype(np.uint8)
    gray, _ = detector_input(image, 64)
    colour, _ = detector_input(np.repeat(image[:, :, None], 3, axis=2), 64)
    np.testing.assert_array_equal(gray, colour)


def test_colours_keep_their_order() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :, 0] = 255
    found, _ = detector_input(image, 64)
    np.testing.assert_allclose(found[0, :, 0, 0], [2.2489083, -2.0357143, -1.8044444], rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 2, 2, 2)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot resize"):
        asymmetric_bilinear(np.zeros(shape), (4, 4))


def test_two_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="neither gray nor RGB"):
        detector_input(np.zeros((8, 8, 2)), 64)


def test_an_image_too_narrow_for_any_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no pixel"):
        aspect_size((1, 5000), 512)
    with pytest.raises(ValueError, match="cannot resize"):
        aspect_size((0, 5), 512)
