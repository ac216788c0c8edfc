"""Faults of the machine: a full disk, syncs that fail, a clock that jumps; nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the node's extra is not installed")

from bench.reliability_careless import LATE_S, VARIABLE
from bench.reliability_faults import Faults, NotHere, build_faults, small_disk
from bench.reliability_load import Load, numbered
from bench.reliability_node import NodeProcess
from edge_sacro.node.proof import blank_image
from tests.node.stand_in import until

QUICK = "bench.reliability_quick"


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    try:
        return build_faults(tmp_path / "faults")
    except NotHere as why:
        pytest.skip(str(why))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    try:
        with small_disk(tmp_path / "disk", 16) as place:
            yield place
    except NotHere as why:
        pytest.skip(str(why))


def _modality(node: NodeProcess, pause_s: float = 0.0, most: int | None = None) -> Load:
    template = blank_image()
    load = Load(node.port, lambda number: numbered(template, "faults", number), pause_s, most)
    load.start()
    return load


def _states(node: NodeProcess) -> dict[str, str]:
    return {row["sop_instance_uid"]: row["state"] for row in node.rows("SELECT sop_instance_uid, state FROM instance")}


def test_a_full_disk_refuses_what_it_cannot_keep_and_takes_it_when_there_is_room(disk: Path) -> None:
    filler = disk / "filler"
    filler.write_bytes(b"\0" * (8 << 20))
    node = NodeProcess(disk / "node", module=QUICK)
    node.start()
    load = _modality(node)
    assert until(lambda: load.failed.get("0xA700", 0) > 3, 30), load.failed
    before = len(load.acknowledged)
    assert before > 3
    filler.unlink()
    assert until(lambda: len(load.acknowledged) > before + 2, 30), load.failed
    load.stop()
    assert node.settled(30)
    assert node.stop() == 0
    states = _states(node)
    assert {states[uid] for uid in load.acknowledged} == {"delivered"}
    assert list((node.folder / "incoming").iterdir()) == []
    assert [each for each in (node.folder / "results").iterdir() if each.suffix == ".part"] == []


def test_on_a_full_disk_a_node_that_acknowledges_first_is_found_out(disk: Path) -> None:
    (disk / "filler").write_bytes(b"\0" * (12 << 20))
    node = NodeProcess(disk / "node", module=QUICK, environment={VARIABLE: "acknowledges"})
    node.start()
    load = _modality(node, most=12)
    assert until(load.done.is_set, 30)
    time.sleep(2 * LATE_S)
    node.kill()
    states = _states(node)
    assert any(uid not in states for uid in load.acknowledged)


def test_a_sync_that_fails_stops_the_node_before_it_acknowledges_and_nothing_is_lost(
    faults: Faults, tmp_path: Path
) -> None:
    node = NodeProcess(tmp_path / "node", module=QUICK, environment=faults.environment)
    node.start()
    load = _modality(node, pause_s=0.05)
    assert until(lambda: len(load.acknowledged) > 3)
    faults.fail_syncs(True)
    assert node.process is not None
    assert node.process.wait(30) == 92
    faults.fail_syncs(False)
    before = len(load.acknowledged)
    node.start()
    assert until(lambda: len(load.acknowledged) > before + 2)
    load.stop()
    assert node.settled(30)
    assert node.stop() == 0
    states = _states(node)
    assert {states[uid] for uid in load.acknowledged} == {"delivered"}


def test_a_node_that_passes_over_failed_syncs_is_found_out(faults: Faults, tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", module=QUICK, environment={**faults.environment, VARIABLE: "ignores_syncs"})
    node.start()
    faults.fail_syncs(True)
    load = _modality(node, most=3)
    assert until(load.done.is_set, 30)
    node.kill()
    states = _states(node)
    assert any(states.get(uid) != "delivered" for uid in load.acknowledged)


def test_a_clock_that_jumps_changes_neither_order_nor_outcome(faults: Faults, tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", module=QUICK, environment=faults.environment)
    day = 86_400
    jumps = (day, -day, -56 * 365 * day, 15 * 365 * day, 3600, -3600, 0)
    node.start()
    load = _modality(node, pause_s=0.02)
    for jump in jumps:
        before = len(load.acknowledged)
        faults.set_clock(jump)
        assert until(lambda before=before: len(load.acknowledged) > before + 2)  # type: ignore[misc]
    load.stop()
    assert node.settled(30)
    assert node.stop() == 0
    rows = node.rows("SELECT sop_instance_uid, state, received_at FROM instance ORDER BY sequence")
    assert [row["sop_instance_uid"] for row in rows] == list(load.acknowledged)
    assert {row["state"] for row in rows} == {"delivered"}
    # the clock did jump, and by it the order would be another one
    times = [row["received_at"] for row in rows]
    assert times != sorted(times)
    assert {"1970", "2041"} <= {each[:4] for each in times}
    assessed = [each["instance"] for each in node.events() if each["event"] == "assessed"]
    assert assessed == sorted(assessed)
    trail = [json.loads(line) for line in (node.folder / "audit.jsonl").read_text().splitlines()]
    assert [each["n"] for each in trail] == list(range(1, len(trail) + 1))
