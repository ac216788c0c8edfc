"""``edge-sacro evaluate`` from its arguments to its files and exit codes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_sacro.cli import main
from edge_sacro.errors import BudgetBroken, UsageError
from edge_sacro.evaluation.document import Document
from edge_sacro.evaluation.predictions import predictions_from_csv
from edge_sacro.phantom.study import SCHEMA
from edge_sacro.runtime import Runtime
from tests.evaluation.drawn import rows_from_scores, scores, write_csv
from tests.parity import variants
from tests.systems.bundles import write_detector_bundle
from tests.tiny import write_dicom

FAST = ("--resamples", "200")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments), *FAST])


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "mine.csv", rows_from_scores(*scores(300, apart=2.0, decimals=4)))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variants.write_images(tmp_path_factory.mktemp("study") / "images")[0].parent


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variants.write_bundle(tmp_path_factory.mktemp("bundle"))


def test_a_file_of_predictions_beside_a_published_cohort(predictions: Path, tmp_path: Path) -> None:
    outputs = ("--json", tmp_path / "e.json", "--html", tmp_path / "e.html")
    done = run(predictions, "--reference", "bressem2021/test", "--margin", "0.1", *outputs)
    assert done.exit_code == 0, done.output
    assert "of bressem2021/test by the margin 0.1" in done.output
    document = Document.model_validate_json((tmp_path / "e.json").read_text())
    assert (document.model, document.margin, document.simulated) == ("mine", 0.1, None)
    assert document.reference is not None
    assert "<svg" in (tmp_path / "e.html").read_text()


def test_two_models_in_two_files_or_in_one(predictions: Path, tmp_path: Path) -> None:
    values, positive = scores(300, apart=2.0, decimals=4)
    rows = rows_from_scores(np.round(values / 2 + 0.1, 4), positive)
    other = write_csv(tmp_path / "other.csv", rows)
    done = run(predictions, "--compare", other, "--threshold", "0.5")
    assert done.exit_code == 0, done.output
    assert "of other on 300 cases" in done.output
    assert "McNemar, exact" in done.output
    both = [{"model": "A", **row} for row in rows_from_scores(values, positive)] + [
        {"model": "B", **row} for row in rows
    ]
    one = run(write_csv(tmp_path / "both.csv", both), "--threshold", "0.5")
    assert one.exit_code == 0, one.output
    assert "of B on 300 cases" in one.output


def test_a_required_non_inferiority_ends_with_the_code_of_a_broken_budget(predictions: Path, tmp_path: Path) -> None:
    require = ("--reference", "bressem2021/test", "--require-noninferior")
    assert run(predictions, *require, "--margin", "0.2").exit_code == 0
    out = tmp_path / "e.json"
    done = run(predictions, *require, "--margin", "0.0001", "--json", out)
    assert done.exit_code == BudgetBroken.exit_code == 83
    assert out.exists(), "what was asked for is written all the same"
    assert run(predictions, "--reference", "bressem2021/test", "--margin", "0.0001").exit_code == 0
    simulated = run(predictions, *require, "--margin", "0.2", "--simulated")
    assert simulated.exit_code == 83
    assert "cannot show clinical non-inferiority" in simulated.output


def test_a_folder_is_assessed_by_the_bundle_and_said_to_be_simulated(study: Path, bundle: Path, tmp_path: Path) -> None:
    out, kept = tmp_path / "e.json", tmp_path / "kept.csv"
    options = ("--bundle", bundle, "--threads", "1", "--reference", "dorfner2024/gespic", "--json", out, "--csv", kept)
    done = run(study, *options)
    assert done.exit_code == 0, done.output
    document = Document.model_validate_json(out.read_text())
    assert document.bundle is not None
    assert (document.bundle.precision, document.bundle.demonstration) == ("fp32", True)
    (part,) = document.parts
    assert (part.cases, part.positive) == (7, 3)
    assert part.measure("AUC").value == 1, "the brighter the sacrum, the more likely; the brighter ones are positive"
    assert "above 0.59" in part.rule
    assert "cannot show clinical non-inferiority: the radiographs are simulated" in done.output
    (again,) = predictions_from_csv(kept)
    with Runtime(bundle, threads=1) as runtime:
        for case in again.cases:
            assert case.score == runtime.infer(study / case.id).probability
    precise = run(study, "--bundle", bundle, "--threads", "1", "--precision", "int8", "--operating-point", "low")
    assert precise.exit_code == 0, precise.output
    assert "above 0.3" in precise.output


def _graded(folder: Path, runtime: Runtime, moved: int = 0) -> Path:
    """Radiographs for the detector, as bright as each joint is ill; truth is where the detector finds it."""
    folder.mkdir()
    images = []
    for number, (left, right) in enumerate([(0, 3), (3, 0), (2, 2), (1, 0), (4, 4), (0, 1)]):
        pixels = np.full((300, 400), 1000, np.uint16)
        for grade, half in ((right, slice(0, 200)), (left, slice(200, 400))):
            pixels[:, half] = 1000 + 700 * grade
        pixels[100:200, 20:40], pixels[100:200, -40:-20] = 300, 4000
        path = write_dicom(folder / f"{number}.dcm", pixels, SOPInstanceUID=f"2.25.{100 + number}")
        result = runtime.infer(path)
        joints: dict[str, Any] = {}
        for side, grade in (("left", left), ("right", right)):
            x0, y0, x1, y1 = getattr(result.joints, side).box_px
            joints[side] = {"grade": grade, "whole": number != 5, "box_px": [x0 + moved, y0, x1 + moved, y1]}
        definite = min(left, right) >= 2 or max(left, right) >= 3
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        images.append({"sha256": digest, "mny_positive": definite, "joints": joints})
    (folder / "truth.json").write_text(json.dumps({"schema": SCHEMA, "images": images}))
    return folder


def test_joints_that_the_system_decides_on_are_evaluated_with_their_boxes(tmp_path: Path) -> None:
    detector = write_detector_bundle(tmp_path / "bundle")
    with Runtime(detector, threads=1) as runtime:
        right = _graded(tmp_path / "right", runtime)
        moved = _graded(tmp_path / "moved", runtime, moved=30)
    overlaps = {}
    for folder in (right, moved):
        out = tmp_path / f"{folder.name}.json"
        arguments = ("--bundle", detector, "--threads", "1", "--reference", "noh2021/joint", "--json", out)
        done = run(folder, *arguments)
        assert done.exit_code == 0, done.output
        document = Document.model_validate_json(out.read_text())
        image, joint = document.parts
        assert (image.cases, image.positive) == (6, 4)
        assert (joint.cases, joint.positive, joint.patients) == (12, 6, 6)
        figures = {each.quantity: each for each in document.boxes}
        assert figures["joints found, IoU 0.5 or more"].counts is not None
        assert figures["joints found, IoU 0.5 or more"].counts[1] == 10, "a joint that the border cuts is left out"
        published = figures["mAP at IoU 0.5"].published
        assert published is not None
        assert (published.value, published.standing) == (0.918, None)
        overlaps[folder.name] = figures["mean IoU"].value
    assert overlaps["right"] == 1
    assert overlaps["moved"] is not None
    assert overlaps["moved"] < 0.7, "negative control: boxes that are moved overlap less"


def test_files_without_truth_and_truth_without_files_are_told(study: Path, bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    for path in [*sorted(study.glob("*.dcm"))[:6], study / "truth.json"]:
        (folder / path.name).write_bytes(path.read_bytes())
    write_dicom(folder / "stranger.dcm", SOPInstanceUID="2.25.99")
    done = run(folder, "--bundle", bundle, "--threads", "1")
    assert done.exit_code == 0, done.output
    assert "1 files are not in truth.json" in done.output
    assert "1 images of truth.json are not in the folder" in done.output


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        (None, "No such file"),
        ("{", "tells no truth of images"),
        ('{"schema": "other"}', "its schema is 'other'"),
        (json.dumps({"schema": SCHEMA, "series": []}), "tells no truth of images"),
        (json.dumps({"schema": SCHEMA, "images": []}), "of none of its files"),
    ],
)
def test_a_folder_without_truth_is_refused(bundle: Path, tmp_path: Path, truth: str | None, words: str) -> None:
    write_dicom(tmp_path / "a.dcm")
    if truth is not None:
        (tmp_path / "truth.json").write_text(truth)
    done = run(tmp_path, "--bundle", bundle, "--threads", "1")
    assert done.exit_code == UsageError.exit_code
    assert words in done.output


def test_truth_that_contradicts_its_grades_is_refused(bundle: Path, tmp_path: Path) -> None:
    content = write_dicom(tmp_path / "a.dcm").read_bytes()
    joint = {"grade": 1, "whole": True, "box_px": [0, 0, 5, 5]}
    entry = {"mny_positive": True, "joints": {"left": joint, "right": joint}}
    images = [{"sha256": hashlib.sha256(content).hexdigest(), **entry}]
    (tmp_path / "truth.json").write_text(json.dumps({"schema": SCHEMA, "images": images}))
    done = run(tmp_path, "--bundle", bundle, "--threads", "1")
    assert done.exit_code == UsageError.exit_code
    assert "contradicts the grades [1, 1]" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--require-noninferior"], "no published figure to hold"),
        (["--margin", "0.1"], "no published figure to hold"),
        (["--reference", "nobody/test"], "no published cohort is called 'nobody/test'"),
        (["--reference", "bressem2021/test", "--margin", "2"], "must be above 0 and below 1"),
        (["--backend", "null"], "only a folder is assessed"),
        (["--csv", "x.csv"], "only a folder is assessed"),
        (["--compare", "nowhere.csv"], "No such file"),
    ],
)
def test_what_cannot_be_meant_is_refused(predictions: Path, arguments: list[str], words: str) -> None:
    done = run(predictions, *arguments)
    assert done.exit_code == UsageError.exit_code
    assert words in done.output


def test_a_folder_is_compared_by_its_predictions_alone(study: Path, predictions: Path) -> None:
    done = run(study, "--compare", predictions)
    assert done.exit_code == UsageError.exit_code
    assert "--csv FILE" in done.output


def test_three_models_in_a_file_are_too_many(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"model": m, "id": "a", "truth": 1, "score": 0.5} for m in "ABC"]
    done = run(write_csv(tmp_path / "three.csv", rows))
    assert done.exit_code == UsageError.exit_code
    assert "A, B, C, and 2 can be taken" in done.output
