"""One runtime shared: the same answer over runs, processes and threads, and memory that does not grow."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.report import Report, json_from_report
from edge_sacro.runtime import Runtime
from tests.conftest import ROOT
from tests.tiny import drawn_pelvis, without_timings, write_bundle, write_dicom


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="module")
def runtime(bundle: Path) -> Runtime:
    return Runtime(bundle, threads=1)


def test_repeated_runs_threads_and_processes_give_the_same_json(bundle: Path, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm")
    command = [sys.executable, "-m", "edge_sacro.cli", "infer", str(path), "--bundle", str(bundle), "--json"]
    documents = set()
    for threads in ("1", "2", "4", "1"):
        done = subprocess.run([*command, "--threads", threads], check=True, capture_output=True, text=True, cwd=ROOT)
        report = Report.model_validate_json(done.stdout)
        assert json_from_report(report) == done.stdout
        report = report.model_copy(
            update={"results": [result.model_copy(update={"timings_ms": {}}) for result in report.results]}
        )
        documents.add(json_from_report(report))
    assert len(documents) == 1


def test_threads_share_a_runtime_without_mixing_results(runtime: Runtime, tmp_path: Path) -> None:
    files = []
    for index, shift in enumerate((0, 300, 600)):
        pixels = np.where(drawn_pelvis() == 3000, 3000 - shift // 3, drawn_pelvis()).astype(np.uint16)
        files.append(write_dicom(tmp_path / f"{index}.dcm", pixels))
    alone = [without_timings(runtime.infer(file)) for file in files]
    barrier = threading.Barrier(6)

    def work(index: int) -> list[dict[str, Any]]:
        barrier.wait()
        return [without_timings(runtime.infer(files[(index + step) % 3])) for step in range(3)]

    with ThreadPoolExecutor(6) as pool:
        for index, answers in enumerate(pool.map(work, range(6))):
            assert answers == [alone[(index + step) % 3] for step in range(3)]
    assert alone[0]["source"] != alone[1]["source"]


CALLS = """
import gc, sys
from pathlib import Path
from edge_sacro.benchmark.processes import resident_mb
from edge_sacro.memory import give_back_freed_memory
from edge_sacro.runtime import Runtime

def measured():
    gc.collect()
    assert give_back_freed_memory()
    return resident_mb("VmRSS")

kept = []
content = Path(sys.argv[2]).read_bytes()
with Runtime(Path(sys.argv[1]), threads=1) as runtime:
    for _ in range(200):
        runtime.infer(content)
    before = measured()
    for _ in range(int(sys.argv[3])):
        result = runtime.infer(content)
        kept.extend([result] if sys.argv[4:] == ["keep"] else [])
    print(measured() - before)
"""


def grown_mb(*arguments: object) -> float:
    """MB that a process of its own has more after the calls, beyond what it freed."""
    command = [sys.executable, "-c", CALLS, *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


@pytest.mark.heavy
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")  # noqa: PTH110
def test_memory_is_flat_over_a_thousand_calls(bundle: Path, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm")
    assert grown_mb(bundle, path, 1000) < 1
    assert grown_mb(bundle, path, 400, "keep") > 1, "negative control: each result kept"
