"""The product on an emulated aarch64 processor, where EDGE_SACRO_AARCH64=1 asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "scripts" / "test-aarch64"
CANNOT_RUN = 77


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def run(script: Path, *before: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, script], check=False, capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.mark.heavy
@pytest.mark.skipif(
    os.environ.get("EDGE_SACRO_AARCH64") != "1",
    reason="EDGE_SACRO_AARCH64=1 runs scripts/test-aarch64: minutes, root on Debian or Ubuntu, and the network",
)
def test_aarch64_answers_as_this_machine_does_and_nothing_is_left_behind(tmp_path: Path) -> None:
    before = mounts()
    found = run(SCRIPT, TMPDIR=str(tmp_path))
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-3000:]
    assert "edge-sacro infer, int8" in found.stdout
    assert "FAILED" not in found.stdout
    assert mounts() == before
    assert not list(tmp_path.iterdir())


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, with the scripts in it."""
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(SCRIPT.parent, folder / "scripts")
    (folder / "tmp").mkdir()
    for each in (folder, folder / "scripts"):
        each.chmod(0o755)
    (folder / "tmp").chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is tried from root")
def test_without_root_it_says_so_and_makes_nothing(open_folder: Path) -> None:
    script = open_folder / "scripts" / SCRIPT.name
    found = run(script, "setpriv", "--reuid=65534", "--clear-groups", TMPDIR=str(open_folder / "tmp"))
    assert found.returncode == CANNOT_RUN
    assert "mounting and chroot need root" in found.stderr
    assert not list((open_folder / "tmp").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="it asks for root first")
def test_a_release_that_it_does_not_know_is_named_and_makes_nothing(tmp_path: Path) -> None:
    found = run(SCRIPT, TMPDIR=str(tmp_path), RELEASE="potato")
    assert found.returncode == CANNOT_RUN
    assert "'potato'" in found.stderr or "may not mount" in found.stderr
    assert not list(tmp_path.iterdir())
