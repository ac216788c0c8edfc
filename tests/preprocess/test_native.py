"""Compiled functions: what comes with the package, and the bits of the NumPy ones, whichever processor runs them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge_sacro import native
from edge_sacro.errors import InternalError
from edge_sacro.preprocess import clahe, contrast, field
from edge_sacro.preprocess.components import LABELS, Extent, counted_extents, dilated, extents
from edge_sacro.preprocess.resize import (
    _corner_positions,
    area_means,
    area_resize,
    bilinear_align_corners,
    bilinear_between,
    compiled_area_means,
)
from edge_sacro.types import Box
from tests.golden.images import radiograph

KINDS = native.kinds()
compiled = pytest.mark.skipif(not KINDS, reason="no compiled functions come with the package for this machine")
each_kind = pytest.mark.parametrize("kind", KINDS)


@compiled
@each_kind
@pytest.mark.parametrize(
    ("shape", "size"),
    [((901, 1103), (768, 768)), ((7, 5), (3, 4)), ((5, 9), (12, 11)), ((1, 3), (4, 1)), ((2048, 33), (1, 1))],
)
def test_area_means_have_the_bits_of_numpys(kind: str, shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    for given in (image, image[::-1, ::-1], np.full(shape, 255, np.uint8)):
        found = compiled_area_means(given, size, native.library(kind))
        np.testing.assert_array_equal(found, area_means(given, size))


@compiled
@each_kind
@pytest.mark.parametrize("shape", [(600, 1100), (2, 3), (1, 9), (70, 1)])
@pytest.mark.parametrize("size", [(342, 628), (1, 1), (5, 700), (901, 2)])
def test_bilinear_values_have_the_bits_of_numpys(kind: str, shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    positions = [_corner_positions(n, m) for n, m in zip(shape, size, strict=True)]
    expected = bilinear_between(image, *positions, None)
    np.testing.assert_array_equal(bilinear_between(image, *positions, native.library(kind)), expected)
    np.testing.assert_array_equal(bilinear_align_corners(image[::-1], size), _flipped_before(image, size))


def _flipped_before(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return bilinear_between(np.ascontiguousarray(image[::-1]), *map(_corner_positions, image.shape, size), None)


@compiled
def test_one_level_in_one_pixel_is_noticed() -> None:
    image = radiograph(901, 1103, 2).astype(np.uint8)
    before = area_resize(image, (768, 768))
    image[900, 1102] ^= 1
    assert not np.array_equal(area_resize(image, (768, 768)), before)


def test_an_empty_image_is_refused_either_way() -> None:
    for size in ((0, 4), (4, 0)):
        with pytest.raises(ValueError, match="cannot resize"):
            area_resize(np.zeros((5, 5), np.uint8), size)
    with pytest.raises(ValueError, match="cannot resize"):
        area_resize(np.zeros((0, 5), np.uint8), (2, 2))


@compiled
@each_kind
@pytest.mark.parametrize("shape", [(1, 1), (3, 31), (300, 33), (70, 641)])
def test_white_and_black_pixels_are_counted_as_by_numpy(kind: str, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(2).choice([0, 11, 12, 13, 100, 199, 200, 201, 255], shape).astype(np.uint8)
    for found, expected in zip(field.counted(image, native.library(kind)), field.counted(image, None), strict=True):
        np.testing.assert_array_equal(found, expected)


@compiled
@each_kind
@pytest.mark.parametrize("shape", [(1, 1), (5, 63), (40, 64), (33, 65), (20, 64 * 256 + 3)])
@pytest.mark.parametrize("rare", [False, True])
def test_labels_lie_where_numpy_finds_them(kind: str, shape: tuple[int, int], rare: bool) -> None:
    chances = [0.997, 0.001, 0.001, 0.001] if rare else [0.25, 0.25, 0.5, 0]
    labels = np.random.default_rng(3).choice(4, shape, p=chances).astype(np.uint8)
    assert counted_extents(labels, native.library(kind)) == counted_extents(labels, None)


def test_the_extent_of_a_label_is_its_box_and_its_pixels() -> None:
    labels = np.zeros((9, 12), np.uint8)
    labels[2:5, 3] = labels[4, 3:8] = 2
    labels[8, 11] = 3
    expected = {1: Extent(0, None), 2: Extent(7, Box(3, 2, 8, 5)), 3: Extent(1, Box(11, 8, 12, 9))}
    assert extents(labels) == extents(np.asfortranarray(labels)) == counted_extents(labels, None) == expected
    assert tuple(expected) == LABELS


@compiled
@each_kind
@pytest.mark.parametrize("shape", [(1, 1), (40, 70), (33, 257), (300, 200)])
@pytest.mark.parametrize("radius", [0, 1, 2, 7, 54, 400])
def test_dilations_are_opencvs(kind: str, shape: tuple[int, int], radius: int) -> None:
    whole = np.random.default_rng(4).choice(3, (shape[0] + 2, shape[1] + 5), p=[0.9, 0.098, 0.002]).astype(np.uint8)
    for label in (1, 2):
        for part in (whole[1:-1, 2:-3], np.ascontiguousarray(whole)):
            found = dilated(part, label, radius, native.library(kind))
            np.testing.assert_array_equal(found, dilated(part, label, radius, None))
    assert not dilated(whole, 3, radius, native.library(kind)).any()


def test_binaries_are_of_the_sources_that_come_with_them() -> None:
    manifest = json.loads((native.BINARIES / "manifest.json").read_text())
    assert manifest["sources"] == {path.name: _sha256(path) for path in native.SOURCES}
    found = {path.name: _sha256(path) for path in native.BINARIES.glob("*.so")}
    assert found == manifest["files"]
    assert set(found) == {"functions-x86_64.so", "functions-aarch64.so"}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_binaries_need_no_other_library() -> None:
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("readelf is not here")
    for path in native.BINARIES.glob("*.so"):
        told = subprocess.run([readelf, "-d", path], capture_output=True, text=True, check=True).stdout
        assert "SONAME" not in told
        assert "NEEDED" not in told
        assert "SYMTAB" in told
        told = subprocess.run([readelf, "-W", "--dyn-syms", path], capture_output=True, text=True, check=True).stdout
        assert "edge_sacro_area" in told
        assert [line.split()[7:] for line in told.splitlines() if " UND" in line] == [[]], "it would need another one"


@compiled
def test_a_changed_binary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copytree(native.BINARIES, tmp_path / "binaries")
    for path in copy.glob("*.so"):
        path.write_bytes(path.read_bytes() + b"\0")
    monkeypatch.setattr(native, "BINARIES", copy)
    with pytest.raises(InternalError, match="not what was built"):
        native.library.__wrapped__(KINDS[0])


def test_another_machine_has_no_compiled_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    image = radiograph(64, 64, 8).astype(np.uint8)
    here = contrast.contrast_filter(image), area_resize(image, (9, 7)), field.exposed_field(image), extents(image % 4)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert native.kinds() == []
    assert native.fastest() is None
    np.testing.assert_array_equal(here[0], clahe.clahe_variant(image))
    np.testing.assert_array_equal(here[0], contrast.contrast_filter(image))
    np.testing.assert_array_equal(here[1], area_resize(image, (9, 7)))
    assert here[2:] == (field.exposed_field(image), extents(image % 4))
