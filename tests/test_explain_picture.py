"""``edge-sacro infer --explain``: what is drawn, what is written, and what is refused before anything runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result
from skimage.color import rgb2lab

from edge_sacro import overlay
from edge_sacro.cli import main
from edge_sacro.orient import canonical_from_stored
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.runtime import Runtime
from tests import explained_nets, tiny
from tests.systems.bundles import write_detector_bundle

DICHROMACY = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Linear RGB as a dichromat sees it: Machado GM et al., IEEE Trans Vis Comput Graph 15(6), 2009, severity 1."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    classifier = explained_nets.convolutional()
    return explained_nets.write_anatomy_bundle(tmp_path_factory.mktemp("explained") / "bundle", {"fp32": classifier})


def infer(bundle: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["infer", "--bundle", str(bundle), "--threads", "1", *map(str, arguments)])


def read(path: Path) -> npt.NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def part_of_radiograph(picture: npt.NDArray[np.uint8], gray: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The rows of the picture that are the radiograph: where its left edge, which no map reaches, fits best."""
    rows = gray.shape[0]
    starts = range(picture.shape[0] - rows + 1)
    fits = [float((picture[first : first + rows, :20] == gray[:, :20, None]).mean()) for first in starts]
    assert max(fits) > 0.95, "the radiograph is in the picture, at its own size"
    first = int(np.argmax(fits))
    return picture[first : first + rows]


def test_the_map_is_drawn_on_source_pixels_as_opaque_as_it_is_strong(bundle: Path, tmp_path: Path) -> None:
    path, target = tiny.write_dicom(tmp_path / "a.dcm"), tmp_path / "out.png"
    assert infer(bundle, path, "--explain", target).exit_code == 0
    with Runtime(bundle, threads=1) as runtime:
        _, image, found = runtime.infer_explained(path)
    assert found is not None
    assert image is not None
    gray = eight_bit_from_radiograph(image)
    shown = part_of_radiograph(read(target), gray).astype(int)
    away = np.ones(gray.shape, bool)
    away[found.seen.y0 - 60 : found.seen.y1 + 60, found.seen.x0 - 60 : found.seen.x1 + 60] = False
    away[200:300, :60] = away[200:300, -60:] = False
    assert (shown[away] == gray[away][:, None]).all(), "where the network saw nothing the radiograph is as it was"
    inside = np.zeros(gray.shape, bool)
    inside[found.seen.y0 + 4 : found.seen.y1 - 4, found.seen.x0 + 4 : found.seen.x1 - 4] = True
    changed = np.abs(shown - gray[..., None]).max(axis=2)
    strong, weak = inside & (found.strength > 0.9), inside & (found.strength < 0.1)
    assert changed[strong].mean() > 3 * changed[weak].mean()
    row, column = np.unravel_index(int(np.where(inside, found.strength, 0).argmax()), gray.shape)
    strength = float(found.strength[row, column])
    colour = cv2.applyColorMap(np.full((1, 1), round(255 * strength), np.uint8), cv2.COLORMAP_VIRIDIS)[0, 0]
    expected = gray[row, column] * (1 - overlay.OPACITY * strength) + colour * overlay.OPACITY * strength
    assert np.abs(shown[row, column] - expected).max() <= 1


def test_a_mirrored_image_is_shown_the_usual_way_round_with_its_map(bundle: Path, tmp_path: Path) -> None:
    pixels = tiny.drawn_pelvis()
    usual = tiny.write_dicom(tmp_path / "a.dcm", pixels)
    mirrored = tiny.write_dicom(
        tmp_path / "b.dcm", np.ascontiguousarray(pixels[:, ::-1]), PatientOrientation=["R", "F"]
    )
    for path in (usual, mirrored):
        assert infer(bundle, path, "--explain", path.with_suffix(".png")).exit_code == 0
    np.testing.assert_array_equal(read(usual.with_suffix(".png")), read(mirrored.with_suffix(".png")))


def test_the_arrays_are_those_of_the_api_on_the_stored_grid(bundle: Path, tmp_path: Path) -> None:
    pixels = np.ascontiguousarray(tiny.drawn_pelvis()[:, ::-1])
    path = tiny.write_dicom(tmp_path / "a.dcm", pixels, PatientOrientation=["R", "F"])
    for index, name in enumerate(("nr-axSpA", "r-axSpA")):
        target = tmp_path / f"{index}.npz"
        assert infer(bundle, path, "--explain-npz", target, "--explain-class", index).exit_code == 0
        with Runtime(bundle, threads=1) as runtime:
            _, image, found = runtime.infer_explained(path, class_index=index)
        assert found is not None
        assert image is not None
        with np.load(target, allow_pickle=False) as arrays:
            np.testing.assert_array_equal(arrays["strength"], found.strength)
            np.testing.assert_array_equal(arrays["cells"], found.cells)
            assert arrays["strength"].shape == (image.rows, image.columns)
            assert float(arrays["maximum"]) == pytest.approx(found.maximum)
            assert list(arrays["seen"]) == found.seen.as_list()
            assert (int(arrays["class_index"]), str(arrays["class_name"])) == (index, name)
    first, second = (np.load(tmp_path / f"{index}.npz")["strength"] for index in (0, 1))
    assert np.abs(first - second).max() > 0.5, "another class has another map"


