"""Peers for the tests of the DICOM service: a receiver, what it is sent, and bytes that no library would send."""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import json
import socket
import socketserver
import struct
import threading
import time
import unittest.mock
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from edge_sacro.node.config import Dicom, Peer
from edge_sacro.node.guard import Bounds
from edge_sacro.node.halt import Halt
from edge_sacro.node.intake import Intake
from edge_sacro.node.journal import Journal
from edge_sacro.node.receive import Receiver, Reports
from edge_sacro.node.spool import Spool
from edge_sacro.node.store import Store

ROOT = Path(__file__).resolve().parents[2]
US, MODALITY = "EDGESACRO", "MODALITY"
BOUNDS = Bounds(instance_bytes=2_000_000, pdu_s=1.0, request_s=0.5, idle_s=5.0)
PEERS = (Peer(ae_title=MODALITY),)


class Receiving(NamedTuple):
    """A receiver that runs, and what stands behind it."""

    receiver: Receiver
    spool: Spool
    store: Store
    halt: Halt
    log: io.StringIO

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.receiver.port

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]

    def kinds(self) -> set[str]:
        """What peers were cut for."""
        return {line["kind"] for line in self.events("peer_cut")}

    def leftovers(self) -> list[Path]:
        return list(self.spool.incoming.iterdir())


@contextlib.contextmanager
def served(entity: AE, port: int = 0, handlers: Iterable[Any] = ()) -> Iterator[int]:
    """pynetdicom's own server, on a port of the system's choice; ended fast, and with it what it leaves open."""
    forever = functools.partialmethod(socketserver.BaseServer.serve_forever, poll_interval=0.02)
    with unittest.mock.patch.object(socketserver.BaseServer, "serve_forever", forever):
        server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers))
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        for each in entity.active_associations:
            each.abort()
        gc.collect()


@contextlib.contextmanager
def receiving(
    folder: Path,
    *,
    bounds: Bounds = BOUNDS,
    intake: Callable[[Spool, Store, Journal], Intake] = lambda *parts: Intake(*parts, 100),
    reports: Reports | None = None,
    **dicom: Any,
) -> Iterator[Receiving]:
    """A receiver on a port of the system's choice."""
    log = io.StringIO()
    journal, halt = Journal(log), Halt()
    spool = Spool(folder / "node", 0)
    store = Store(folder / "queue.sqlite")
    settings = Dicom(**{"ae_title": US, "port": 0, "peers": PEERS, **dicom})
    receiver = Receiver(settings, bounds, intake(spool, store, journal), journal, halt, reports)
    receiver.start()
    try:
        yield Receiving(receiver, spool, store, halt, log)
    finally:
        receiver.stop()
        store.close()


def radiograph(
    path: Path,
    *,
    uid: str = "1.2.3.4",
    size: int = 64,
    syntax: str = ExplicitVRLittleEndian,
    sop_class: str = DigitalXRayImageStorageForPresentation,
) -> Path:
    """A file as a console would send it."""
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength, meta.FileMetaInformationVersion = 0, b"\0\1"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = UID(syntax)
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, UID(uid)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID("1.2.3"), UID("1.2.3.1")
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Doe^Jane", "4711", "DX"
    dataset.Rows = dataset.Columns = size
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.SamplesPerPixel = 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    pixels = np.random.default_rng(sum(uid.encode())).integers(0, 4096, (size, size), dtype=np.uint16)
    dataset.PixelData = pixels.astype("<u2" if UID(syntax).is_little_endian else ">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    implicit, little = UID(syntax).is_implicit_VR, UID(syntax).is_little_endian
    dcmwrite(path, dataset, force_encoding=True, implicit_vr=implicit, little_endian=little)
    return path


def data_set_bytes(path: Path) -> bytes:
    """What follows the file meta information."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 140)
    return content[144 + length :]


def association_request(
    called: str = US, calling: str = MODALITY, contexts: int = 1, sop_class: str = "1.2.840.10008.1.1"
) -> bytes:
    """An A-ASSOCIATE-RQ made by hand, with implicit little endian."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BBH", kind, 0, len(content)) + content

    syntaxes = item(0x30, sop_class.encode()) + item(0x40, b"1.2.840.10008.1.2")
    proposals = b"".join(item(0x20, bytes((2 * n + 1, 0, 0, 0)) + syntaxes) for n in range(contexts))
    user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + proposals + user
    return struct.pack(">BBI", 1, 0, len(body)) + body


def store_command(sop_class: str, sop_instance: str, *, data_set: bool = True) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 9.3.1.1), made by hand: a library would refuse some of its UIDs."""

    def element(number: int, content: bytes) -> bytes:
        content += b"\0" * (len(content) % 2)
        return struct.pack("<HHI", 0, number, len(content)) + content

    def short(number: int, value: int) -> bytes:
        return element(number, struct.pack("<H", value))

    body = element(0x0002, sop_class.encode()) + short(0x0100, 1) + short(0x0110, 7) + short(0x0700, 0)
    body += short(0x0800, 1 if data_set else 0x0101) + element(0x1000, sop_instance.encode())
    return element(0x0000, struct.pack("<I", len(body))) + body


def status_of(response: bytes) -> int:
    """The status in the PDU of a response without a data set."""
    at = response.index(struct.pack("<HHI", 0, 0x0900, 2))
    return int(struct.unpack_from("<H", response, at + 8)[0])


@contextlib.contextmanager
def associated(address: tuple[str, int], sop_class: str) -> Iterator[socket.socket]:
    """A connection with an association for one SOP class, implicit little endian."""
    with socket.create_connection(address) as connection:
        connection.sendall(association_request(sop_class=sop_class))
        assert answer(connection)[0] == 2
        yield connection


def data_pdu(fragment: bytes, *, command: bool, last: bool, context: int = 1) -> bytes:
    """A P-DATA-TF of one fragment."""
    value = bytes((context, (1 if command else 0) | (2 if last else 0))) + fragment
    return struct.pack(">BBII", 4, 0, len(value) + 4, len(value)) + value


def answer(connection: socket.socket, seconds: float = 15.0) -> bytes:
    """The next bytes that come, none where the connection was closed.

    Raises:
        TimeoutError: neither happens in time.
    """
    connection.settimeout(seconds)
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@contextlib.contextmanager
def trickling(connection: socket.socket, content: bytes, apart_s: float) -> Iterator[None]:
    """Send one byte after the other meanwhile."""
    enough = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            for each in content:
                if enough.wait(apart_s):
                    return
                connection.sendall(bytes((each,)))

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def echoes(address: tuple[str, int]) -> bool:
    """Whether an honest peer gets through."""
    entity = AE(MODALITY)
    entity.acse_timeout = entity.connection_timeout = entity.dimse_timeout = 3
    entity.add_requested_context(Verification)
    association = entity.associate(*address, ae_title=US)
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return "Status" in status and int(status.Status) == 0


@contextlib.contextmanager
def idle(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    """Connections that say nothing."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address)) for _ in range(count)]


def waits(node: Receiving, count: int) -> bool:
    """Whether so many connections come to wait at the door."""
    return eventually(lambda: len(node.receiver._door._waiting) == count)
