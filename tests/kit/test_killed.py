"""An installation that is killed, at any point: what served serves on, or the new release does, and nothing between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from edge_sacro.kit.installer.install import install
from edge_sacro.kit.installer.prefix import Prefix
from tests.conftest import ROOT
from tests.kit.kits import plan, write_kit

DEADLY = Path(__file__).with_name("deadly.py")
STEP = 3
"""Every point would take half a minute."""


def _serves(prefix: Path) -> str:
    command = [str(prefix / "bin" / "edge-sacro"), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _killed_at(point: int, kit: Path, prefix: Path, maker: Path) -> int:
    command = [sys.executable, DEADLY, str(point), "install", kit, "--prefix", prefix, "--key", f"{maker}.pub"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(prefix.parent)}
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=environment, check=False).returncode


def test_killed_at_any_point_the_one_or_the_other_serves(tmp_path: Path, prefix: Path, maker: Path) -> None:
    install(plan(write_kit(tmp_path, maker), prefix, maker))
    kit = write_kit(tmp_path, maker, "1.1.0")
    served, point = [], 0
    while (code := _killed_at(point, kit, prefix, maker)) == -signal.SIGKILL:
        served.append(_serves(prefix))
        current = Prefix(prefix).current()
        assert current is not None
        assert current.version == served[-1]
        if served[-1] == "1.1.0":
            break
        point += STEP
    assert code in {0, -signal.SIGKILL}
    assert served.count("1.0.0") >= 8
    assert served[-1] == "1.1.0" or code == 0
    install(plan(kit, prefix, maker))
    assert _serves(prefix) == "1.1.0"
    whole = {each.name for each in Prefix(prefix).releases()}
    assert {path.name for path in (prefix / "releases").iterdir()} == whole
    assert not list(prefix.rglob(".new-*"))


def test_what_was_killed_in_its_selftest_leaves_nothing_that_counts(tmp_path: Path, prefix: Path, maker: Path) -> None:
    install(plan(write_kit(tmp_path, maker), prefix, maker))
    mark = tmp_path / "at-work"
    kit = write_kit(tmp_path, maker, "1.1.0", seconds=60, mark=str(mark))
    command = [sys.executable, "-m", "edge_sacro.cli", "kit", "install", kit, "--prefix", prefix]
    running = subprocess.Popen(
        [*command, "--key", f"{maker}.pub"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    for _ in range(600):
        if mark.exists():
            break
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert _serves(prefix) == "1.0.0"
    left = [path.name for path in (prefix / "releases").iterdir() if path.name.startswith("1.1.0")]
    assert len(left) == 1
    assert [each.version for each in Prefix(prefix).releases()] == ["1.0.0"]
    with Prefix(prefix).locked():
        assert [path.name for path in (prefix / "releases").iterdir() if path.name in left] == []
