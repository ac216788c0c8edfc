"""What peers try, each beside the same attempt on pynetdicom as it is, where it works."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'serve' is not installed")
from pynetdicom import AE, evt
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation, Verification

from tests.node.dicom_peers import (
    BOUNDS,
    US,
    answer,
    associated,
    association_request,
    data_pdu,
    echoes,
    eventually,
    idle,
    receiving,
    served,
    store_command,
    trickling,
    waits,
)

leaky = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""pynetdicom's own server does not close every socket."""

DX = str(DigitalXRayImageStorageForPresentation)


@contextlib.contextmanager
def unguarded(seconds: float = 0.5, handlers: tuple[tuple[object, object], ...] = ()) -> Iterator[tuple[str, int]]:
    """pynetdicom's own server, whose timeouts do not help."""
    entity = AE(US)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = seconds
    entity.add_supported_context(DX)
    entity.add_supported_context(Verification)
    with served(entity, handlers=handlers) as port:
        yield "127.0.0.1", port


def test_idle_connections_keep_nobody_out_and_take_no_threads(tmp_path: Path) -> None:
    with receiving(tmp_path, bounds=replace(BOUNDS, request_s=30.0, waiting=100), associations=2) as node:
        for count, waiting in ((60, 60), (200, 100)):
            with idle(node.address, count):
                assert waits(node, waiting)
                assert threading.active_count() < 20
                assert echoes(node.address)
            assert waits(node, 0)
        assert node.kinds() == {"crowd"}


@leaky
def test_control_idle_connections_keep_others_out_of_pynetdicom() -> None:
    before = set(threading.enumerate())

    def more() -> int:
        return len(set(threading.enumerate()) - before)

    with unguarded(seconds=8.0) as address:
        with idle(address, 12):
            assert eventually(lambda: more() > 15), "two threads for each of ten"
            assert not echoes(address)
        assert eventually(lambda: more() < 5, 20.0)


def test_an_idle_connection_is_closed_in_time(tmp_path: Path) -> None:
    with receiving(tmp_path) as node, idle(node.address, 1) as (connection,):
        assert answer(connection) == b""
        assert node.kinds() == {"silent"}


def test_a_request_that_trickles_is_closed_in_time(tmp_path: Path) -> None:
    with receiving(tmp_path) as node, socket.create_connection(node.address) as connection:
        with trickling(connection, association_request(), 0.1):
            assert answer(connection) == b""
        assert node.kinds() == {"silent"}


@leaky
def test_control_a_request_that_trickles_stays_with_pynetdicom() -> None:
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(stack.enter_context(unguarded(seconds=2.0))))
        stack.enter_context(trickling(connection, association_request(), 0.1))
        with pytest.raises(TimeoutError):
            answer(connection, 4.0)


def test_a_pdu_that_trickles_is_cut_in_time(tmp_path: Path) -> None:
    with receiving(tmp_path) as node, associated(node.address, DX) as connection:
        with trickling(connection, data_pdu(bytes(500), command=True, last=False), 0.1):
            assert answer(connection) == b""
        assert eventually(lambda: node.receiver.associations == 0)
        assert node.kinds() == {"slow_pdu"}


def test_small_pdus_that_never_end_a_message_are_cut_in_time(tmp_path: Path) -> None:
    bounds = replace(BOUNDS, slow_s=0.5, slow_bytes_s=1000.0)
    with receiving(tmp_path, bounds=bounds) as node, associated(node.address, DX) as connection:
        connection.sendall(data_pdu(store_command(DX, "1.2.3"), command=True, last=True))
        with contextlib.suppress(OSError):
            for _ in range(30):
                connection.sendall(data_pdu(b"12", command=False, last=False))
                time.sleep(0.05)
        assert answer(connection) == b""
        assert node.kinds() == {"slow_message"}
        assert eventually(lambda: not node.leftovers())


@pytest.mark.parametrize(("kind", "before"), [("no_request", False), ("long_pdu", True)])
def test_the_length_of_a_pdu_is_not_believed(tmp_path: Path, kind: str, before: bool) -> None:
    header = struct.pack(">BBI", 4 if before else 1, 0, 1_500_000_000)
    with receiving(tmp_path) as node, contextlib.ExitStack() as stack:
        associate = associated(node.address, DX) if before else socket.create_connection(node.address)
        connection = stack.enter_context(associate)
        connection.sendall(header)
        assert answer(connection) == b""
        assert eventually(lambda: node.kinds() == {kind}), "at once: when its time was up it would be another kind"


@leaky
def test_control_pynetdicom_takes_what_a_length_announces_from_strangers() -> None:
    megabytes = 3
    with unguarded() as address, socket.create_connection(address) as connection:
        connection.sendall(struct.pack(">BBI", 1, 0, 1_500_000_000))
        connection.settimeout(2.0)
        for _ in range(megabytes):
            connection.sendall(bytes(1 << 20))
        with pytest.raises(TimeoutError):
            answer(connection, 0.5)


