"""The emulated device, built once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sacro.cuda.session import Session
from tests.cuda.emulated import EmulatedDevice, build


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def session(library: Path) -> Iterator[Session]:
    with Session(EmulatedDevice(library)) as opened:
        yield opened
