"""Intensity scaling against the golden segmentation input."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sacro.preprocess.intensity import minus_one_to_one, published_eight_bit, zero_to_one
from edge_sacro.preprocess.resize import area_resize
from tests.golden.arrays import displayed, golden, worst
from tests.golden.images import radiograph

IMAGES = {"L_600x720": (600, 720, 1, 8), "L_901x1103": (901, 1103, 2, 8), "I16_901x1103": (901, 1103, 3, 16)}


@pytest.mark.parametrize("name", IMAGES)
def test_segmentation_input_meets_the_published_chain_of_four_steps(name: str) -> None:
    expected = displayed(golden("segmentation")[f"{name}/scaled_sub12"])
    resized = area_resize(radiograph(*IMAGES[name]), (768, 768))
    assert worst(minus_one_to_one(resized)[::12, ::12], expected) <= 1e-6
    by_range = resized / np.float32((1 << IMAGES[name][3]) - 1) * 2 - 1
    assert worst(by_range[::12, ::12], expected) > 1e-2


def test_an_image_of_one_value_becomes_zero_as_published() -> None:
    found = minus_one_to_one(area_resize(np.full((300, 200), 93, np.uint8), (768, 768)))
    assert worst(found[::12, ::12], displayed(golden("segmentation")["const_300x200/scaled_sub12"])) == 0


def test_both_ends_are_reached_exactly() -> None:
    image = np.random.default_rng(4).normal(100, 30, (50, 50)).astype(np.float32)
    for scaled, low in ((minus_one_to_one(image), -1.0), (zero_to_one(image), 0.0)):
        assert scaled.dtype == np.float32
        assert (scaled.min(), scaled.max()) == (low, 1.0)


@pytest.mark.parametrize(("value", "expected"), [(120.0, 1.0), (0.25, 0.25), (-3.0, 0.0)])
def test_one_value_scaled_to_zero_and_one_is_clipped(value: float, expected: float) -> None:
    assert zero_to_one(np.full((3, 3), value, np.float32)).tolist() == [[expected] * 3] * 3


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_the_published_cast_wraps_instead_of_clipping(dtype: type) -> None:
    found = published_eight_bit(np.array([0, 255, 256, 4095, 4096, 1000], dtype))
    assert found.tolist() == [0, 255, 0, 255, 0, 232]


def test_the_published_cast_cuts_fractions_off_toward_zero() -> None:
    assert published_eight_bit(np.array([1.9, 255.9, -0.5, -1.2])).tolist() == [1, 255, 0, 255]
