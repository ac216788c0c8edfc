"""The command as people and programs type it: exit codes, streams, folders, pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_sacro.ahead import label_of
from edge_sacro.cli import main
from edge_sacro.errors import BackendFailed
from edge_sacro.runtime import Readable, Runtime
from tests.tiny import drawn_pelvis, write_bundle, write_dicom


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny"))


def _infer(bundle: str, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["infer", "--bundle", bundle, "--threads", "1", *map(str, arguments)])


def test_one_file_gives_a_table_a_reason_and_the_statement(bundle: str, tmp_path: Path) -> None:
    done = _infer(bundle, write_dicom(tmp_path / "a.dcm"))
    assert done.exit_code == 0, done.output
    assert "a.dcm" in done.stdout
    assert "cut-off 0.59" in done.stdout
    assert "not for clinical use" in done.stdout


def test_json_is_one_document_and_nothing_else_on_standard_output(bundle: str, tmp_path: Path) -> None:
    done = _infer(bundle, "--json", write_dicom(tmp_path / "a.dcm"), tmp_path / "absent.dcm")
    document = json.loads(done.stdout)
    assert [result["state"] for result in document["results"]][1] == "refused"


def test_a_refusal_ends_with_its_own_exit_code_and_the_others_are_answered(bundle: str, tmp_path: Path) -> None:
    good = write_dicom(tmp_path / "good.dcm")
    lateral = write_dicom(tmp_path / "lateral.dcm", ViewPosition="LL")
    text = tmp_path / "notes.txt"
    text.write_text("not DICOM " * 100)
    assert _infer(bundle, tmp_path / "absent.dcm").exit_code == 11
    assert _infer(bundle, text).exit_code == 12
    done = _infer(bundle, "--json", lateral, good)
    assert done.exit_code == 19
    assert [r["reason_code"] for r in json.loads(done.stdout)["results"]] == ["wrong_view", None]
    assert _infer(bundle, "--override", "wrong_view", lateral, good).exit_code == 0


def test_not_assessable_ends_with_three(bundle: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 4096, (512, 512)).astype(np.uint16)
    done = _infer(bundle, write_dicom(tmp_path / "a.dcm", noise))
    assert done.exit_code == 3
    assert "not assessable" in done.stdout


def test_a_folder_is_walked_in_a_stable_order_and_leaves_nothing_out_in_silence(bundle: str, tmp_path: Path) -> None:
    study = tmp_path / "study"
    (study / "b").mkdir(parents=True)
    for name in ("b/2.dcm", "b/1.dcm", "a.dcm"):
        write_dicom(study / name)
    (study / "README.txt").write_text("hello")
    document = json.loads(_infer(bundle, "--json", study).stdout)
    paths = [result["source"]["path"] for result in document["results"]]
    assert paths == [str(study / name) for name in ("a.dcm", "b/1.dcm", "b/2.dcm")]
    assert [ignored["path"] for ignored in document["ignored"]] == [str(study / "README.txt")]


def test_a_folder_without_an_instance_is_an_error(bundle: str, tmp_path: Path) -> None:
    done = _infer(bundle, tmp_path)
    assert done.exit_code == 11
    assert "no DICOM file" in done.stderr


def test_bundle_and_backend_errors_name_themselves(tmp_path: Path, bundle: str) -> None:
    file = write_dicom(tmp_path / "a.dcm")
    absent = _infer(str(tmp_path / "nowhere"), file)
    assert absent.exit_code == 31
    assert "nowhere" in absent.stderr
    assert _infer(bundle, "--backend", "tensorrt", file).exit_code == 41
    assert _infer(bundle, "--operating-point", "best", file).exit_code == 2
    assert _infer(bundle, "--override", "truncated", file).exit_code == 2


def test_results_so_far_are_printed_when_the_backend_fails(
    bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = write_dicom(tmp_path / "a.dcm"), write_dicom(tmp_path / "b.dcm")
    assess = Runtime.assess_each

    def fails_at_the_second(self: Runtime, source: Readable, **named: Any) -> Any:
        if Path(label_of(source)).name == "b.dcm":
            raise BackendFailed("the device fell off the bus", source="classifier")
        return assess(self, source, **named)

    monkeypatch.setattr(Runtime, "assess_each", fails_at_the_second)
    done = _infer(bundle, "--json", first, second)
    assert done.exit_code == 42
    assert len(json.loads(done.stdout)["results"]) == 1
    assert "fell off the bus" in done.stderr


def test_an_overlay_is_a_picture_with_both_joints_on_their_sides(bundle: str, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    done = _infer(bundle, "--overlay", target, write_dicom(tmp_path / "a.dcm"))
    assert done.exit_code == 0, done.output
    picture = cv2.imread(str(target))
    assert picture is not None
    orange = np.abs(picture.astype(int) - (0, 159, 230)).sum(axis=2) < 30
    blue = np.abs(picture.astype(int) - (233, 180, 86)).sum(axis=2) < 30
    middle = picture.shape[1] / 2
    assert np.nonzero(orange)[1].mean() > middle, "the patient's left is shown at the picture's right"
    assert np.nonzero(blue)[1].mean() < middle


def test_a_mirrored_image_is_shown_the_usual_way_round(bundle: str, tmp_path: Path) -> None:
    usual, mirrored = tmp_path / "usual.png", tmp_path / "mirrored.png"
    _infer(bundle, "--overlay", usual, write_dicom(tmp_path / "a.dcm"))
    pixels = np.ascontiguousarray(drawn_pelvis()[:, ::-1])
    flipped = write_dicom(tmp_path / "b.dcm", pixels, PatientOrientation=["R", "F"])
    _infer(bundle, "--overlay", mirrored, flipped)
    first, second = cv2.imread(str(usual)), cv2.imread(str(mirrored))
    assert first is not None
    np.testing.assert_array_equal(first, second)


def test_several_overlays_go_to_a_folder_and_a_refused_file_has_none(bundle: str, tmp_path: Path) -> None:
    files = [write_dicom(tmp_path / f"{n}.dcm") for n in "ab"]
    done = _infer(bundle, "--overlay", tmp_path / "out", *files, tmp_path / "absent.dcm")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["0001-a.png", "0002-b.png"]
    assert "absent.dcm: refused, so there is no overlay" in done.stderr


def test_an_overlay_that_cannot_be_written_is_an_error_of_its_own(bundle: str, tmp_path: Path) -> None:
    done = _infer(bundle, "--overlay", tmp_path / "no" / "such" / "out.png", write_dicom(tmp_path / "a.dcm"))
    assert done.exit_code == 60
    assert "out.png" in done.stderr


def test_the_schema_command_prints_the_published_schema() -> None:
    done = CliRunner().invoke(main, ["schema"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["title"] == "Report"


def test_phantoms_are_written_with_the_grades_that_were_asked_for(tmp_path: Path) -> None:
    arguments = [
        "phantom",
        "--out",
        str(tmp_path),
        "--count",
        "2",
        "--seed",
        "5",
        "--left-grade",
        "0",
        "--right-grade",
        "4",
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "not for clinical use" in done.stdout
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert [image["joints"]["left"]["grade"] for image in truth["images"]] == [0, 0]
    assert [image["joints"]["right"]["grade"] for image in truth["images"]] == [4, 4]
    assert all((tmp_path / image["file"]).is_file() for image in truth["images"])
    assert CliRunner().invoke(main, [*arguments, "--left-grade", "5"]).exit_code == 2
