"""An explanation stands where the network looked: the way back to the stored pixels, proven by the way there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge_sacro.classify import ClassifierGeometry
from edge_sacro.errors import UsageError
from edge_sacro.explain import (
    ClassMaps,
    Explanation,
    View,
    at_input_size,
    cropped_view,
    explanation_from_maps,
    squished_view,
)
from edge_sacro.orient import canonical_from_stored, stored_from_canonical
from edge_sacro.preprocess.resize import bilinear_align_corners, center_crop_or_pad, longest_side_size
from edge_sacro.preprocess.squish import squished
from edge_sacro.runtime import Runtime
from edge_sacro.types import Box, Grayscale, Orientation, Radiograph, State
from tests import explained_nets, tiny
from tests.systems.bundles import drawn_slice, write_detector_bundle, write_slice

Floats = npt.NDArray[np.float32]
CLASSES = ("absent", "present")
GEOMETRY = ClassifierGeometry()


def radiograph(rows: int, columns: int, row: str = "L", column: str = "F") -> Radiograph:
    """One that is black: explanations use its size and orientation alone."""
    return Radiograph(
        stored=np.zeros((rows, columns), np.uint16),
        grayscale=Grayscale(0, np.arange(4096, dtype=np.float32), False, None, "US"),
        bits_stored=12,
        spacing=None,
        orientation=Orientation(row, column, False),
        sop_class_uid=tiny.DX,
        sop_instance_uid="2.25.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="DX",
        photometric_interpretation="MONOCHROME2",
        body_part="PELVIS",
        view="AP",
        laterality=None,
        lossy=False,
        lossy_ratio=None,
        frame=0,
        sha256="0" * 64,
        source="drawn",
    )


def explained(cells: Floats, view: View, image: Radiograph, class_index: int = 1) -> Explanation:
    maps = ClassMaps(np.stack([cells * 0, cells]), view)
    return explanation_from_maps(maps, image, CLASSES, class_index)


def peak(array: Floats) -> tuple[int, int]:
    row, column = np.unravel_index(int(array.argmax()), array.shape)
    return int(row), int(column)


def spot(rows: int, columns: int, row: int, column: int, width: float = 5.0) -> Floats:
    """A round bright place, 0 to 200, on black."""
    y, x = np.mgrid[0:rows, 0:columns]
    return (200 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))).astype(np.float32)


def as_published(crop: Floats) -> Floats:
    resized = bilinear_align_corners(crop[:, ::-1], longest_side_size(crop.shape, max(GEOMETRY.size)))
    return np.asarray(center_crop_or_pad(resized, GEOMETRY.size), np.float32)


def as_fastai(image: Floats) -> Floats:
    return squished(np.rint(image).astype(np.uint8), (768, 768)).astype(np.float32)


def as_opencv(image: Floats) -> Floats:
    return np.asarray(cv2.resize(image, (512, 512), interpolation=cv2.INTER_LINEAR), np.float32)


@pytest.mark.parametrize(
    ("forward", "size", "place", "step"),
    [
        (as_published, (260, 640), (60, 500), 1.02),
        (as_published, (700, 300), (300, 60), 1.12),
        (as_published, (120, 171), (30, 140), 1),
        (as_published, (1300, 2500), (900, 600), 4),
        (as_fastai, (900, 1500), (700, 200), 2),
        (as_fastai, (500, 400), (90, 333), 1),
        (as_opencv, (512, 512), (100, 400), 1),
        (as_opencv, (640, 300), (500, 40), 1.25),
    ],
)
def test_one_cell_comes_back_to_the_pixel_that_it_was_made_of(
    forward: Callable[[Floats], Floats], size: tuple[int, int], place: tuple[int, int], step: float
) -> None:
    """As many cells as input pixels, all 0 but the one that the bright place went to on the system's own way there."""
    seen = forward(spot(*size, *place))
    cells = np.zeros_like(seen)
    cells[peak(seen)] = 0.25
    if forward is as_published:
        view = cropped_view(Box(0, 0, size[1], size[0]), GEOMETRY)
    else:
        view = squished_view(size, (seen.shape[0], seen.shape[1]))
    found = explained(cells, view, radiograph(*size))
    assert np.abs(np.subtract(peak(found.strength), place)).max() <= step
    assert found.strength.max() == 1
    assert found.strength.dtype == np.float32
    turned = explained(cells, replace(view, mirrored=not view.mirrored), radiograph(*size))
    assert abs(peak(turned.strength)[1] - place[1]) > 10 * step, (
        "negative control: turned over, it is on the other side"
    )


