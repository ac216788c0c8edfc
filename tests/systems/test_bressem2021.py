"""The whole-radiograph classifiers of the paper of 2021 and of its preprint, from DICOM to report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sacro.dicom import read
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.runtime import Runtime
from edge_sacro.systems import SYSTEMS
from edge_sacro.types import State
from tests.systems.bundles import SIZE, Floats, Watcher, probability_of, write_classifier_bundle
from tests.tiny import drawn_pelvis, without_timings, write_dicom

MEAN = np.array([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = np.array([0.229, 0.224, 0.225])[:, None, None]
ROUNDING = 2e-6
"""Of values up to 2.7 in single precision."""


def _pillow_squish(image: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """One axis after the other, along the rows first."""
    pillow = pytest.importorskip("PIL.Image")
    wide = pillow.fromarray(image).resize((SIZE, image.shape[0]), pillow.Resampling.BILINEAR)
    return np.asarray(wide.resize((SIZE, SIZE), pillow.Resampling.BILINEAR))


def _seen(folder: Path, file: Path) -> tuple[Floats, float | None]:
    watcher = Watcher()
    with Runtime(write_classifier_bundle(folder, "bressem2021"), threads=1, opener=watcher) as runtime:
        probability = runtime.infer(file).probability
    (seen,) = watcher.engines["classifier"].seen
    return seen, probability


def test_the_network_sees_the_squished_radiograph_in_imagenets_statistics(tmp_path: Path) -> None:
    file = write_dicom(tmp_path / "a.dcm", drawn_pelvis(480, 640))
    seen, probability = _seen(tmp_path / "bundle", file)
    gray = _pillow_squish(eight_bit_from_radiograph(read(file)))
    expected = (gray[None] / 255.0 - MEAN) / DEVIATION
    assert seen.shape == (1, 3, SIZE, SIZE)
    assert np.abs(seen[0] - expected).max() < ROUNDING
    assert np.abs(seen[0, ::-1] - expected).max() > 0.1, "negative control: channels in BGR order"
    assert np.abs(seen[0] - (gray[None] / 255.0 - 0.5) / 0.5).max() > 0.1, "negative control: other statistics"
    assert probability == pytest.approx(probability_of(seen), abs=6e-5)


def test_a_resize_that_keeps_the_aspect_or_does_not_smooth_is_another_input(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    noise = np.random.default_rng(3).integers(0, 4096, (400, 700)).astype(np.uint16)
    file = write_dicom(tmp_path / "a.dcm", noise)
    seen, _ = _seen(tmp_path / "bundle", file)
    image = eight_bit_from_radiograph(read(file))
    as_seen = seen[0, 0] * 0.229 + 0.485
    assert np.abs(as_seen - _pillow_squish(image) / 255.0).max() < ROUNDING
    unsmoothed = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) / 255.0
    assert np.abs(as_seen - unsmoothed).max() > 0.2
    kept = np.zeros((SIZE, SIZE))
    rows = SIZE * 400 // 700
    kept[:rows] = cv2.resize(image, (SIZE, rows), interpolation=cv2.INTER_AREA) / 255.0
    assert np.abs(as_seen - kept).max() > 0.2


def test_a_radiograph_stored_mirrored_gives_the_same_answer(tmp_path: Path) -> None:
    plain, _ = _seen(tmp_path / "one", write_dicom(tmp_path / "a.dcm"))
    mirrored = np.ascontiguousarray(drawn_pelvis()[:, ::-1])
    turned, _ = _seen(tmp_path / "two", write_dicom(tmp_path / "b.dcm", mirrored, PatientOrientation=["R", "F"]))
    silent, _ = _seen(tmp_path / "three", write_dicom(tmp_path / "c.dcm", mirrored))
    assert np.array_equal(plain, turned)
    assert not np.array_equal(plain, silent), "negative control: mirrored without saying so"


def test_an_explanation_output_changes_no_answer(tmp_path: Path) -> None:
    file = write_dicom(tmp_path / "a.dcm")
    answers = []
    for explanation in (False, True):
        folder = write_classifier_bundle(tmp_path / str(explanation), "bressem2021", explanation)
        with Runtime(folder, threads=1) as runtime:
            answers.append(without_timings(runtime.infer(file)))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("system", ["bressem2021", "poddubnyy2020"])
def test_no_joint_is_located_and_no_flag_of_another_paper_is_set(tmp_path: Path, system: str) -> None:
    with Runtime(write_classifier_bundle(tmp_path / "bundle", system), threads=1) as runtime:
        result = runtime.infer(write_dicom(tmp_path / "a.dcm"))
    assert result.system == system
    assert result.state in {State.POSITIVE, State.NEGATIVE}
    assert (result.joints.left.state, result.joints.left.box_px) == (State.NOT_ASSESSABLE, None)
    assert "locates no joint" in (result.joints.right.reason or "")
    assert (result.crop_px, result.high_risk) == (None, None)


def test_cut_offs_of_the_paper_and_of_the_preprint_are_those_printed_and_never_mixed() -> None:
    later, preprint = (
        {point.name: point for point in SYSTEMS[name].operating_points} for name in ("bressem2021", "poddubnyy2020")
    )
    assert {name: point.threshold for name, point in later.items()} == {
        "sensitivity": 0.475,
        "specificity": 0.787,
        "balanced": 0.724,
    }
    assert {name: point.threshold for name, point in preprint.items()} == {
        "validation-sensitivity": 0.606,
        "validation-specificity": 0.814,
        "validation-balanced": 0.706,
        "test-sensitivity": 0.58,
        "test-specificity": 0.834,
        "test-balanced": 0.791,
    }
    assert not set(later) & set(preprint)
    for name, point in preprint.items():
        assert ("test data" in point.source) == name.startswith("test-")
        assert "medRxiv" in point.source
    assert all("validation dataset" in point.source for point in later.values())
