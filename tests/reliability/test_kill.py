"""kill -9 at random moments under load: nothing acknowledged is lost or doubled, and the experiment can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the node's extra is not installed")

from bench.reliability_archive import OurArchive
from bench.reliability_careless import VARIABLE
from bench.reliability_kill import KillRecord, judge, run_kills
from bench.reliability_node import NodeProcess

QUICK = "bench.reliability_quick"


def _killed(work: Path, kills: int, defect: str) -> KillRecord:
    archive = OurArchive(takes_s=0.1)
    archive.start()
    try:
        node = NodeProcess(work, archive.port, module=QUICK, environment={VARIABLE: defect})
        record = run_kills(node, archive, kills, seed=7, longest_s=0.7)
        assert not archive.changed, "a result arrived twice with different bytes"
    finally:
        archive.stop()
    assert record.kills == kills
    return record


def test_ten_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    record = _killed(tmp_path, 10, "")
    assert record.verdict is not None
    assert record.verdict.acknowledged > 10
    assert record.verdict.lost == ()
    assert record.verdict.doubled == ()
    assert set(record.verdict.states) == {"delivered"}
    assert record.trail == ()


def test_a_node_that_acknowledges_before_it_writes_is_found_out(tmp_path: Path) -> None:
    record = _killed(tmp_path, 3, "acknowledges")
    assert record.verdict is not None
    assert record.verdict.lost


def test_the_verdict_tells_what_is_lost_and_what_is_doubled() -> None:
    whole = judge(["1", "2"], {"1": "delivered", "2": "refused"}, {"1": {"11"}, "2": {"22"}})
    assert whole.whole
    assert judge(["1"], {}, {"1": {"11"}}).lost == ("1",)
    assert judge(["1"], {"1": "delivered"}, {}).lost == ("1",)
    assert judge(["1"], {"1": "quarantined"}, {"1": {"11"}}).lost == ("1",)
    assert judge(["1"], {"1": "delivered"}, {"1": {"11", "12"}}).doubled == ("1",)
