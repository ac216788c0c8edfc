"""The detector, from DICOM to report: its input, its boxes in the stored image, its joints and their states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import map_coordinates

from edge_sacro.console import text_from_report
from edge_sacro.dicom import read
from edge_sacro.overlay import overlay_from_result
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.report import Result, json_from_report
from edge_sacro.runtime import Runtime
from edge_sacro.types import State
from tests.conftest import ROOT
from tests.systems.bundles import (
    LEFT_BOX,
    RIGHT_BOX,
    SQUARE,
    Watcher,
    constant_detector,
    write_detector_bundle,
)
from tests.tiny import write_dicom

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
RESIZED = 2e-5
ROWS, COLUMNS = 300, 400
NOWHERE = (0.0, 0.0, 0.0, 0.0)

Gray = npt.NDArray[np.uint16]


def _halves(left: int = 1000, right: int = 3500) -> Gray:
    """A radiograph whose image halves differ, with enough of each extreme for the normaliser to keep them apart."""
    image = np.full((ROWS, COLUMNS), left, np.uint16)
    image[:, COLUMNS // 2 :] = right
    image[100:200, 20:40] = 300
    image[100:200, -40:-20] = 4000
    return image


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runtime, Watcher]:
    watcher = Watcher()
    return Runtime(write_detector_bundle(tmp_path_factory.mktemp("noh") / "bundle"), threads=1, opener=watcher), watcher


def _answer(folder: Path, scores: Any, boxes: Any, file: Path, **changes: Any) -> Result:
    """What the runtime says where the detector answers so: scores and boxes by class, two of each."""
    with Runtime(write_detector_bundle(folder, constant_detector(scores, boxes), **changes), threads=1) as runtime:
        return runtime.infer(file)


@pytest.fixture(scope="module")
def radiograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dicom(tmp_path_factory.mktemp("dx") / "a.dcm", _halves())


def test_the_network_sees_the_api_s_input(watched: tuple[Runtime, Watcher], tmp_path: Path) -> None:
    noise = np.random.default_rng(5).integers(0, 4096, (ROWS, COLUMNS)).astype(np.uint16)
    file = write_dicom(tmp_path / "a.dcm", noise)
    watched[0].infer(file)
    seen = watched[1].engines["detector"].seen[-1][0]
    gray = eight_bit_from_radiograph(read(file)).astype(np.float64)
    rows = ROWS * SQUARE // COLUMNS
    grid = np.meshgrid(np.arange(rows) * ROWS / rows, np.arange(SQUARE) * COLUMNS / SQUARE, indexing="ij")
    resized = map_coordinates(gray, grid, order=1, mode="nearest")
    expected = np.zeros((3, SQUARE, SQUARE))
    for channel in range(3):
        expected[channel, :rows] = (resized / 255 - MEAN[channel]) / DEVIATION[channel]
    assert np.abs(seen - expected).max() < RESIZED
    black = np.zeros((3, SQUARE, SQUARE))
    for channel in range(3):
        padded = np.zeros((SQUARE, SQUARE))
        padded[:rows] = resized
        black[channel] = (padded / 255 - MEAN[channel]) / DEVIATION[channel]
    assert np.abs(seen - black).max() > 1, "negative control: padded before it is normalised"
    assert np.abs(seen - expected[::-1]).max() > 0.1, "negative control: channels in BGR order"
    centred = cv2.resize(gray, (SQUARE, rows), interpolation=cv2.INTER_LINEAR)
    half = (centred / 255 - MEAN[0]) / DEVIATION[0]
    assert np.abs(seen[0, :rows] - half).max() > 0.5, "negative control: half-pixel centres"


def test_each_joint_has_its_box_its_probability_and_its_state(
    watched: tuple[Runtime, Watcher], radiograph: Path
) -> None:
    """The bright half of the image is the patient's left."""
    result = watched[0].infer(radiograph)
    seen = watched[1].engines["detector"].seen[-1][0].astype(np.float64)
    disease = {
        "right": 1 / (1 + np.exp(-0.6 * seen[:, :, : SQUARE // 2].mean())),
        "left": 1 / (1 + np.exp(-0.6 * seen[:, :, SQUARE // 2 :].mean())),
    }
    left, right = result.joints.left, result.joints.right
    # The score of normal is one minus that of sacroiliitis here, so that the share is the score itself.
    assert left.probability == pytest.approx(disease["left"], abs=6e-5)
    assert right.probability == pytest.approx(disease["right"], abs=6e-5)
    assert (left.state, right.state) == (State.POSITIVE, State.NEGATIVE)
    assert (result.state, result.probability) == (State.POSITIVE, left.probability)
    scale = COLUMNS
    assert left.box_px == [round(RIGHT_BOX[each] * scale) for each in (1, 0, 3, 2)]
    assert right.box_px == [round(LEFT_BOX[each] * scale) for each in (1, 0, 3, 2)]
    assert left.box_mm == [0.25 * left.box_px[0], 0.5 * left.box_px[1], 0.25 * left.box_px[2], 0.5 * left.box_px[3]]
    assert "above the cut-off 0.5 (best_box)" in (left.reason or "")
    assert set(result.timings_ms) == {"read", "normalise", "detect", "locate", "total"}
    assert (result.crop_px, result.high_risk, result.reason_code) == (None, None, None)


@pytest.mark.parametrize(
    ("orientation", "stored", "box"),
    [
        (["R", "F"], lambda image: image[:, ::-1], lambda x0, y0, x1, y1: [COLUMNS - x1, y0, COLUMNS - x0, y1]),
        (["L", "H"], lambda image: image[::-1], lambda x0, y0, x1, y1: [x0, ROWS - y1, x1, ROWS - y0]),
        (["F", "L"], lambda image: image.T, lambda x0, y0, x1, y1: [y0, x0, y1, x1]),
    ],
    ids=["RF", "LH", "FL"],
)
def test_left_is_the_patients_left_however_the_image_is_stored(
    watched: tuple[Runtime, Watcher], radiograph: Path, tmp_path: Path, orientation: list[str], stored: Any, box: Any
) -> None:
    usual = watched[0].infer(radiograph)
    pixels = np.ascontiguousarray(stored(_halves()))
    result = watched[0].infer(write_dicom(tmp_path / "a.dcm", pixels, PatientOrientation=orientation))
    for name in ("left", "right"):
        found, expected = getattr(result.joints, name), getattr(usual.joints, name)
        assert (found.state, found.probability) == (expected.state, expected.probability)
        assert found.box_px == box(*expected.box_px)
    unsaid = watched[0].infer(write_dicom(tmp_path / "b.dcm", pixels))
    same = [getattr(unsaid.joints, name).box_px for name in ("left", "right")] == [
        getattr(result.joints, name).box_px for name in ("left", "right")
    ]
    assert not same, "negative control: stored so without saying so"


@pytest.mark.parametrize(
    ("normal", "disease", "probability", "state"),
    [
        (0.0, 0.6, 1.0, State.POSITIVE),
        (0.6, 0.0, 0.0, State.NEGATIVE),
        (0.8, 0.6, 0.4286, State.NEGATIVE),
        (0.6, 0.8, 0.5714, State.POSITIVE),
        (0.7, 0.7, 0.5, State.NEGATIVE),
        (0.45, 0.9, 0.6667, State.POSITIVE),
    ],
)
def test_the_class_of_the_best_box_decides(
    tmp_path: Path, radiograph: Path, normal: float, disease: float, probability: float, state: State
) -> None:
    """Sacroiliitis above 0.5 is negative where normal scores higher: its score alone would not do."""
    boxes = [[LEFT_BOX, RIGHT_BOX]] * 2
    result = _answer(tmp_path / "bundle", [[normal, 0.9], [disease, 0.0]], boxes, radiograph)
    assert (result.joints.right.probability, result.joints.right.state) == (probability, state)
    assert (result.joints.left.probability, result.joints.left.state) == (0.0, State.NEGATIVE)
    assert (result.probability, result.state) == (probability, state)


def test_the_other_class_counts_where_it_overlaps_the_joint_alone(tmp_path: Path, radiograph: Path) -> None:
    elsewhere = (0.32, 0.40, 0.58, 0.50)
    boxes = [[elsewhere, RIGHT_BOX], [LEFT_BOX, RIGHT_BOX]]
    result = _answer(tmp_path / "bundle", [[0.45, 0.9], [0.6, 0.0]], boxes, radiograph)
    assert result.joints.right.probability == 1.0


def test_a_joint_inside_the_guard_band_is_borderline(tmp_path: Path, radiograph: Path) -> None:
    band = {"half_width": 0.02, "source": "test"}
    boxes = [[LEFT_BOX, RIGHT_BOX]] * 2
    result = _answer(tmp_path / "a", [[0.7, 0.9], [0.71, 0.1]], boxes, radiograph, guard_band=band)
    assert (result.joints.right.state, result.joints.left.state) == (State.BORDERLINE, State.NEGATIVE)
    assert result.state is State.BORDERLINE
    other = _answer(tmp_path / "b", [[0.7, 0.1], [0.71, 0.9]], boxes, radiograph, guard_band=band)
    assert (other.joints.right.state, other.joints.left.state) == (State.BORDERLINE, State.POSITIVE)
    assert other.state is State.POSITIVE


def test_one_positive_joint_makes_the_image_positive_without_the_other(tmp_path: Path, radiograph: Path) -> None:
    boxes = [[LEFT_BOX, NOWHERE]] * 2
    result = _answer(tmp_path / "bundle", [[0.1, 0.0], [0.9, 0.0]], boxes, radiograph)
    assert (result.state, result.probability, result.reason_code) == (State.POSITIVE, 0.9, None)
    assert "left joint: the detector found no joint" in result.reason
    assert (result.joints.left.state, result.joints.left.probability) == (State.NOT_ASSESSABLE, None)
    assert result.joints.right.state is State.POSITIVE


@pytest.mark.parametrize("half_width", [0.0, 0.2])
def test_one_joint_that_is_not_positive_says_nothing_of_a_missing_one(
    tmp_path: Path, radiograph: Path, half_width: float
) -> None:
    boxes = [[LEFT_BOX, NOWHERE]] * 2
    band = {"half_width": half_width, "source": "test"}
    result = _answer(tmp_path / "bundle", [[0.9, 0.0], [0.5, 0.0]], boxes, radiograph, guard_band=band)
    assert (result.state, result.probability) == (State.NOT_ASSESSABLE, None)
    assert result.reason_code == "joint_not_assessable"
    assert result.joints.right.state is (State.BORDERLINE if half_width else State.NEGATIVE)
    assert result.joints.right.probability == 0.3571


def test_no_box_of_the_least_score_is_not_assessable_and_never_negative(tmp_path: Path, radiograph: Path) -> None:
    boxes = [[LEFT_BOX, RIGHT_BOX]] * 2
    result = _answer(tmp_path / "bundle", [[0.49, 0.49], [0.49, 0.4]], boxes, radiograph)
    assert (result.state, result.reason_code, result.probability) == (
        State.NOT_ASSESSABLE,
        "joint_not_assessable",
        None,
    )
    assert "found no joint" in (result.joints.left.reason or "")


def test_the_null_backend_runs_every_stage_and_decides_nothing(tmp_path: Path, radiograph: Path) -> None:
    with Runtime(write_detector_bundle(tmp_path / "bundle"), backend="null") as runtime:
        result = runtime.infer(radiograph)
    assert (result.state, result.reason_code) == (State.NOT_ASSESSABLE, "null_backend")
    assert {"read", "normalise", "detect", "locate", "total"} == set(result.timings_ms)


def test_the_report_meets_its_schema_and_people_see_each_joints_state(
    watched: tuple[Runtime, Watcher], radiograph: Path
) -> None:
    result, image = watched[0].infer_with_radiograph(radiograph)
    report = watched[0].report([result])
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    document = json.loads(json_from_report(report))
    jsonschema.validate(document, schema)
    joint = document["results"][0]["joints"]["left"]
    assert (joint["state"], joint["probability"] > 0.5) == ("positive", True)
    assert f"positive {result.joints.left.box_px}" in text_from_report(report)
    assert image is not None
    assert overlay_from_result(result, image, report).ndim == 3
