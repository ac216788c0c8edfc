"""Sending: what arrives, what is tried again and when, and what is given to a person."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'serve' is not installed")
from pydicom import dcmread

from edge_sacro.errors import StorageFailed
from edge_sacro.node.config import Sending
from edge_sacro.node.records import DeliveryState, State
from edge_sacro.node.retry import Backoff, state_from_status
from tests.node.dicom_outbox import PACS, SENDING, Pacs, Queue, destination, free_port, sending
from tests.node.dicom_peers import data_set_bytes, eventually

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""pynetdicom's own server, which stands for the destination, does not close every socket."""


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0x0000, DeliveryState.STORED),
        (0xB000, DeliveryState.STORED),
        (0xB006, DeliveryState.STORED),
        (0xB007, DeliveryState.STORED),
        (0x0111, DeliveryState.STORED),
        (0xA700, DeliveryState.WAITING),
        (0xA7FF, DeliveryState.WAITING),
        (0x0110, DeliveryState.WAITING),
        (0x0124, DeliveryState.WAITING),
        (0xFE00, DeliveryState.WAITING),
        (0xA900, DeliveryState.REJECTED),
        (0xA9FF, DeliveryState.REJECTED),
        (0xC000, DeliveryState.REJECTED),
        (0xCFFF, DeliveryState.REJECTED),
        (0x0122, DeliveryState.REJECTED),
    ],
)
def test_each_status_has_its_consequence(status: int, state: DeliveryState) -> None:
    assert state_from_status(status) is state


