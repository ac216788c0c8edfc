"""CT slices, from DICOM to report, for each of the five networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom.data
import pytest
from scipy.ndimage import map_coordinates

from edge_sacro.runtime import Runtime
from edge_sacro.systems import SYSTEMS
from edge_sacro.types import State
from tests.systems.bundles import SIZE, Watcher, drawn_slice, probability_of, write_classifier_bundle, write_slice
from tests.tiny import write_dicom

MEAN = np.array([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = np.array([0.229, 0.224, 0.225])[:, None, None]
RESIZED = 2e-5
"""OpenCV's weights and sums are in single precision."""

NAMES = ["densenet121", "inception_v4", "resnet101", "resnext50", "vgg16"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier_bundle(tmp_path_factory.mktemp("fu2024") / "bundle", "fu2024-resnext50")


@pytest.fixture(scope="module")
def watched(bundle: Path) -> tuple[Runtime, Watcher]:
    watcher = Watcher()
    return Runtime(bundle, threads=1, opener=watcher), watcher


def _seen(watched: tuple[Runtime, Watcher], file: Path) -> npt.NDArray[np.float32]:
    runtime, watcher = watched
    assert runtime.infer(file).state in {State.POSITIVE, State.NEGATIVE}
    return watcher.engines["classifier"].seen[-1]


def _bilinear(image: npt.NDArray[np.float64], offset: float = 0.5) -> npt.NDArray[np.float64]:
    """Half-pixel centres, no smoothing; other offsets are other resizes."""
    rows, columns = ((np.arange(SIZE) + offset) * side / SIZE - offset for side in image.shape)
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.asarray(map_coordinates(image, grid, order=1, mode="nearest"))


def test_the_network_sees_the_windowed_slice_in_imagenets_statistics(
    watched: tuple[Runtime, Watcher], tmp_path: Path
) -> None:
    file = write_slice(tmp_path / "a.dcm")
    seen = _seen(watched, file)
    window = np.clip((drawn_slice().astype(np.float64) + 500) / 1800, 0, 1)
    expected = (_bilinear(window)[None] - MEAN) / DEVIATION
    assert np.abs(seen[0] - expected).max() < RESIZED
    for control in ((_bilinear(window, 0.0)[None] - MEAN) / DEVIATION, expected[::-1]):
        assert np.abs(seen[0] - control).max() > 0.05, "negative control: asymmetric resize, channels in BGR order"
    before = np.clip((_bilinear(drawn_slice().astype(np.float64)) + 500) / 1800, 0, 1)
    control = (before[None] - MEAN) / DEVIATION
    assert np.abs(seen[0] - control).max() > 0.05, "negative control: resized before the window clips"
    assert watched[0].infer(file).probability == pytest.approx(probability_of(seen), abs=6e-5)


@pytest.mark.parametrize(
    ("cosines", "stored"),
    [
        ([1, 0, 0, 0, 1, 0], lambda image: image),
        ([-1, 0, 0, 0, 1, 0], lambda image: image[:, ::-1]),
        ([1, 0, 0, 0, -1, 0], lambda image: image[::-1]),
        ([-1, 0, 0, 0, -1, 0], lambda image: image[::-1, ::-1]),
        ([0, 1, 0, 1, 0, 0], lambda image: image.T),
        ([0, -1, 0, -1, 0, 0], lambda image: image[::-1, ::-1].T),
    ],
    ids=["LP", "RP", "LA", "RA", "PL", "AR"],
)
def test_the_slice_is_seen_the_usual_way_however_it_is_stored(
    watched: tuple[Runtime, Watcher], tmp_path: Path, cosines: list[int], stored: Any
) -> None:
    usual = _seen(watched, write_slice(tmp_path / "usual.dcm"))
    units = np.ascontiguousarray(stored(drawn_slice()))
    said = _seen(watched, write_slice(tmp_path / "a.dcm", units, ImageOrientationPatient=cosines))
    assert np.array_equal(said, usual)
    if cosines != [1, 0, 0, 0, 1, 0]:
        unsaid = _seen(watched, write_slice(tmp_path / "b.dcm", units))
        assert not np.array_equal(unsaid, usual), "negative control: stored so without saying so"


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "wrong_view"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "wrong_view"),
        ({"ImageOrientationPatient": None}, "wrong_view"),
        ({"BodyPartExamined": "CHEST"}, "wrong_body_part"),
        ({"RescaleIntercept": None, "RescaleSlope": None, "RescaleType": None}, "missing_attributes"),
        ({"RescaleType": "US"}, "missing_attributes"),
    ],
    ids=["coronal", "sagittal", "no orientation", "chest", "no rescale", "no Hounsfield units"],
)
def test_what_is_no_axial_slice_of_the_pelvis_is_refused(
    watched: tuple[Runtime, Watcher], tmp_path: Path, attributes: dict[str, Any], code: str
) -> None:
    result = watched[0].infer(write_slice(tmp_path / "a.dcm", **attributes))
    assert (result.state, result.reason_code, result.probability) == (State.REFUSED, code, None)
    assert result.remedy


def test_a_radiograph_is_refused_and_a_slice_is_refused_by_a_system_for_radiographs(
    watched: tuple[Runtime, Watcher], tmp_path: Path
) -> None:
    assert watched[0].infer(write_dicom(tmp_path / "a.dcm")).reason_code == "wrong_modality"
    with Runtime(write_classifier_bundle(tmp_path / "bundle", "bressem2021"), threads=1) as runtime:
        assert runtime.infer(write_slice(tmp_path / "b.dcm")).reason_code == "wrong_modality"


def test_several_frames_in_one_object_are_refused_and_not_answered_by_the_first(
    watched: tuple[Runtime, Watcher], tmp_path: Path
) -> None:
    units = np.concatenate([drawn_slice(), drawn_slice()])
    file = write_slice(tmp_path / "a.dcm", units, Rows=256, NumberOfFrames=2)
    result = watched[0].infer(file)
    assert (result.state, result.reason_code) == (State.REFUSED, "multi_frame")
    assert "2 frames" in result.reason


def test_a_real_slice_of_fewer_than_256_rows_is_refused(watched: tuple[Runtime, Watcher]) -> None:
    file = pydicom.data.get_testdata_file("CT_small.dcm", download=False)
    assert watched[0].infer(str(file)).reason_code == "size_limit"


@pytest.mark.parametrize("name", NAMES)
def test_each_network_is_a_system_whose_cut_off_says_that_it_is_ours(tmp_path: Path, name: str) -> None:
    system = SYSTEMS[f"fu2024-{name}"]
    (point,) = system.operating_points
    assert (point.threshold, "ours" in point.source, system.modalities) == (0.5, True, {"CT"})
    with Runtime(write_classifier_bundle(tmp_path / "bundle", system.name, explanation=True), threads=1) as runtime:
        result = runtime.infer(write_slice(tmp_path / "a.dcm"))
    assert (result.system, result.high_risk, result.joints.left.box_px) == (system.name, None, None)
    assert result.probability is not None
