"""The guard band: as wide as noise moves a probability, and wide enough that no decision turns over outside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.guard_band import measure_guard_band, measurement_from_pairs, unstable_images, write_guard_band
from edge_sacro.bundle import load_bundle
from edge_sacro.errors import CalibrationRefused
from tests.tiny import drawn_pelvis, write_bundle, write_dicom, write_standard_bundle


def test_it_is_the_quantile_where_no_decision_flips() -> None:
    far = np.linspace(0.7, 0.9, 100)
    pairs = np.column_stack((far, far + np.linspace(0, 0.0101, 100)))
    found = measurement_from_pairs(pairs, 0.59)
    assert (found.half_width, found.flips) == (0.01, 0)
    assert measurement_from_pairs(pairs[:, [0, 0]], 0.59).half_width == 0.0, "negative control: nothing moved"


def test_it_is_wider_where_a_flip_would_be_left_outside() -> None:
    pairs = np.column_stack((np.full(100, 0.9), np.full(100, 0.901)))
    pairs[0] = (0.63, 0.52)
    found = measurement_from_pairs(pairs, 0.59)
    assert (found.half_width, found.flips) == (0.04, 1)


def test_it_is_measured_on_files_and_written_into_the_manifest(tmp_path: Path) -> None:
    bundle = load_bundle(write_standard_bundle(tmp_path / "bundle"))
    random = np.random.default_rng(1)
    files = []
    for number in range(20):
        noise = random.integers(-20, 21, (512, 512))
        pixels = np.clip(drawn_pelvis() + noise, 0, 4095).astype(np.uint16)
        files.append(write_dicom(tmp_path / f"{number}.dcm", pixels))
    found = measure_guard_band(bundle, files)
    assert found.images == 20
    assert 0 < found.largest < 0.05
    write_guard_band(bundle, found, "drawings")
    again = load_bundle(tmp_path / "bundle")
    assert again.manifest.guard_band.half_width == found.half_width
    assert "20 drawings" in again.manifest.guard_band.source
    assert json.loads((tmp_path / "bundle" / "manifest.json").read_text())["name"] == "tiny"


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path / "bundle"))
    with pytest.raises(CalibrationRefused, match="20 are needed"):
        measure_guard_band(bundle, [write_dicom(tmp_path / "a.dcm")])


def test_an_image_that_its_own_noise_moves_too_far_is_named(tmp_path: Path) -> None:
    bundle = load_bundle(write_standard_bundle(tmp_path / "bundle"))
    file = write_dicom(tmp_path / "a.dcm")
    (moved,) = unstable_images(bundle, [file], 0.0).values()
    assert 0 < moved < 0.05
    assert unstable_images(bundle, [file], moved) == {}, "negative control: it withstands a wider limit"
