"""One phantom, answered once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sacro.objects import Answered, Making, bytes_from_object
from edge_sacro.phantom import PhantomOptions, dx_from_phantom, render
from edge_sacro.runtime import Runtime
from tests.objects.answers import MOMENT, answered_from_bytes, file_bytes, objects_by_kind

pytest.importorskip("highdicom", reason="the extra 'dicom' is not installed")


@pytest.fixture(scope="session")
def runtime() -> Iterator[Runtime]:
    with Runtime(threads=2) as opened:
        yield opened


@pytest.fixture(scope="session")
def source_bytes() -> bytes:
    return file_bytes(dx_from_phantom(render((7, 1), PhantomOptions(left_grade=3, right_grade=0))))


@pytest.fixture(scope="session")
def answered(runtime: Runtime, source_bytes: bytes) -> Answered:
    return answered_from_bytes(runtime, source_bytes)


@pytest.fixture(scope="session")
def making(runtime: Runtime) -> Making:
    return Making(runtime.report([]).bundle, MOMENT)


@pytest.fixture(scope="session")
def files(answered: Answered, making: Making, source_bytes: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source and its four objects: ``source.dcm``, ``sr.dcm`` and so on."""
    folder = tmp_path_factory.mktemp("objects")
    (folder / "source.dcm").write_bytes(source_bytes)
    for kind, dataset in objects_by_kind(answered, making).items():
        (folder / f"{kind}.dcm").write_bytes(bytes_from_object(dataset))
    return folder
