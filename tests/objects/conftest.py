"""One phantom, answered once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sacro.objects import Answered, Making
from edge_sacro.phantom import PhantomOptions, dx_from_phantom, render
from edge_sacro.runtime import Runtime
from tests.objects.answers import MOMENT, answered_from_bytes, bytes_by_kind, file_bytes
from tests.tiny import write_bundle, write_dicom


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
def drawn_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small source, where a phantom's thousand times more pixels would prove nothing more."""
    named = {"StudyInstanceUID": "2.25.2", "SeriesInstanceUID": "2.25.3", "PatientID": "T", "PatientName": "T^T"}
    extra = {"StudyDate": "20260101", "PatientComments": "T", "SpecificCharacterSet": "ISO_IR 100"}
    return write_dicom(tmp_path_factory.mktemp("drawn") / "a.dcm", **named, **extra).read_bytes()


@pytest.fixture(scope="session")
def drawn(drawn_bytes: bytes, tmp_path_factory: pytest.TempPathFactory) -> Answered:
    with Runtime(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny"), threads=1) as opened:
        return answered_from_bytes(opened, drawn_bytes)


@pytest.fixture(scope="session")
def making(runtime: Runtime) -> Making:
    return Making(runtime.report([]).bundle, MOMENT)


@pytest.fixture(scope="session")
def files(answered: Answered, making: Making, source_bytes: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source and its four objects: ``source.dcm``, ``sr.dcm`` and so on."""
    folder = tmp_path_factory.mktemp("objects")
    (folder / "source.dcm").write_bytes(source_bytes)
    for kind, content in bytes_by_kind(answered, making).items():
        (folder / f"{kind}.dcm").write_bytes(content)
    return folder
