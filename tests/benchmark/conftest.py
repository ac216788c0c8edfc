"""One tiny bundle and one small image, for every test that measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sacro.benchmark.child import draw_phantom
from edge_sacro.benchmark.document import Document
from edge_sacro.benchmark.measure import Plan, measure
from edge_sacro.benchmark.order import Order
from tests.tiny import write_bundle, write_dicom

PATIENT = {"PatientName": "Secret^Person", "PatientID": "ID-4711", "SOPInstanceUID": "2.25.8888888"}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny"))


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dicom(tmp_path_factory.mktemp("ward-7-someone") / "secret-person.dcm", **PATIENT)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The radiograph that is drawn where no file is given; once, since it takes seconds."""
    (file,) = draw_phantom(tmp_path_factory.mktemp("phantom"), ct=False)
    return file


@pytest.fixture(scope="session")
def measured(bundle: str, image: Path) -> Document:
    """Ten runs, two fresh processes, one and two streams."""
    return measure(Order(bundle, threads=1), Plan(runs=10, warmup=1, streams=(1, 2), cold=2, meters={}), [image])
