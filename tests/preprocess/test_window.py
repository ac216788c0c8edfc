"""Hounsfield units through a window: the closed form, and what is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_sacro.dicom import read
from edge_sacro.errors import MissingAttributes
from edge_sacro.preprocess.window import windowed
from edge_sacro.types import Radiograph
from tests.systems.bundles import drawn_slice, write_slice

CENTER, WIDTH = 400.0, 1800.0
ROUNDING = 1e-7


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Radiograph:
    return read(write_slice(tmp_path_factory.mktemp("ct") / "a.dcm"))


def test_the_window_is_linear_and_clips(ct: Radiograph) -> None:
    units = drawn_slice().astype(np.float64)
    expected = np.clip((units + 500) / 1800, 0, 1)
    found = windowed(ct, CENTER, WIDTH)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < ROUNDING
    assert {0.0, 1.0} <= set(np.unique(found).tolist())
    linear = np.clip(((units - (400 - 0.5)) / (1800 - 1)) + 0.5, 0, 1)
    assert np.abs(found - linear).max() > 1e-4, "negative control: the LINEAR function of a display"
    sent = np.clip((units - (40 - 200)) / 400, 0, 1)
    assert np.abs(found - sent).max() > 0.3, "negative control: the sender's own display window"


def test_values_at_the_windows_ends_and_middle(tmp_path: Path) -> None:
    units = drawn_slice()
    units[0, :5] = [-501, -500, 400, 1300, 1301]
    assert windowed(read(write_slice(tmp_path / "a.dcm", units)), CENTER, WIDTH)[0, :5].tolist() == [0, 0, 0.5, 1, 1]


def test_padding_is_the_windows_lower_end(tmp_path: Path) -> None:
    units = drawn_slice()
    units[:8] = 3000
    padded = read(write_slice(tmp_path / "a.dcm", units, PixelPaddingValue=4024))
    assert (windowed(padded, CENTER, WIDTH)[:8] == 0).all()
    plain = read(write_slice(tmp_path / "b.dcm", units))
    assert (windowed(plain, CENTER, WIDTH)[:8] == 1).all(), "negative control: the same values as an image"


def test_a_slice_without_its_rescale_is_refused(tmp_path: Path) -> None:
    bare = read(write_slice(tmp_path / "a.dcm", RescaleIntercept=None, RescaleSlope=None, RescaleType=None))
    with pytest.raises(MissingAttributes, match="none can mean air"):
        windowed(bare, CENTER, WIDTH)


def test_values_of_another_unit_are_refused(ct: Radiograph) -> None:
    other = replace(ct, grayscale=replace(ct.grayscale, rescale_type="US"))
    with pytest.raises(MissingAttributes, match="'US'"):
        windowed(other, CENTER, WIDTH)
