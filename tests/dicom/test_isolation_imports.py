"""The process that takes hostile bytes apart has no client of the network in it that nobody asked for."""

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


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """The file that a stand-in for requests writes when it is imported."""
    (tmp_path / "requests.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\n")
    return tmp_path / "imported"


def test_the_decoding_process_starts_without_requests(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(told.parent))
    Child().close()
    assert not told.exists()


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


def test_the_stand_in_tells_when_pydicom_imports_it(told: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(told.parent)!r}); import pydicom.data"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert told.exists()
