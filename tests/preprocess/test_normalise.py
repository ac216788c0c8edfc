"""The normaliser: what it promises in its own words, case by case."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edge_sacro.preprocess.normalise import HIGH, LOW, eight_bit_table
from edge_sacro.types import Grayscale

LEVELS = 4096


def _grayscale(inverted: bool = False, padding: tuple[int, int] | None = None) -> Grayscale:
    return Grayscale(0, np.arange(LEVELS, dtype=np.float32), inverted, padding, "US")


def _histogram(image: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    return np.bincount(image.ravel(), minlength=LEVELS)


@pytest.fixture
def bone() -> npt.NDArray[np.int64]:
    noise = np.random.default_rng(3).normal(2000, 300, (400, 400))
    return np.clip(noise, 1, LEVELS - 2).astype(np.int64)


def test_the_linear_range_is_that_of_the_exact_quantiles(bone: npt.NDArray[np.int64]) -> None:
    table = eight_bit_table(_grayscale(), _histogram(bone))
    low = np.quantile(bone, LOW, method="inverted_cdf")
    high = np.quantile(bone, HIGH, method="inverted_cdf")
    expected = np.rint(np.clip((np.arange(LEVELS) - low) / (high - low), 0, 1) * 255)
    np.testing.assert_array_equal(table, expected)
    shifted = np.rint(np.clip((np.arange(LEVELS) - low - 20) / (high - low), 0, 1) * 255)
    assert (table != shifted).any()


def test_monochrome1_is_the_same_image_after_turning_over(bone: npt.NDArray[np.int64]) -> None:
    upright = eight_bit_table(_grayscale(), _histogram(bone))[bone]
    turned = LEVELS - 1 - bone
    inverted = eight_bit_table(_grayscale(inverted=True), _histogram(turned))[turned]
    assert np.abs(upright.astype(int) - inverted).max() <= 1
    wrong = eight_bit_table(_grayscale(), _histogram(turned))[turned]
    assert np.abs(upright.astype(int) - wrong).mean() > 50


@pytest.mark.parametrize("value", [0, LEVELS - 1])
def test_a_flat_border_does_not_move_the_contrast(bone: npt.NDArray[np.int64], value: int) -> None:
    bordered = np.full((600, 600), value)
    bordered[100:500, 100:500] = bone
    np.testing.assert_array_equal(
        eight_bit_table(_grayscale(), _histogram(bordered)), eight_bit_table(_grayscale(), _histogram(bone))
    )


def test_padding_is_black_and_left_out_of_the_contrast(bone: npt.NDArray[np.int64]) -> None:
    padded = np.concatenate([bone, np.full((40, 400), 3000), np.full((40, 400), 3100)])
    table = eight_bit_table(_grayscale(padding=(3000, 3100)), _histogram(padded))
    assert (table[3000:3101] == 0).all()
    inside = bone[(bone < 3000) | (bone > 3100)]
    np.testing.assert_array_equal(table, eight_bit_table(_grayscale(padding=(3000, 3100)), _histogram(inside)))


def test_gain_and_offset_of_a_vendor_cancel(bone: npt.NDArray[np.int64]) -> None:
    plain = eight_bit_table(_grayscale(), _histogram(bone))
    scaled = Grayscale(0, np.arange(LEVELS, dtype=np.float32) * 0.25 - 1000, False, None, "US")
    np.testing.assert_array_equal(plain, eight_bit_table(scaled, _histogram(bone)))


def test_an_image_without_contrast_is_black_and_no_error() -> None:
    assert not eight_bit_table(_grayscale(), _histogram(np.full((10, 10), 7))).any()


def test_an_image_of_two_values_keeps_both() -> None:
    table = eight_bit_table(_grayscale(), _histogram(np.repeat([10, 20], 50)))
    assert (table[10], table[20]) == (0, 255)
