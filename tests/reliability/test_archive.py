"""An archive that is down, rejects, is slow or dies: each result arrives in the end, and once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the node's extra is not installed")

from bench.reliability_archive import Mode, OurArchive
from bench.reliability_careless import VARIABLE
from bench.reliability_kill import judge
from bench.reliability_load import Load, associated, numbered
from bench.reliability_node import NodeProcess
from edge_sacro.node.proof import blank_image
from tests.node.stand_in import until

MODES: tuple[Mode, ...] = ("rejecting", "slow", "dying", "well")


@pytest.fixture
def archive() -> Iterator[OurArchive]:
    archive = OurArchive()
    yield archive
    archive.stop()


def _through(modes: tuple[Mode, ...], work: Path, archive: OurArchive, defect: str = "") -> tuple[NodeProcess, Load]:
    """A node whose archive is down, then fails in each of these ways; instances come all the time."""
    node = NodeProcess(work, archive.port, module="bench.reliability_quick", environment={VARIABLE: defect})
    template = blank_image()
    node.start()
    load = Load(node.port, lambda number: numbered(template, "archive", number), pause_s=0.2)
    load.start()
    assert until(lambda: len(load.acknowledged) > 2)
    archive.start()
    for mode in modes:
        archive.mode = mode
        before, arrived = len(load.acknowledged), archive.arrivals
        assert until(lambda before=before: len(load.acknowledged) > before + 2)  # type: ignore[misc]
        if mode != "rejecting":
            assert until(lambda arrived=arrived: archive.arrivals > arrived)  # type: ignore[misc]
    load.stop()
    assert node.settled(60)
    assert node.stop() == 0
    return node, load


def test_each_result_arrives_once_whatever_the_archive_did(archive: OurArchive, tmp_path: Path) -> None:
    node, load = _through(MODES, tmp_path, archive)
    rows = {row["sop_instance_uid"]: row["state"] for row in node.rows("SELECT sop_instance_uid, state FROM instance")}
    verdict = judge(load.acknowledged, rows, archive.results())
    assert verdict.whole, verdict
    assert not archive.changed
    # at least once: the archive that died had kept what it did not confirm, and got it again
    assert archive.arrivals > len(load.acknowledged)
    failures = {each["event"] for each in node.events()}
    assert {"destination_fails", "not_sent", "sent"} <= failures


def test_a_node_that_renames_what_it_sends_again_is_found_out(archive: OurArchive, tmp_path: Path) -> None:
    node, load = _through(("dying", "well"), tmp_path, archive, "renames")
    rows = {row["sop_instance_uid"]: row["state"] for row in node.rows("SELECT sop_instance_uid, state FROM instance")}
    assert judge(load.acknowledged, rows, archive.results()).doubled


def test_the_same_instance_again_is_one_and_other_bytes_under_its_uid_are_two(
    archive: OurArchive, tmp_path: Path
) -> None:
    archive.start()
    node = NodeProcess(tmp_path, archive.port, module="bench.reliability_quick")
    node.start()
    first = numbered(blank_image(), "twice", 1)
    other = numbered(blank_image(), "twice", 1)
    other.ImageComments = "another one"
    second = numbered(blank_image(), "twice", 2)
    # a series split over associations, out of order, with a repetition and a conflict in it
    for sent in ([second, first], [first], [other], [first, second]):
        association = associated(node.port, str(first.SOPClassUID), first)
        assert association is not None
        for each in sent:
            assert association.send_c_store(each).Status == 0
        association.release()
    assert node.settled(30)
    assert node.stop() == 0
    rows = node.rows("SELECT sop_instance_uid, conflict, times_received, state FROM instance ORDER BY sequence")
    assert [tuple(row) for row in rows] == [
        (str(second.SOPInstanceUID), 0, 2, "delivered"),
        (str(first.SOPInstanceUID), 0, 3, "delivered"),
        (str(first.SOPInstanceUID), 1, 1, "delivered"),
    ]
    assert {uid: len(reports) for uid, reports in archive.results().items()} == {
        str(first.SOPInstanceUID): 1,
        str(second.SOPInstanceUID): 1,
    }
