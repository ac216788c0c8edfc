"""Objects of files that real devices wrote."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from edge_sacro.objects import Making
from edge_sacro.runtime import Runtime
from tests.objects.answers import answered_from_bytes, bytes_by_kind
from tests.objects.tools import complaints


def checked(runtime: Runtime, making: Making, path: Path, folder: Path) -> dict[str, bytes]:
    made = bytes_by_kind(answered_from_bytes(runtime, path.read_bytes(), path.name), making)
    for kind, content in made.items():
        target = folder / f"{path.stem}-{kind}.dcm"
        target.write_bytes(content)
        assert complaints(target) == [], (path.name, kind)
    return made


@pytest.fixture(scope="module")
def permissive() -> Runtime:
    return Runtime(threads=2, overrides={"wrong_body_part", "wrong_view", "lossy_limit"})


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG3_J2KR.dcm"])
def test_radiographs_of_pydicom_data(permissive: Runtime, making: Making, tmp_path: Path, name: str) -> None:
    path = pydicom.data.get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"pydicom-data has no {name}")
    assert sorted(checked(permissive, making, Path(path), tmp_path)) == ["pr", "sc", "seg", "sr"]


@pytest.mark.parametrize("name", ["chrJapMulti.dcm", "chrKoreanMulti.dcm"])
def test_files_that_hold_no_whole_image_have_a_report_with_the_name_as_it_was(
    runtime: Runtime, making: Making, tmp_path: Path, name: str
) -> None:
    (path,) = pydicom.data.get_charset_files(name)
    made = checked(runtime, making, Path(path), tmp_path)
    assert sorted(made) == ["sc", "sr"]
    source = pydicom.dcmread(path, force=True)
    written = pydicom.dcmread(tmp_path / f"{Path(path).stem}-sr.dcm")
    assert written.PatientName == source.PatientName
    assert written.PatientName.original_string == source.PatientName.original_string


@pytest.mark.shared
@pytest.mark.parametrize("syntax", ["UNC", "JPLL", "JLSL"])
def test_a_radiograph_of_the_hip_has_all_four(
    permissive: Runtime, making: Making, tmp_path: Path, shared_dir: Path, syntax: str
) -> None:
    path = shared_dir / "data" / "wg04_rg2" / f"RG2_{syntax}.dcm"
    assert sorted(checked(permissive, making, path, tmp_path)) == ["pr", "sc", "seg", "sr"]
