"""The exposed field: borders that collimators or air make are found, tissue is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sacro.preprocess.field import exposed_field
from edge_sacro.regions import RegionRules, joint_regions
from edge_sacro.types import Box

TISSUE = np.random.default_rng(5).integers(40, 190, (200, 300)).astype(np.uint8)


def test_without_a_border_the_field_is_the_image() -> None:
    assert exposed_field(TISSUE) == Box(0, 0, 300, 200)


@pytest.mark.parametrize("level", [0, 12, 200, 255])
def test_a_border_is_taken_away_whether_black_or_white(level: int) -> None:
    image = np.full((300, 400), level, np.uint8)
    image[30:230, 20:320] = TISSUE
    image[5:15, 350:360] = 128  # a marker upon the border
    assert exposed_field(image) == Box(20, 30, 320, 230)


@pytest.mark.parametrize("level", [13, 199])
def test_dark_or_bright_tissue_is_no_border(level: int) -> None:
    image = np.full((300, 400), level, np.uint8)
    image[30:230, 20:320] = TISSUE
    assert exposed_field(image) == Box(0, 0, 400, 300)


def test_an_image_that_is_all_border_is_its_own_field() -> None:
    assert exposed_field(np.zeros((10, 20), np.uint8)) == Box(0, 0, 20, 10)


def test_a_joint_at_the_edge_of_the_field_is_not_assessable() -> None:
    labels = np.zeros((400, 400), np.uint8)
    labels[100:300, 160:240] = 1
    labels[120:280, 80:160] = 2
    labels[120:280, 240:320] = 3
    rules = RegionRules()
    assert joint_regions(labels, rules).box is not None
    wide = joint_regions(labels, rules, field=Box(30, 0, 400, 400))
    assert (wide.image_left.reason, wide.image_right.reason) == (None, None)
    narrow = joint_regions(labels, rules, field=Box(148, 0, 400, 400))
    assert (narrow.image_left.reason, narrow.image_right.reason) == ("at_field_border", None)
