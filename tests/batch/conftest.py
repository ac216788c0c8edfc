"""A folder of drawn pelves that get different answers, and the tiny bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.types import State
from tests.tiny import drawn_pelvis, write_bundle, write_dicom

pytest.importorskip("pyarrow")

POINTS = {"accuracy": 0.2, "other": 0.23}
"""Cut-offs of the bundle, between the probabilities of the drawn pelves."""

STATES = {State.POSITIVE.value, State.NEGATIVE.value, State.NOT_ASSESSABLE.value, State.REFUSED.value}
"""Of the folder's rows."""


def write_instances(folder: Path, count: int) -> Path:
    """So many radiographs, some positive, one without joints; with a copy of the first and a file that is no image."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels = drawn_pelvis()
        pixels[pixels == 1000] = 600 + 100 * (index % 7)
        if index == 2:
            pixels[:] = 1000
        write_dicom(folder / f"{index:03}.dcm", pixels, SOPInstanceUID=f"2.25.{index + 1}")
    shutil.copy(folder / "000.dcm", folder / "copy.dcm")
    (folder / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"no data set")
    (folder / "README.txt").write_text("no instance")
    return folder


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    points = [{"name": name, "threshold": cut, "source": "this test"} for name, cut in POINTS.items()]
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    return write_bundle(folder, operating_points=points, default_operating_point="accuracy")


@pytest.fixture(scope="session")
def bundle(bundle_folder: Path) -> Bundle:
    return load_bundle(bundle_folder)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_instances(tmp_path_factory.mktemp("instances"), 6)
