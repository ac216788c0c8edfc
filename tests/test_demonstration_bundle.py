"""The bundle that ships, from DICOM to report: on phantoms, over threads and processes, and on a real radiograph."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from edge_sacro.bundle import load_bundle
from edge_sacro.phantom import PhantomOptions, write_study
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from edge_sacro.types import Box, State
from tests.conftest import ROOT

SEED = 920_000
"""Phantoms from here on were seen by no training."""

LOSSLESS = ("UNC", "RLE", "JPLL", "JLSL", "J2KR")
LOSSY = ("JPLY", "JLSN", "J2KI")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Four phantoms: healthy twice, diseased twice; their folder and truth."""
    folder = tmp_path_factory.mktemp("study")
    images = []
    for index, grade in enumerate((0, 0, 3, 3)):
        options = PhantomOptions(left_grade=grade, right_grade=grade)
        truth = write_study(folder / str(index), 1, SEED + index, options)
        (image,) = json.loads(truth.read_text())["images"]
        images.append({**image, "path": folder / str(index) / image["file"]})
    return {"folder": folder, "images": images}


def _comparable(result: Result) -> dict[str, Any]:
    return result.model_dump(mode="json", exclude={"timings_ms": True, "source": {"path", "sha256"}})


def test_every_word_of_the_bundle_says_what_it_is() -> None:
    manifest = load_bundle().manifest
    assert manifest.demonstration
    assert "simulated radiographs" in manifest.statement
    assert "not for clinical use" in manifest.statement
    assert manifest.guard_band.half_width > 0, "the guard band was measured"
    assert manifest.operating_point("accuracy").threshold == 0.59


def test_joints_are_found_and_named_for_the_patients_sides(study: dict[str, Any]) -> None:
    with Runtime() as runtime:
        for image in study["images"]:
            result = runtime.infer(image["path"])
            assert result.state is not State.NOT_ASSESSABLE, result.reason
            for side, other in (("left", "right"), ("right", "left")):
                found = getattr(result.joints, side).box_px
                assert Box(*found).iou(Box(*image["joints"][side]["box_px"])) > 0.6
                assert Box(*found).iou(Box(*image["joints"][other]["box_px"])) == 0, "negative control: the other side"


@pytest.mark.parametrize("letter", ["L", "R"])
def test_a_burned_in_marker_lies_on_the_side_whose_joint_bears_its_name(tmp_path: Path, letter: str) -> None:
    """The marker is drawn by the phantom; the joint is named by the header. Stored mirrored, both move together."""
    write_study(tmp_path / "a", 1, SEED + 9, PhantomOptions(marker=letter))  # type: ignore[arg-type]
    (file,) = (tmp_path / "a").glob("*.dcm")
    (image,) = json.loads((tmp_path / "a" / "truth.json").read_text())["images"]
    assert image["parameters"]["marker"]["letter"] == letter
    marker_at = image["parameters"]["marker"]["at"][0] * image["columns"]
    dataset = pydicom.dcmread(file)
    dataset.PixelData = np.ascontiguousarray(dataset.pixel_array[:, ::-1]).tobytes()
    dataset.PatientOrientation = ["R", "F"]
    dataset.save_as(tmp_path / "mirrored.dcm")
    dataset.PatientOrientation = ["L", "F"]
    dataset.save_as(tmp_path / "wrong.dcm")

    def side(path: Path) -> str:
        joints = runtime.infer(path).joints
        box = (joints.left if letter == "L" else joints.right).box_px
        assert box is not None
        return "image right" if (box[0] + box[2]) / 2 > image["columns"] / 2 else "image left"

    with Runtime() as runtime:
        usual = "image right" if marker_at > image["columns"] / 2 else "image left"
        other = "image left" if usual == "image right" else "image right"
        assert side(file) == usual
        assert side(tmp_path / "mirrored.dcm") == other, "the marker is stored on the other side of the image now"
        assert side(tmp_path / "wrong.dcm") == usual, "negative control: a header that lies about the mirroring"


def test_disease_raises_the_probability(study: dict[str, Any]) -> None:
    with Runtime() as runtime:
        probabilities = [runtime.infer(image["path"]).probability for image in study["images"]]
    healthy, diseased = probabilities[:2], probabilities[2:]
    assert max(filter(None, healthy), default=0.0) < min(filter(None, diseased), default=0.0)


def test_repeated_runs_threads_and_processes_agree_to_the_last_digit(study: dict[str, Any]) -> None:
    path = study["images"][2]["path"]
    answers = []
    for threads in (1, 2, 3, 1):
        with Runtime(threads=threads) as runtime:
            answers += [_comparable(runtime.infer(path)), _comparable(runtime.infer(path))]
    command = [sys.executable, "-m", "edge_sacro.cli", "infer", str(path), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    (result,) = json.loads(done.stdout)["results"]
    answers.append(_comparable(Result.model_validate_json(json.dumps(result))))
    assert all(answer == answers[0] for answer in answers)
    with Runtime(threads=1) as runtime:
        assert _comparable(runtime.infer(study["images"][0]["path"])) != answers[0], "negative control"


@pytest.mark.shared
def test_a_real_radiograph_shows_its_left_joint_and_only_that(shared_dir: Path) -> None:
    """RG2 is a one-sided view: the left joint is whole, the right one is cut off by the collimator."""
    with Runtime() as runtime:
        for name in (*LOSSLESS, *LOSSY):
            result = runtime.infer(shared_dir / "data" / "wg04_rg2" / f"RG2_{name}.dcm")
            assert result.state is State.NOT_ASSESSABLE, name
            assert result.joints.left.state is State.LOCATED, (name, result.joints.left.reason)
            assert result.joints.right.state is State.NOT_ASSESSABLE, name
            assert Box(*result.joints.left.box_px or []).iou(Box(550, 290, 690, 575)) > 0.3, name


@pytest.mark.shared
def test_the_lossless_syntaxes_of_a_radiograph_give_identical_reports(shared_dir: Path) -> None:
    with Runtime() as runtime:
        results = [runtime.infer(shared_dir / "data" / "wg04_rg2" / f"RG2_{name}.dcm") for name in LOSSLESS]
        lossy = runtime.infer(shared_dir / "data" / "wg04_rg2" / "RG2_JPLY.dcm")
    first = _comparable(results[0])
    first["source"].pop("sop_instance_uid")
    for result in results[1:]:
        other = _comparable(result)
        other["source"].pop("sop_instance_uid")
        assert other == first
    assert _comparable(lossy)["notes"] != first["notes"], "negative control: a lossy file says that it is one"
