"""What a runtime opened is closed, whatever ends its beginning; a closed one says that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_sacro.assessor import Assessor
from edge_sacro.errors import BackendFailed, InternalError, UsageError
from edge_sacro.runtime import Runtime
from tests.openers import NotesClosing
from tests.tiny import write_bundle, write_dicom


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "tiny")


@pytest.mark.parametrize("error", [BackendFailed("x"), InternalError("x"), MemoryError(), KeyboardInterrupt()])
@pytest.mark.parametrize("at", ["open", "__init__"])
def test_networks_are_closed_whatever_ends_the_opening(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, at: str, error: BaseException
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Assessor, at, fails)
    opener = NotesClosing()
    with pytest.raises(type(error)):
        Runtime(bundle, opener=opener, threads=1)
    assert sorted(opener.closed) == sorted(opener.opened) == ["classifier", "segmenter"]


def test_they_stay_open_where_nothing_fails_and_are_closed_once(bundle: Path) -> None:
    opener = NotesClosing()
    runtime = Runtime(bundle, opener=opener, threads=1)
    assert opener.closed == []
    runtime.close()
    runtime.close()
    assert sorted(opener.closed) == ["classifier", "segmenter"]


@pytest.mark.parametrize("backend", ["onnxruntime", "null"])
def test_a_closed_runtime_says_so(bundle: Path, tmp_path: Path, backend: str) -> None:
    image = write_dicom(tmp_path / "a.dcm")
    with Runtime(bundle, backend=backend, threads=1) as runtime:
        runtime.infer(image)
    with pytest.raises(UsageError, match="runtime was closed"):
        runtime.infer(image)
