"""The process that takes hostile bytes apart has no client of the network in it that nobody asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_sacro.dicom.isolation import Child


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """The file that a stand-in for requests writes when it is imported."""
    (tmp_path / "requests.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\n")
    return tmp_path / "imported"


def test_the_decoding_process_starts_without_requests(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(told.parent))
    child = Child()
    child.close()
    assert not told.exists()


def test_the_stand_in_tells_when_pydicom_imports_it(told: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(told.parent)!r}); import pydicom.data"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert told.exists()