def test_a_data_set_that_does_not_end_is_cut_and_nothing_of_it_stays(tmp_path: Path) -> None:
    sent = 0
    with receiving(tmp_path, bounds=replace(BOUNDS, instance_bytes=1 << 20)) as node:
        with associated(node.address, DX) as connection:
            connection.sendall(data_pdu(store_command(DX, "1.2.3"), command=True, last=True))
            with contextlib.suppress(OSError):
                while sent < 32 << 20:
                    connection.sendall(data_pdu(bytes(1 << 16), command=False, last=False))
                    sent += 1 << 16
        assert sent < 32 << 20
        assert eventually(lambda: node.kinds() == {"endless_data_set"})
        assert node.leftovers() == []


@leaky
def test_control_pynetdicom_takes_a_data_set_of_any_size() -> None:
    received: list[int] = []

    def handle(event: evt.Event) -> int:
        received.append(len(event.request.DataSet.getvalue()))
        return 0x0000

    with unguarded(handlers=((evt.EVT_C_STORE, handle),)) as address, associated(address, DX) as connection:
        connection.sendall(data_pdu(store_command(DX, "1.2.3"), command=True, last=True))
        for _ in range(512):
            connection.sendall(data_pdu(bytes(1 << 16), command=False, last=False))
        connection.sendall(data_pdu(b"", command=False, last=True))
        assert answer(connection, 20.0)
    assert received == [32 << 20]


@leaky
def test_control_pynetdicom_hands_a_path_on_as_a_uid() -> None:
    received: list[str] = []

    def handle(event: evt.Event) -> int:
        received.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    with unguarded(handlers=((evt.EVT_C_STORE, handle),)) as address, associated(address, DX) as connection:
        connection.sendall(data_pdu(store_command(DX, "../../../tmp/x"), command=True, last=True))
        connection.sendall(data_pdu(bytes(8), command=False, last=True))
        assert answer(connection)
    assert received == ["../../../tmp/x"]


def test_a_command_that_does_not_end_is_cut(tmp_path: Path) -> None:
    with receiving(tmp_path) as node, associated(node.address, DX) as connection:
        with contextlib.suppress(OSError):
            for _ in range(8):
                connection.sendall(data_pdu(bytes(16_000), command=True, last=False))
        assert answer(connection) == b""
        assert node.kinds() == {"long_command"}


def test_requests_that_wait_for_no_answer_are_cut(tmp_path: Path) -> None:
    release = threading.Event()
    with receiving(tmp_path) as node:
        node.receiver._store = lambda _: release.wait(5) and 0x0000  # type: ignore[method-assign]
        with associated(node.address, DX) as connection:
            with contextlib.suppress(OSError):
                for number in range(40):
                    connection.sendall(data_pdu(store_command(DX, f"1.2.{number}"), command=True, last=True))
                    connection.sendall(data_pdu(bytes(8), command=False, last=True))
            assert eventually(lambda: node.kinds() == {"pipelined"})
        release.set()
        assert eventually(lambda: not node.leftovers())


@pytest.mark.parametrize(
    "said",
    [
        data_pdu(bytes(20), command=False, last=False),
        data_pdu(os.urandom(40), command=True, last=True),
        data_pdu(store_command(DX, "1.2.3")[:50], command=True, last=True),
        association_request(),
        struct.pack(">BBI", 4, 0, 4) + bytes(4),
        struct.pack(">BBIII", 4, 0, 8, 1 << 30, 0),
        struct.pack(">BBI", 0x77, 0, 4) + bytes(4),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["no command", "noise", "half a command", "second request", "no item", "long item", "unknown", "http"],
)
def test_what_cannot_be_understood_ends_that_association_alone(
    tmp_path: Path, said: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with receiving(tmp_path) as node:
        with associated(node.address, DX) as connection:
            connection.sendall(said)
            assert answer(connection)[:1] in {b"", b"\x07"}
        assert eventually(lambda: node.receiver.associations == 0)
        assert echoes(node.address)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_when_all_associations_are_taken_the_idlest_gives_way(tmp_path: Path) -> None:
    with receiving(tmp_path, associations=2) as node, contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(associated(node.address, DX)) for _ in range(2))
        with socket.create_connection(node.address) as third:
            third.sendall(association_request())
            assert answer(third) == bytes((3, 0, 0, 0, 0, 4, 0, 2, 3, 2))
        time.sleep(BOUNDS.request_s)
        second.sendall(data_pdu(store_command(DX, "1.2.3"), command=True, last=True))
        second.sendall(data_pdu(b"12", command=False, last=False))
        assert eventually(lambda: bool(node.leftovers()))
        assert echoes(node.address)
        assert answer(first) == b""
        second.sendall(data_pdu(b"12", command=False, last=True))
        assert answer(second)[0] == 4


def test_an_association_that_says_nothing_more_is_ended(tmp_path: Path) -> None:
    with receiving(tmp_path, bounds=replace(BOUNDS, idle_s=0.5)) as node:
        with associated(node.address, DX) as connection:
            assert answer(connection)[:1] == b"\x07"
        assert eventually(lambda: node.receiver.associations == 0)
