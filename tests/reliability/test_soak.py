"""What a process holds does not grow with what goes through it, and a node that leaks is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the node's extra is not installed")

from bench.reliability_archive import OurArchive
from bench.reliability_careless import VARIABLE
from bench.reliability_node import NodeProcess
from bench.reliability_soak import SoakRecord, leaks, run_soak


def _soaked(work: Path, defect: str, instances: int) -> SoakRecord:
    archive = OurArchive()
    archive.start()
    try:
        node = NodeProcess(work, archive.port, module="bench.reliability_quick", environment={VARIABLE: defect})
        return run_soak(node, archive, instances, every_s=0.1)
    finally:
        archive.stop()


def test_sixty_instances_leave_nothing_behind(tmp_path: Path) -> None:
    record = _soaked(tmp_path, "", 60)
    assert leaks(record.grown) == [], record.grown
    assert record.verdict.whole
    assert record.instances == 60


def test_a_node_that_leaks_is_found_out(tmp_path: Path) -> None:
    record = _soaked(tmp_path, "leaks", 60)
    assert {"descriptors", "threads", "memory_mb"} <= set(leaks(record.grown)), record.grown