def test_results_arrive_byte_for_byte_on_one_association(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    files = [*queue.add("1.2.1", "1.2.2"), *queue.add("1.2.3")]
    with Pacs().running() as pacs, sending(queue, destination(pacs.port)):
        assert eventually(lambda: queue.instance_states() == [State.DELIVERED] * 2)
    assert pacs.kept == [(path.stem, data_set_bytes(path)) for path in files]
    assert pacs.associations == 1
    assert [event["state"] for event in queue.events("sent")] == ["stored"] * 3


def test_what_comes_later_is_sent_when_the_sender_is_woken(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    with Pacs().running() as pacs, sending(queue, destination(pacs.port)) as sender:
        time.sleep(0.1)
        queue.add("1.2.1")
        time.sleep(0.2)
        assert pacs.kept == []
        sender.wake()
        assert eventually(lambda: queue.states() == ["stored"])


def test_a_destination_that_is_away_gets_everything_once_it_is_back(tmp_path: Path) -> None:
    queue, port, pacs = Queue(tmp_path), free_port(), Pacs()
    queue.add("1.2.1")
    with sending(queue, destination(port)) as sender:
        assert eventually(lambda: sender.trouble is not None)
        assert "refused" in str(sender.trouble)
        assert queue.states() == ["waiting"]
        assert "refused" in str(queue.deliveries()[0].error)
        with pacs.running(port):
            assert eventually(lambda: queue.instance_states() == [State.DELIVERED])
            assert sender.trouble is None
    assert pacs.uids() == ["1.2.1"]


@pytest.mark.parametrize("status", [0xA700, 0x0110, None], ids=["out of resources", "processing failure", "abort"])
def test_what_a_retry_may_mend_is_tried_again(tmp_path: Path, status: int | None) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    (path,) = queue.add("1.2.1")
    pacs.status = lambda _: status if len(pacs.kept) < 3 else 0x0000
    with pacs.running(), sending(queue, destination(pacs.port)):
        assert eventually(lambda: queue.instance_states() == [State.DELIVERED])
    assert pacs.kept == [("1.2.1", data_set_bytes(path))] * 3


@pytest.mark.parametrize("status", [0xA900, 0xC123, 0x0122])
def test_what_no_retry_mends_sets_the_instance_aside(tmp_path: Path, status: int) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1", "1.2.2")
    queue.add("1.2.3")
    pacs.status = lambda uid: status if uid == "1.2.1" else 0x0000
    with pacs.running(), sending(queue, destination(pacs.port)):
        assert eventually(lambda: queue.instance_states() == [State.QUARANTINED, State.DELIVERED])
        time.sleep(0.2)
    assert queue.states() == ["rejected", "stored", "stored"]
    assert queue.deliveries()[0].error == f"status 0x{status:04X}"
    assert pacs.uids() == ["1.2.1", "1.2.2", "1.2.3"]


def test_an_object_that_the_destination_does_not_take_sets_the_instance_aside(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.add("1.2.1", sop_class="1.2.840.10008.5.1.4.1.1.88.34")
    queue.add("1.2.2")
    with Pacs().running() as pacs, sending(queue, destination(pacs.port)):
        assert eventually(lambda: queue.instance_states() == [State.QUARANTINED, State.DELIVERED])
    assert "not negotiated" in str(queue.deliveries()[0].error)


def test_a_destination_that_takes_nothing_of_it_at_all_sets_the_instance_aside(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.add("1.2.1", sop_class="1.2.840.10008.5.1.4.1.1.88.34")
    with Pacs().running() as pacs, sending(queue, destination(pacs.port)):
        assert eventually(lambda: queue.instance_states() == [State.QUARANTINED])


def test_a_rejected_association_is_told_and_tried_again(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.add("1.2.1")
    with Pacs().running() as pacs, sending(queue, destination(pacs.port, ae_title="OTHER")) as sender:
        assert eventually(lambda: len(queue.events("destination_fails")) >= 2)
        assert "alled AE title not recognised" in str(sender.trouble)
    assert queue.states() == ["waiting"]


def test_one_object_that_breaks_every_association_holds_up_no_other(tmp_path: Path) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1")
    queue.add("1.2.2", "1.2.3")
    pacs.status = lambda uid: None if uid == "1.2.1" else 0x0000
    with pacs.running(), sending(queue, destination(pacs.port)):
        assert eventually(lambda: queue.states() == ["waiting", "stored", "stored"])
        assert eventually(lambda: pacs.uids().count("1.2.1") >= 3)


def test_a_silent_destination_is_given_up_in_time(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.add("1.2.1")
    settings = SENDING.model_copy(update={"timeout_s": 0.3})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        begun = time.monotonic()
        with sending(queue, destination(port), settings):
            assert eventually(lambda: bool(queue.events("destination_fails")))
        assert time.monotonic() - begun < 3
    assert queue.states() == ["waiting"]


def test_what_a_killed_sender_left_is_sent_at_once_by_the_next(tmp_path: Path) -> None:
    queue, pacs = Queue(tmp_path), Pacs()
    queue.add("1.2.1")
    slow = SENDING.model_copy(update={"retry_first_s": 60.0, "retry_longest_s": 60.0})
    with sending(queue, destination(free_port()), slow):
        assert eventually(lambda: bool(queue.events("destination_fails")))
    with pacs.running(), sending(queue, destination(pacs.port), slow):
        assert eventually(lambda: queue.states() == ["stored"])


def test_a_file_that_is_gone_sets_the_instance_aside(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    (path,) = queue.add("1.2.1")
    queue.add("1.2.2")
    path.unlink()
    with Pacs().running() as pacs, sending(queue, destination(pacs.port)):
        assert eventually(lambda: queue.instance_states() == [State.QUARANTINED, State.DELIVERED])
    assert "gone" in str(queue.deliveries()[0].error)


def test_a_failed_disk_stops_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(tmp_path)
    queue.add("1.2.1")

    def fail(*_: object, **__: object) -> None:
        raise StorageFailed("x")

    monkeypatch.setattr(queue.store, "delivery_moved", fail)
    with Pacs().running() as pacs, sending(queue, destination(pacs.port)):
        assert eventually(lambda: isinstance(queue.outbox.halt.error, StorageFailed))


def test_a_defect_of_ours_stops_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(tmp_path)
    monkeypatch.setattr(queue.store, "outstanding", lambda _: 1 / 0)
    with sending(queue, destination(1)):
        assert eventually(lambda: queue.outbox.halt.error is not None)
    assert queue.outbox.halt.error is not None
    assert queue.outbox.halt.error.code == "internal"


def test_waiting_times_grow_up_to_the_longest_and_begin_anew_after_success() -> None:
    backoff = Backoff(Sending(retry_first_s=1.0, retry_longest_s=6.0))
    waits = []
    for _ in range(5):
        backoff.failed()
        waits.append(backoff.due - time.monotonic())
    for wait, longest in zip(waits, (1, 2, 4, 6, 6), strict=True):
        assert longest * 0.74 < wait <= longest
    backoff.succeeded()
    backoff.failed()
    assert backoff.due - time.monotonic() <= 1.0


def test_nothing_of_a_patient_is_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    queue = Queue(tmp_path)
    queue.add("1.2.3.99.88")
    with Pacs().running() as pacs, sending(queue, destination(pacs.port)):
        assert eventually(lambda: queue.states() == ["stored"])
    said = queue.log.getvalue() + "".join(capfd.readouterr())
    assert "sent" in said
    assert not [each for each in ("Doe", "4711", "1.2.3.99.88") if each in said]


@pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed")
def test_dcmtk_takes_the_results_unchanged(tmp_path: Path) -> None:
    queue, port = Queue(tmp_path / "node"), free_port()
    files = queue.add("1.2.1", "1.2.2")
    (kept := tmp_path / "kept").mkdir()
    command = ["storescp", "-aet", PACS, "-od", str(kept), "--bit-preserving", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            with sending(queue, destination(port)):
                assert eventually(lambda: queue.instance_states() == [State.DELIVERED])
        finally:
            server.terminate()
    got = {dcmread(path).SOPInstanceUID: data_set_bytes(path) for path in kept.iterdir()}
    assert got == {path.stem: data_set_bytes(path) for path in files}
