"""The assessor: every instance ends in one state, and what concerns all of them stops the node."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge_sacro.errors import BackendFailed, DiskFull, OutputNotWritten, StorageFailed
from edge_sacro.node import work
from edge_sacro.node.records import State
from edge_sacro.node.work import content_sha256
from tests.node.stand_in import Parts, Scripted, answer_of, destination, instance_bytes, parts, until


def _state(node: Parts, sequence: int) -> tuple[str, str | None]:
    instance = node.store.instance(sequence)
    assert instance is not None
    return instance.state, instance.reason_code


def _run(node: Parts, sequence: int, states: set[str]) -> None:
    """Start the assessor, and wait for an instance to be in one of these states."""
    node.worker.start()
    assert until(lambda: _state(node, sequence)[0] in states), _state(node, sequence)


@pytest.fixture
def node(tmp_path: Path) -> Parts:
    return parts(tmp_path / "node")


def _stop(node: Parts) -> None:
    node.halt.ask()
    assert node.worker.stop(10)


def test_an_answer_is_kept_and_sent_to_each_destination_that_wants_it(tmp_path: Path) -> None:
    to = (
        destination("archive", objects=("sr", "seg")),
        destination("desk", objects=("sr",)),
        destination("no", objects=("sc",)),
    )
    node = parts(tmp_path, Scripted([answer_of(kinds=("sr", "seg"))]), to)
    sequence = node.receive(instance_bytes()).sequence
    _run(node, sequence, {State.SENDING})
    assert node.woken.wait(5)
    found = {(each.destination, Path(each.path).name) for each in node.store.deliveries(sequence)}
    assert found == {("archive", "sr.dcm"), ("archive", "seg.dcm"), ("desk", "sr.dcm")}
    for each in node.store.deliveries(sequence):
        assert node.spool.path(each.path).read_bytes() == Path(each.path).stem.encode()
    _stop(node)


def test_a_refused_instance_ends_refused_with_its_reason(tmp_path: Path) -> None:
    node = parts(tmp_path, Scripted([answer_of("refused", ())]))
    sequence = node.receive(instance_bytes()).sequence
    _run(node, sequence, {State.REFUSED})
    assert _state(node, sequence) == ("refused", "not_dicom")
    _stop(node)


def test_an_instance_that_took_the_node_down_too_often_is_set_aside_unasked(node: Parts) -> None:
    sequence = node.receive(instance_bytes()).sequence
    for _ in range(node.config.limits.attempts):
        assert node.store.next_to_assess() is not None
        node.store.recover()
    other = node.receive(instance_bytes("2.25.77")).sequence
    _run(node, other, {State.DELIVERED})
    assert _state(node, sequence) == ("quarantined", "node_died")
    assert node.answers.asked == [other]
    _stop(node)


def test_one_death_less_and_it_is_assessed(node: Parts) -> None:
    sequence = node.receive(instance_bytes()).sequence
    for _ in range(node.config.limits.attempts - 1):
        assert node.store.next_to_assess() is not None
        node.store.recover()
    _run(node, sequence, {State.DELIVERED})
    _stop(node)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("SECRET^NAME"), "internal"), (OutputNotWritten("no SR can be made"), "output_not_written")],
)
def test_what_is_wrong_with_one_instance_ends_that_one_alone(tmp_path: Path, error: Exception, code: str) -> None:
    node = parts(tmp_path, Scripted([error, answer_of()]))
    first, second = node.receive(instance_bytes()).sequence, node.receive(instance_bytes("2.25.77")).sequence
    _run(node, second, {State.DELIVERED})
    assert _state(node, first) == ("quarantined", code)
    assert not node.halt.asked
    _stop(node)
    # what an exception says may be the header's words
    assert "SECRET" not in node.told.getvalue()
    instance = node.store.instance(first)
    assert instance is not None
    assert "SECRET" not in str(instance)


def test_a_backend_that_failed_stops_the_node_and_the_instance_waits(tmp_path: Path) -> None:
    node = parts(tmp_path, Scripted([BackendFailed("the GPU is gone")]))
    sequence = node.receive(instance_bytes()).sequence
    node.worker.start()
    assert node.halt.wait(5)
    assert isinstance(node.halt.error, BackendFailed)
    assert node.worker.stop(5)
    assert _state(node, sequence) == ("received", None)


def test_a_disk_that_failed_stops_the_node(node: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Path:
        raise StorageFailed("it is gone")

    monkeypatch.setattr(node.spool, "write_results", broken)
    node.receive(instance_bytes())
    node.worker.start()
    assert node.halt.wait(5)
    assert isinstance(node.halt.error, StorageFailed)


def test_a_full_disk_is_waited_for_and_the_answer_is_kept_then(node: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "FULL_S", 0.01)
    write, full = node.spool.write_results, threading.Event()
    full.set()

    def sometimes(sequence: int, files: dict[str, bytes]) -> Path:
        if full.is_set():
            raise DiskFull("no space")
        return write(sequence, files)

    monkeypatch.setattr(node.spool, "write_results", sometimes)
    sequence = node.receive(instance_bytes()).sequence
    node.worker.start()
    assert until(lambda: node.worker.stuck is not None)
    assert _state(node, sequence)[0] == State.ASSESSING
    full.clear()
    assert until(lambda: _state(node, sequence)[0] == State.DELIVERED)
    assert until(lambda: node.worker.stuck is None)
    assert node.answers.asked == [sequence]
    assert [each["event"] for each in node.events()].count("disk_full") == 1
    _stop(node)


@pytest.mark.parametrize("damage", ["flip", "cut", "preamble"])
def test_a_file_that_the_disk_changed_is_not_assessed(node: Parts, damage: str) -> None:
    sequence = node.receive(instance_bytes(comment="pixels")).sequence
    instance = node.store.instance(sequence)
    assert instance is not None
    assert instance.path is not None
    place = node.spool.path(instance.path)
    data = bytearray(place.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
    elif damage == "cut":
        del data[-4:]
    else:
        data[128] ^= 1
    place.write_bytes(data)
    _run(node, sequence, {State.QUARANTINED})
    assert _state(node, sequence)[1] == "file_changed"
    assert node.answers.asked == []
    _stop(node)


def test_a_file_that_is_gone_is_told(node: Parts) -> None:
    sequence = node.receive(instance_bytes()).sequence
    instance = node.store.instance(sequence)
    assert instance is not None
    node.spool.purge(str(instance.path))
    _run(node, sequence, {State.QUARANTINED})
    assert _state(node, sequence)[1] == "file_lost"
    _stop(node)


def test_receiving_goes_on_while_an_instance_is_assessed(tmp_path: Path) -> None:
    hold = threading.Event()
    node = parts(tmp_path, Scripted(hold=hold))
    first = node.receive(instance_bytes()).sequence
    _run(node, first, {State.ASSESSING})
    others = [node.receive(instance_bytes(f"2.25.1{n}")).sequence for n in range(5)]
    assert _state(node, first)[0] == State.ASSESSING
    assert node.worker.busy_s() > 0
    hold.set()
    assert until(lambda: all(_state(node, each)[0] == State.DELIVERED for each in others))
    assert node.answers.asked == [first, *others]
    _stop(node)


def test_what_is_being_assessed_is_finished_before_the_node_stops(tmp_path: Path) -> None:
    hold = threading.Event()
    node = parts(tmp_path, Scripted(hold=hold))
    first = node.receive(instance_bytes()).sequence
    second = node.receive(instance_bytes("2.25.77")).sequence
    _run(node, first, {State.ASSESSING})
    node.halt.ask()
    assert not node.worker.stop(0.05)
    hold.set()
    assert node.worker.stop(10)
    assert _state(node, first)[0] == State.DELIVERED
    assert _state(node, second)[0] == State.RECEIVED


def test_the_hash_is_of_the_data_set_and_its_syntax_whatever_stands_before(node: Parts) -> None:
    data = instance_bytes()
    other_preamble = b"\1" * 128 + data[128:]
    assert content_sha256(other_preamble) == content_sha256(data)
    assert content_sha256(instance_bytes(comment="other")) != content_sha256(data)
    accepted = node.receive(data)
    instance = node.store.instance(accepted.sequence)
    assert instance is not None
    assert instance.sha256 == content_sha256(data)
    assert node.receive(other_preamble).what == "again"
