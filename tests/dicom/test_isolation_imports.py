"""The process that takes hostile bytes apart loads nothing that it does not use, and who cannot have it is told why."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sacro.dicom import child, read
from edge_sacro.dicom.child import Child
from edge_sacro.dicom.isolation import children
from edge_sacro.errors import InternalError
from tests.dicom.synthetic import dicom

NOT_LOADED = {"requests", "PIL", "jpeg_ls", "gdcm", "pylibjpeg"}


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A folder of stand-ins: each leaves its name in the folder within when it is imported, and fails."""
    (tmp_path / "imported").mkdir()
    for name in NOT_LOADED:
        text = f"open({str(tmp_path / 'imported' / name)!r}, 'w').close()\nraise ImportError\n"
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def imported(told: Path) -> set[str]:
    return {each.name for each in (told / "imported").iterdir()}


def test_the_decoding_process_starts_without_what_it_does_not_use(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(told))
    Child().close()
    assert imported(told) == set()


def test_a_process_that_the_system_does_not_give_is_told_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "image.dcm"
    file.write_bytes(dicom())
    children().close()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(InternalError, match=r"image\.dcm.*start a decoding process: No such file.*ulimit"):
        read(file)
    monkeypatch.undo()
    assert read(file).rows, "once it is given again, files are read"


def test_no_descriptor_for_the_answer_is_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "image.dcm"
    file.write_bytes(dicom())
    read(file)

    def none_left() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(child.selectors, "DefaultSelector", none_left)
    with pytest.raises(InternalError, match=r"image\.dcm.*speak to a decoding process: Too many open files"):
        read(file)
    monkeypatch.undo()
    assert read(file).rows


def test_the_stand_ins_tell_that_pydicom_imports_them(told: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(told)!r}); import pydicom.dataset"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert imported(told) == NOT_LOADED