def test_several_go_to_a_folder_and_what_has_none_is_told(bundle: Path, tmp_path: Path) -> None:
    halved = tiny.drawn_pelvis()
    halved[halved == tiny.LEVELS[3]] = tiny.LEVELS[1]
    files = [
        tiny.write_dicom(tmp_path / "a.dcm"),
        tiny.write_dicom(tmp_path / "b.dcm", halved),
        tmp_path / "absent.dcm",
    ]
    out = tmp_path / "out"
    done = infer(bundle, *files, "--explain", out, "--explain-npz", out)
    assert sorted(path.name for path in out.iterdir()) == ["0001-a.npz", "0001-a.png"]
    assert "b.dcm: not assessable, so there is no explanation of it" in done.stderr
    assert "absent.dcm: refused, so there is no explanation of it" in done.stderr


@pytest.mark.parametrize("option", ["--explain", "--explain-npz"])
def test_a_bundle_that_cannot_explain_is_refused_before_anything_runs(tmp_path: Path, option: str) -> None:
    path, target = tiny.write_dicom(tmp_path / "a.dcm"), tmp_path / "out"
    done = infer(tiny.write_bundle(tmp_path / "plain"), path, option, target)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "has no explanation output" in done.stderr
    assert "python -m export" in done.stderr
    done = infer(write_detector_bundle(tmp_path / "detector"), path, option, target)
    assert done.exit_code == 2
    assert "detects joints" in done.stderr
    assert not target.exists()


def test_a_place_that_cannot_be_written_is_an_error_of_its_own(bundle: Path, tmp_path: Path) -> None:
    path = tiny.write_dicom(tmp_path / "a.dcm")
    for option, suffix in (("--explain", "png"), ("--explain-npz", "npz")):
        done = infer(bundle, path, option, tmp_path / "no" / f"out.{suffix}")
        assert done.exit_code == 60
        assert "probability" in done.stdout, "the result is printed all the same"
        done = infer(bundle, path, option, path)
        assert done.exit_code == 60
        assert "no folder can be made there" in done.stderr


def test_the_words_say_what_the_colours_are_and_are_not(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = overlay._write

    def noted(picture: Any, text: str, *rest: Any) -> None:
        written.append(text)
        write(picture, text, *rest)

    monkeypatch.setattr(overlay, "_write", noted)
    path = tiny.write_dicom(tmp_path / "a.dcm")
    with Runtime(bundle, threads=1) as runtime:
        result, image, found = runtime.infer_explained(path)
        assert found is not None
        assert image is not None
        report = runtime.report([result])
        overlay.explanation_picture(found, result, image, report)
        words = " ".join(written)
        for said in ("r-axSpA", "Grad-CAM", "outlines no lesion", "8 x 12 cells", f"{found.maximum:.3g}", "0"):
            assert said in words
        assert f"{found.on_padding:.0%} of the map lies on padding" in words
        assert report.bundle.statement in words
        assert {"NEGATIVE for radiographic sacroiliitis", "POSITIVE for radiographic sacroiliitis"} & set(written)
        assert "0 everywhere" not in words
        written.clear()
        nothing = replace(found, on_seen=found.on_seen * 0, maximum=0.0)
        picture = overlay.explanation_picture(nothing, result, image, report)
        assert "0 everywhere" in " ".join(written)
    gray = canonical_from_stored(eight_bit_from_radiograph(image), image.orientation)
    colours = part_of_radiograph(picture, gray)
    assert (colours.max(axis=2) == colours.min(axis=2)).all(), "a map of zeros colours nothing"


def test_an_image_of_any_shape_has_a_picture(tmp_path: Path) -> None:
    mirror = explained_nets.mirror(1, (32, 48))
    bundle = explained_nets.write_whole_image_bundle(tmp_path / "bundle", "dorfner2024-standard", mirror)
    for rows, columns in ((3200, 256), (256, 3200), (1600, 1500)):
        pixels = np.random.default_rng(0).integers(0, 4095, (rows, columns)).astype(np.uint16)
        path = tiny.write_dicom(tmp_path / "a.dcm", pixels)
        assert infer(bundle, path, "--explain", tmp_path / "a.png").exit_code == 0
        picture = read(tmp_path / "a.png")
        assert picture.shape[1] == columns
        assert picture.shape[0] > rows


def _lightness(table: npt.NDArray[np.uint8], matrix: list[list[float]] | None) -> npt.NDArray[np.float64]:
    """CIE L* of a BGR table, as a dichromat sees it."""
    rgb = table[:, ::-1] / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(matrix or np.eye(3)).T, 0, 1)
    gamma = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    return np.asarray(rgb2lab(gamma[None])[0, :, 0])


@pytest.mark.parametrize("vision", [None, *DICHROMACY])
def test_stronger_is_lighter_for_colour_blind_readers_too(vision: str | None) -> None:
    matrix = DICHROMACY.get(vision or "")
    levels = np.arange(256, dtype=np.uint8)[:, None]
    steps = np.diff(_lightness(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[:, 0], matrix)[::8])
    assert steps.min() > 0.5
    jet = np.diff(_lightness(cv2.applyColorMap(levels, cv2.COLORMAP_JET)[:, 0], matrix)[::8])
    assert jet.min() < -0.5, "negative control"


def test_the_maps_colours_are_nowhere_gray() -> None:
    levels = np.arange(256, dtype=np.uint8)[:, None]
    table = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[:, 0].astype(int)
    assert np.ptp(table, axis=1).min() > 40
    cividis = cv2.applyColorMap(levels, cv2.COLORMAP_CIVIDIS)[:, 0].astype(int)
    assert np.ptp(cividis, axis=1).min() < 15, "negative control: cividis passes through gray"
