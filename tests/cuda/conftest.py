"""The emulated device, built once, and a made-up GPU for a runtime."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.cuda.session import Session
from tests.cuda.emulated import EmulatedDevice, build
from tests.cuda.kernel_gpu import Workplace
from tests.cuda.kinds import slanted
from tests.tiny import write_bundle, write_dicom


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def session(library: Path) -> Iterator[Session]:
    with Session(EmulatedDevice(library)) as opened:
        yield opened


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, library: Path) -> Iterator[Workplace]:
    found = Workplace(monkeypatch, library)
    yield found
    gc.collect()  # what the frames of errors held
    assert found.gpu.leaks() == {}
    assert {name: count for name, count in found.trt.live.items() if count} == {}


@pytest.fixture(scope="module")
def anatomy(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_bundle(tmp_path_factory.mktemp("anatomy") / "tiny"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Radiographs of one size, all different, and a smaller one."""
    folder = tmp_path_factory.mktemp("images")
    made = [write_dicom(folder / f"{n}.dcm", slanted(40 * n)) for n in range(3)]
    return [*made, write_dicom(folder / "small.dcm", slanted(-60)[::2, ::2].copy())]
