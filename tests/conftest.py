"""What every test may use: where reference data stands, and which tests need it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _is_script(folder: str) -> bool:
    """Whether a folder's ``storescu`` is a script: pynetdicom installs some of its own under the names of DCMTK's."""
    try:
        with Path(folder, "storescu").open("rb") as program:
            return program.read(2) == b"#!"
    except OSError:
        return False


# An active virtual environment would put pynetdicom's programs before DCMTK's, which the tests mean.
os.environ["PATH"] = os.pathsep.join(sorted(os.environ.get("PATH", "").split(os.pathsep), key=_is_script))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of reference data that is no part of the product; the test is skipped where it is absent."""
    folder = Path(os.environ.get("EDGE_SACRO_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"reference data is not at {folder}; set EDGE_SACRO_SHARED to run this test")
    return folder
