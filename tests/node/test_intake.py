"""The way in: what is acknowledged is on the disk and in the queue, what is not leaves nothing there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge_sacro.errors import DiskFull, NotDicom, QueueFull, StorageFailed, TruncatedFile
from edge_sacro.node.records import Accepted, Outcome
from tests.node.stand_in import Parts, answer_of, instance_bytes, parts


@pytest.fixture
def node(tmp_path: Path) -> Parts:
    return parts(tmp_path / "node")


def _files(node: Parts) -> list[Path]:
    return [*node.spool.incoming.iterdir(), *node.spool.instances.glob("*/*")]


def test_what_is_taken_is_in_the_queue_under_its_hash_and_wakes_the_assessor(node: Parts) -> None:
    accepted = node.receive(instance_bytes())
    instance = node.store.instance(accepted.sequence)
    assert instance is not None
    assert instance.path == f"instances/{instance.sha256[:2]}/{instance.sha256}.dcm"
    assert node.spool.path(instance.path).read_bytes() == instance_bytes()
    assert node.intake.arrived.is_set()
    assert [(each["event"], each["instance"]) for each in node.events()] == [("received", accepted.sequence)]


@pytest.mark.parametrize(
    "data",
    [b"", b"no DICOM" * 100, instance_bytes()[:200], instance_bytes("2.25.7").replace(b"2.25.7", b"../../")],
)
def test_what_is_no_instance_is_refused_and_leaves_nothing(node: Parts, data: bytes) -> None:
    with pytest.raises((NotDicom, TruncatedFile)):
        node.receive(data)
    assert _files(node) == []
    assert node.store.waiting() == 0


def test_a_uid_is_never_a_path(node: Parts) -> None:
    with pytest.raises(NotDicom):
        node.receive(instance_bytes("2.25.7").replace(b"2.25.7", b"../../"))


def test_beyond_the_limit_of_the_queue_nothing_is_received(tmp_path: Path) -> None:
    node = parts(tmp_path / "node", limits={"queue": 2})
    for n in (1, 2):
        node.receive(instance_bytes(f"2.25.{n}"))
    with pytest.raises(QueueFull):
        node.receive(instance_bytes("2.25.3"))
    node.store.quarantine(1, "internal", "why")
    assert node.receive(instance_bytes("2.25.3")).what == "new"


def test_where_the_queue_cannot_enter_it_the_file_goes_again(node: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> Accepted:
        raise DiskFull("no space")

    monkeypatch.setattr(node.store, "accept", full)
    with pytest.raises(DiskFull):
        node.receive(instance_bytes())
    assert _files(node) == []


def test_after_the_disk_failed_the_file_stays_as_nobody_knows_what_was_written(
    node: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> Accepted:
        raise StorageFailed("it is gone")

    monkeypatch.setattr(node.store, "accept", broken)
    with pytest.raises(StorageFailed):
        node.receive(instance_bytes())
    assert len(_files(node)) == 1


def test_an_instance_whose_files_went_long_ago_leaves_none_when_it_comes_again(node: Parts) -> None:
    sequence = node.receive(instance_bytes()).sequence
    answer = answer_of()
    results = node.spool.write_results(sequence, answer.files)
    node.store.assessed(sequence, Outcome("negative", None, None, "{}", str(results), None), [])
    instance = node.store.instance(sequence)
    assert instance is not None
    node.store.purged(sequence)
    node.spool.purge(str(instance.path))
    assert node.receive(instance_bytes()) == (sequence, "again")
    assert _files(node) == []


def test_the_same_bytes_from_many_at_once_are_one_instance_with_its_file(node: Parts) -> None:
    answers: list[Accepted] = []
    threads = [threading.Thread(target=lambda: answers.append(node.receive(instance_bytes()))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(each.what for each in answers) == ["again"] * 7 + ["new"]
    assert len(_files(node)) == 1
