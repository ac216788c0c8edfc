"""A tiny bundle, its golden answers on this machine, and what a selftest of it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sacro.benchmark.order import Order
from edge_sacro.selftest.golden import GOLDEN_NAME, Golden, json_from_golden
from edge_sacro.selftest.run import record
from tests.tiny import write_bundle, write_dicom


@pytest.fixture(scope="session")
def order(tmp_path_factory: pytest.TempPathFactory) -> Order:
    """The tiny bundle, with a guard band."""
    band = {"half_width": 0.05, "source": "for tests"}
    return Order(str(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny", guard_band=band)), threads=1)


@pytest.fixture(scope="session")
def recorded(order: Order, tmp_path_factory: pytest.TempPathFactory) -> tuple[Golden, Path]:
    """Golden answers of the tiny bundle to the drawn pelvis, and their folder."""
    folder = tmp_path_factory.mktemp("golden")
    golden, _ = record(order, [write_dicom(folder / "pelvis.dcm")], folder)
    (folder / GOLDEN_NAME).write_text(json_from_golden(golden))
    return golden, folder


@pytest.fixture
def golden(recorded: tuple[Golden, Path]) -> Golden:
    """The golden answers."""
    return recorded[0]


@pytest.fixture
def folder(recorded: tuple[Golden, Path]) -> Path:
    """The folder of the golden answers and their study."""
    return recorded[1]
