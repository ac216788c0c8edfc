"""Threads are as many as the processors that this process may use, not as there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sacro import processors
from edge_sacro.processors import granted_processors, usable_processors


def _granting(folder: Path, text: str) -> Path:
    place = folder / "sys/fs/cgroup/cpu.max"
    place.parent.mkdir(parents=True)
    place.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "usable"), [("max 100000\n", 6), ("150000 100000\n", 2), ("20000 100000\n", 1), ("900000 100000\n", 6)]
)
def test_a_control_groups_time_bounds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, usable: int
) -> None:
    monkeypatch.setattr(processors, "allowed_processors", lambda: 6)
    assert usable_processors(_granting(tmp_path, text)) == usable


def test_without_a_limit_all_that_are_allowed_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert granted_processors(tmp_path) is None
    monkeypatch.setattr(processors, "allowed_processors", lambda: 3)
    assert usable_processors(tmp_path) == 3
    monkeypatch.setattr(processors, "allowed_processors", lambda: None)
    assert usable_processors(tmp_path) == os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is set by Linux' call")
def test_a_process_of_one_processor_has_one() -> None:
    one = min(os.sched_getaffinity(0))
    begin = f"import os; os.sched_setaffinity(0, {{{one}}}); "
    code = begin + "from edge_sacro.processors import usable_processors; print(usable_processors())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1"]
