"""Other people's programs as judges of the objects: dicom3tools and dcmtk. Where one is absent, a test says so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def run(*command: str | Path, codes: tuple[int, ...] = (0,)) -> str:
    """Run a program; what it says on both channels. Skips the test where the program is absent."""
    program = str(command[0])
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode in codes, said
    return said


def complaints(path: Path) -> list[str]:
    """The errors that dciodvfy finds in an object, warnings left out."""
    said = run("dciodvfy", "-new", path, codes=(0, 1))
    return [line for line in said.splitlines() if line.startswith("Error")]