@pytest.mark.parametrize("orientation", ["LF", "RF", "LH", "RH", "FL", "HL", "FR", "HR"])
def test_a_crop_of_an_image_stored_any_way_is_explained_on_its_stored_pixels(orientation: str) -> None:
    image = radiograph(200, 300, *orientation)
    stored = spot(200, 300, 50, 220, 4)
    canonical = canonical_from_stored(stored, image.orientation)
    np.testing.assert_array_equal(stored_from_canonical(canonical, image.orientation), stored)
    row, column = peak(canonical)
    crop = Box(column - 35, row - 20, column + 15, row + 24)
    cells = as_published(canonical[crop.y0 : crop.y1, crop.x0 : crop.x1])
    found = explained(cells, cropped_view(crop, GEOMETRY), image)
    assert np.abs(np.subtract(peak(found.strength), (50, 220))).max() <= 1
    assert found.strength.shape == stored.shape
    outside = np.ones(stored.shape, bool)
    outside[found.seen.y0 : found.seen.y1, found.seen.x0 : found.seen.x1] = False
    assert not found.strength[outside].any()
    assert np.abs(found.strength * found.maximum - stored)[~outside].max() < 2


def test_what_the_network_did_not_see_has_no_strength_and_padding_is_told() -> None:
    tall = explained(np.ones((13, 20), np.float32), cropped_view(Box(0, 0, 300, 700), GEOMETRY), radiograph(700, 300))
    cut = (700 - 416 * 700 / 628) / 2
    assert (tall.seen.x0, tall.seen.x1) == (0, 300)
    assert tall.seen.y0 == pytest.approx(cut, abs=1.5)
    assert 700 - tall.seen.y1 == pytest.approx(cut, abs=1.5)
    assert tall.on_padding == pytest.approx(1 - 269 / 628, abs=0.01)
    wide = explained(np.ones((13, 20), np.float32), cropped_view(Box(0, 0, 400, 265), GEOMETRY), radiograph(265, 400))
    assert wide.on_padding == pytest.approx(0, abs=1e-6)
    assert (wide.strength == 1).all()


def test_a_crop_of_few_pixels_is_explained_between_them() -> None:
    found = explained(np.ones((13, 20), np.float32), cropped_view(Box(3, 4, 5, 6), GEOMETRY), radiograph(20, 20))
    assert found.seen == Box(3, 4, 5, 6)
    assert found.strength.sum() == 4


def test_a_weak_map_is_told_apart_from_a_strong_one_and_from_none() -> None:
    view, image = squished_view((40, 60), (32, 48)), radiograph(40, 60)
    cells = np.random.default_rng(0).random((4, 6), dtype=np.float32)
    strong, weak, none = (explained(cells * factor, view, image) for factor in (np.float32(1), np.float32(1e-4), 0))
    np.testing.assert_allclose(strong.strength, weak.strength, atol=1e-6)
    assert strong.maximum == pytest.approx(1e4 * weak.maximum, rel=1e-5)
    assert none.maximum == 0
    assert not none.strength.any()
    assert none.on_padding == 0


def test_cells_are_spread_as_opencv_spreads_them() -> None:
    cells = np.random.default_rng(1).random((13, 20), dtype=np.float32)
    expected = cv2.resize(cells, (628, 416), interpolation=cv2.INTER_LINEAR)
    assert np.abs(at_input_size(cells, (416, 628)) - expected).max() < 1e-5
    assert np.abs(bilinear_align_corners(cells, (416, 628)) - expected).max() > 1e-2, "negative control"


SPOT, ITS_MIRROR = (256, 230), (256, 512 - 230)
"""In the drawn pelvis: in the sacrum, beside the image-left joint; and the same place on the other side."""


def _spotted() -> npt.NDArray[np.uint16]:
    """The drawn pelvis with a bright place, faint enough to change no label."""
    return np.rint(tiny.drawn_pelvis() + 2 * spot(512, 512, *SPOT, 6)).astype(np.uint16)


def _inside_sacrum() -> npt.NDArray[np.bool_]:
    """Away from its edges, where neighbours shine in."""
    inside = np.zeros((512, 512), bool)
    inside[220:292, 220:292] = True
    return inside


@pytest.mark.parametrize(
    ("turn", "patient_orientation"),
    [
        (lambda a: a, ["L", "F"]),
        (lambda a: a[:, ::-1], ["R", "F"]),
        (lambda a: a[::-1], ["L", "H"]),
        (lambda a: a.T, ["F", "L"]),
    ],
)
def test_the_anatomy_aware_system_is_explained_on_the_joints_own_side(
    tmp_path: Path, turn: Callable[[Any], Any], patient_orientation: list[str]
) -> None:
    """Its network sees the crop mirrored; a map that is what it sees comes back as the crop's own bright place."""
    bundle = explained_nets.write_anatomy_bundle(
        tmp_path / "bundle", {"fp32": explained_nets.mirror(1, tiny.CLASSIFIER)}
    )
    pixels = np.ascontiguousarray(turn(_spotted()))
    path = tiny.write_dicom(tmp_path / "a.dcm", pixels, PatientOrientation=patient_orientation)
    with Runtime(bundle, threads=1) as runtime:
        result, image, found = runtime.infer_explained(path)
        assert found is not None
        assert image is not None
        assert result.crop_px is not None
        assert found.seen.union(Box(*result.crop_px)) == Box(*result.crop_px), "the network saw a part of the crop"
    sacrum = np.where(turn(_inside_sacrum()), found.strength, 0)
    place, mirrored = (peak(np.ascontiguousarray(turn(spot(512, 512, *each)))) for each in (SPOT, ITS_MIRROR))
    coarse = max(found.seen.width, found.seen.height) / max(tiny.CLASSIFIER)
    assert np.abs(np.subtract(peak(sacrum), place)).max() <= 1.5 * coarse
    assert np.abs(np.subtract(peak(sacrum), mirrored)).max() > 10 * coarse, "negative control: the other side"


