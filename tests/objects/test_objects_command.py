"""``edge-sacro infer --sr --seg --pr --sc --objects FOLDER``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner, Result

from edge_sacro.cli import main
from edge_sacro.phantom import CtOptions, ct_from_series, render_ct
from tests.objects.tools import complaints
from tests.systems.bundles import write_classifier_bundle
from tests.systems.enhanced import enhanced_from_slices, saved
from tests.tiny import write_bundle, write_dicom

NAMED: dict[str, Any] = {"StudyInstanceUID": "2.25.2", "SeriesInstanceUID": "2.25.3", "PatientID": "T"}
ALL = ("--sr", "--seg", "--pr", "--sc")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny"))


def infer(bundle: str, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["infer", "--bundle", bundle, "--threads", "1", *map(str, arguments)])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_objects_are_written_once_and_kept_by_a_retry(bundle: str, tmp_path: Path) -> None:
    source, folder = write_dicom(tmp_path / "a.dcm", **NAMED), tmp_path / "new" / "objects"
    first = infer(bundle, source, *ALL, "--objects", folder, "--json")
    assert first.exit_code == 0, first.output
    json.loads(first.stdout)
    assert f"4 DICOM objects in {folder}" in first.stderr
    made = contents(folder)
    assert [name.split("-")[0] for name in made] == ["pr", "sc", "seg", "sr"]
    for name in made:
        dataset = pydicom.dcmread(folder / name)
        assert name.endswith(f"-{dataset.SOPInstanceUID}.dcm")
        assert dataset.ContentQualification == "RESEARCH"
    second = infer(bundle, source, *ALL, "--objects", folder)
    assert "4 of them there already" in second.stderr
    assert contents(folder) == made


def test_another_answer_stands_beside_the_first(bundle: str, tmp_path: Path) -> None:
    source, folder = write_dicom(tmp_path / "a.dcm", **NAMED), tmp_path / "objects"
    infer(bundle, source, "--sr", "--objects", folder)
    other = write_bundle(tmp_path / "other", version="2")
    assert infer(str(other), source, "--sr", "--objects", folder).exit_code == 0
    assert len(contents(folder)) == 2


def test_a_refused_image_has_a_report_and_a_file_that_is_no_dicom_says_that_it_has_none(
    bundle: str, tmp_path: Path
) -> None:
    skull, folder = write_dicom(tmp_path / "skull.dcm", **NAMED, BodyPartExamined="SKULL"), tmp_path / "objects"
    (tmp_path / "picture.dcm").write_bytes(b"GIF89a")
    done = infer(bundle, skull, tmp_path / "picture.dcm", "--sr", "--seg", "--objects", folder)
    assert done.exit_code == 18
    assert "picture.dcm: no DICOM object can be made" in done.stderr
    assert "skull.dcm: no SEG: nothing was segmented" in done.stderr
    assert [name[:2] for name in contents(folder)] == ["sr"]


def test_an_assessed_image_that_nothing_can_refer_to_is_no_success(bundle: str, tmp_path: Path) -> None:
    done = infer(bundle, write_dicom(tmp_path / "a.dcm"), "--sr", "--objects", tmp_path / "objects")
    assert done.exit_code == 60
    assert "StudyInstanceUID" in done.stderr
    assert contents(tmp_path / "objects") == {}


@pytest.mark.parametrize("arguments", [("--sr",), ("--objects", "out")])
def test_a_kind_without_a_folder_and_a_folder_without_a_kind_are_refused(
    bundle: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = infer(bundle, write_dicom(tmp_path / "a.dcm", **NAMED), *arguments)
    assert done.exit_code == 2
    assert "--objects" in done.stderr


def test_a_folder_that_is_read_from_is_refused(bundle: str, tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", **NAMED)
    done = infer(bundle, tmp_path, "--sr", "--objects", tmp_path / "objects")
    assert done.exit_code == 2
    assert not (tmp_path / "objects").exists()


def test_without_the_package_that_makes_them_it_is_said_before_anything_runs(
    bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_sacro.objects.make.importlib.util.find_spec", lambda _: None)
    done = infer(bundle, write_dicom(tmp_path / "a.dcm", **NAMED), "--sr", "--objects", tmp_path / "objects")
    assert done.exit_code == 60
    assert "edge-sacro[dicom]" in done.stderr
    assert done.stdout == ""


def test_a_file_in_the_place_of_the_folder_is_refused(bundle: str, tmp_path: Path) -> None:
    source = write_dicom(tmp_path / "a.dcm", **NAMED)
    before = source.read_bytes()
    done = infer(bundle, source, "--sr", "--objects", source)
    assert done.exit_code == 60
    assert source.read_bytes() == before


@pytest.mark.parametrize("frames", [False, True])
def test_a_ct_series_has_one_report_that_refers_to_the_slices_that_count(tmp_path: Path, frames: bool) -> None:
    series = render_ct((3, 0), CtOptions(slices=12, size=256, pelvis=True))
    slices = [ct_from_series(series, number) for number in range(3, 9)]
    bundle, study, folder = tmp_path / "bundle", tmp_path / "study", tmp_path / "objects"
    study.mkdir()
    if frames:
        saved(enhanced_from_slices(slices), study / "e.dcm")
    else:
        for number, each in enumerate(slices):
            saved(each, study / f"{number}.dcm")
    write_classifier_bundle(bundle, "fu2024-resnet101")
    done = infer(str(bundle), study, "--sr", "--objects", folder, "--slices", "all", "--json")
    assert done.exit_code in {0, 3}, done.output
    (answer,) = json.loads(done.stdout)["series"]
    (name,) = contents(folder)
    assert complaints(folder / name) == []
    report = pydicom.dcmread(folder / name)
    group = report.ContentSequence[-1].ContentSequence[0]
    referred = [item.ReferencedSOPSequence[0] for item in group.ContentSequence if item.ValueType == "IMAGE"]
    if frames:
        (only,) = referred
        assert [int(each) for each in only.ReferencedFrameNumber] == list(range(1, len(slices) + 1))
    else:
        assert {item.ReferencedSOPInstanceUID for item in referred} == {each.SOPInstanceUID for each in slices}
    numbers = {
        str(item.ConceptNameCodeSequence[0].CodeValue): float(item.MeasuredValueSequence[0].NumericValue)
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    }
    assert answer["probability"] is not None
    assert numbers["111012"] == pytest.approx(100 * answer["probability"], abs=1e-9)
    before = contents(folder)
    assert infer(str(bundle), study, "--sr", "--objects", folder, "--slices", "all").exit_code == done.exit_code
    assert contents(folder) == before
