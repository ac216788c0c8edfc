"""Files, folders and DICOMDIRs become a list of files in a stable order, and nothing is left aside unsaid."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_sacro.dicom import find_instances, read
from edge_sacro.errors import InputNotFound
from tests.dicom.synthetic import dicom

DICM = b"\0" * 128 + b"DICM" + b"\0" * 64


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    for name in ("b/2", "b/10", "a/1.dcm", "a-b/3", "DICOMDIR"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(DICM)
    (folder / "a/readme.txt").write_text("no instance")
    (folder / "empty").write_bytes(b"")
    return folder


def names(folder: Path, *given: Path) -> list[tuple[str, bool]]:
    return [(str(each.path.relative_to(folder)), each.reason is None) for each in find_instances(given)]


def test_folder_is_walked_by_the_parts_of_its_paths_and_accounts_for_every_file(study: Path) -> None:
    assert names(study, study) == [
        ("DICOMDIR", False),
        ("a/1.dcm", True),
        ("a/readme.txt", False),
        ("a-b/3", True),
        ("b/10", True),
        ("b/2", True),
        ("empty", False),
    ]
    assert names(study, study) == names(study, study)


def test_dicomdir_means_its_folder_and_its_records_are_not_followed(study: Path) -> None:
    (study / "DICOMDIR").write_bytes(DICM + b"../../outside")
    assert names(study, study / "DICOMDIR") == names(study, study)


def test_file_given_by_name_is_always_answered_for(study: Path) -> None:
    given = [study / "missing.dcm", study / "a/readme.txt", study / "b/2"]
    found = find_instances(given)
    assert [each.path for each in found] == given
    assert all(each.reason is None for each in found)
    with pytest.raises(InputNotFound):
        read(found[0].path)


def test_same_file_is_answered_once_at_its_first_place(study: Path) -> None:
    (study / "b/alias").symlink_to(study / "b/2")
    found = names(study, study / "b/2", study, study / "a")
    assert found[0] == ("b/2", True)
    assert [name for name, _ in found].count("b/2") == 1
    assert ("b/alias", True) not in found
    assert sum(name == "a/1.dcm" for name, _ in found) == 1


def test_file_named_after_it_was_left_aside_is_read(study: Path) -> None:
    found = find_instances([study, study / "a/readme.txt"])
    readme = [each for each in found if each.path.name == "readme.txt"]
    assert [each.reason for each in readme][-1] is None


def test_links_neither_loop_nor_lead_out(study: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret.dcm"
    outside.write_bytes(DICM)
    (study / "out").symlink_to(outside)
    (study / "loop").symlink_to(study)
    (study / "broken").symlink_to(study / "nothing")
    reasons = {each.path.name: each.reason for each in find_instances([study]) if each.reason}
    assert "out of the folder" in reasons["out"]
    assert "folder" in reasons["loop"]
    assert reasons["broken"] == "no regular file"


def test_fifo_in_a_folder_is_left_aside_and_not_waited_for(study: Path) -> None:
    os.mkfifo(study / "pipe")
    reasons = {each.path.name: each.reason for each in find_instances([study])}
    assert reasons["pipe"] == "no regular file"


def test_relative_paths_stay_relative(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study)
    assert [str(each.path) for each in find_instances(["b"])] == ["b/10", "b/2"]


def test_found_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(dicom())
    (found,) = find_instances([tmp_path])
    assert read(found.path).source == str(tmp_path / "one")