@pytest.mark.parametrize("system", sorted(explained_nets.WHOLE_IMAGE))
def test_systems_that_see_the_whole_image_are_explained_on_it(tmp_path: Path, system: str) -> None:
    channels = explained_nets.WHOLE_IMAGE[system]
    mirror = explained_nets.mirror(channels, (96, 120))
    bundle = explained_nets.write_whole_image_bundle(tmp_path / "bundle", system, mirror)
    if channels == 3 and system.startswith("fu"):
        units = drawn_slice() * 0
        units[60:76, 170:186] = 900
        path, place = write_slice(tmp_path / "a.dcm", units), (68, 178)
    else:
        pixels = np.full((400, 500), 1000, np.uint16)
        pixels[100:125, 380:405] = 4000
        path, place = tiny.write_dicom(tmp_path / "a.dcm", pixels), (112, 392)
    with Runtime(bundle, threads=1) as runtime:
        result, _, found = runtime.infer_explained(path)
    assert found is not None
    assert result.crop_px is None
    middle = (1 + np.median(found.strength)) / 2
    bright = np.argwhere(found.strength > middle).mean(axis=0)
    assert np.abs(bright - place).max() <= 3
    assert found.strength[place] > middle
    assert found.strength[place[0], -1 - place[1]] < middle, "negative control: the mirrored place is dark"


def test_the_explanation_changes_no_result(tmp_path: Path) -> None:
    bundle = explained_nets.write_anatomy_bundle(tmp_path / "b", {"fp32": explained_nets.convolutional()})
    path = tiny.write_dicom(tmp_path / "a.dcm")
    with Runtime(bundle, threads=1) as runtime:
        plain, (explained_result, _, found) = runtime.infer(path), runtime.infer_explained(path)
    assert tiny.without_timings(plain) == tiny.without_timings(explained_result)
    assert found is not None
    assert (found.class_index, found.class_name) == (1, "r-axSpA")


def test_a_bundle_that_cannot_explain_is_refused_and_says_how_to_get_one(tmp_path: Path) -> None:
    path = tiny.write_dicom(tmp_path / "a.dcm")
    with Runtime(tiny.write_bundle(tmp_path / "plain")) as runtime:
        assert runtime.infer(path).state is not State.NOT_ASSESSABLE
        with pytest.raises(UsageError, match=r"no explanation output.*python -m export explain"):
            runtime.infer_explained(path)
    with (
        Runtime(write_detector_bundle(tmp_path / "detector")) as runtime,
        pytest.raises(UsageError, match=r"noh2021 has no explanation.*--overlay"),
    ):
        runtime.infer_explained(path)


def test_a_class_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    bundle = explained_nets.write_anatomy_bundle(tmp_path / "b", {"fp32": explained_nets.convolutional()})
    with Runtime(bundle, threads=1) as runtime, pytest.raises(UsageError, match="no class 2"):
        runtime.infer_explained(tiny.write_dicom(tmp_path / "a.dcm"), class_index=2)


def test_where_the_classifier_did_not_run_there_is_no_explanation(tmp_path: Path) -> None:
    bundle = explained_nets.write_anatomy_bundle(tmp_path / "b", {"fp32": explained_nets.convolutional()})
    halved = tiny.drawn_pelvis()
    halved[halved == tiny.LEVELS[3]] = tiny.LEVELS[1]
    no_right_ilium = tiny.write_dicom(tmp_path / "halved.dcm", halved)
    with Runtime(bundle, threads=1) as runtime:
        result, image, found = runtime.infer_explained(no_right_ilium)
        assert (result.state, found) == (State.NOT_ASSESSABLE, None)
        assert image is not None
        result, image, found = runtime.infer_explained(tmp_path / "absent.dcm")
        assert (result.state, image, found) == (State.REFUSED, None, None)
    with Runtime(bundle, backend="null") as runtime:
        result, _, found = runtime.infer_explained(tiny.write_dicom(tmp_path / "a.dcm"))
        assert (result.reason_code, found) == ("null_backend", None)
