"""The C-STORE and C-ECHO provider: what it takes, what it answers, and what then stands where."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'serve' is not installed")
from pydicom import dcmread
from pynetdicom import AE, build_context
from pynetdicom.sop_class import (
    ComprehensiveSRStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EncapsulatedPDFStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    SecondaryCaptureImageStorage,
    Verification,
)

from edge_sacro.dicom.decoders import SYNTAXES
from edge_sacro.errors import DiskFull, QueueFull, StorageFailed
from edge_sacro.node.config import Peer
from edge_sacro.node.intake import Intake
from edge_sacro.node.receive import IMAGES, TRANSFER_SYNTAXES
from edge_sacro.node.records import State
from edge_sacro.node.spool import Part
from tests.node.dicom_peers import (
    BOUNDS,
    MODALITY,
    US,
    Receiving,
    answer,
    associated,
    association_request,
    data_pdu,
    data_set_bytes,
    eventually,
    radiograph,
    receiving,
    status_of,
    store_command,
)

DX = str(DigitalXRayImageStorageForPresentation)


def store(address: tuple[str, int], path: Path) -> int:
    """Send a file with its own transfer syntax, and return the status."""
    meta = dcmread(path, stop_before_pixels=True).file_meta
    entity = AE(MODALITY)
    entity.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    association = entity.associate(*address, ae_title=US)
    assert association.is_established
    try:
        return int(association.send_c_store(path).Status)
    finally:
        association.release()


CUT = -1


def sent_by_hand(node: Receiving, command: bytes, content: bytes | None, sop_class: str = DX) -> int:
    """Send a C-STORE as bytes, and return the status, or ``CUT`` where there is none."""
    with associated(node.address, sop_class) as connection:
        connection.sendall(data_pdu(command, command=True, last=True))
        if content is not None:
            connection.sendall(data_pdu(content, command=False, last=True))
        response = answer(connection)
        return status_of(response) if response else CUT


class FailingIntake(Intake):
    """A way in that fails."""

    def __init__(self, *parts: object, error: Exception, late: bool) -> None:
        super().__init__(*parts, 100)  # type: ignore[arg-type]
        self._error, self._late = error, late

    def part(self) -> Part:
        if not self._late:
            raise self._error
        return super().part()

    def take(self, *_: object, **__: object) -> None:  # type: ignore[override]
        raise self._error


@pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed")
def test_dcmtk_echoes_and_stores(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "image.dcm")
    with receiving(tmp_path) as node:
        where = ["-aet", MODALITY, "-aec", US, "127.0.0.1", str(node.receiver.port)]
        subprocess.run(["echoscu", *where], check=True, timeout=20)
        subprocess.run(["storescu", *where, path], check=True, timeout=20)
        assert node.store.counts()[State.RECEIVED] == 1


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_the_data_set_is_kept_as_it_came_and_the_file_meta_is_ours(tmp_path: Path, syntax: str) -> None:
    path = radiograph(tmp_path / "image.dcm", syntax=syntax)
    with receiving(tmp_path) as node:
        assert store(node.address, path) == 0x0000
        (instance,) = node.store.page(limit=10)
        kept = node.spool.path(str(instance.path))
        meta = dcmread(kept, stop_before_pixels=True).file_meta
        assert data_set_bytes(kept) == data_set_bytes(path)
        assert (instance.via, instance.peer, instance.transfer_syntax_uid) == ("dimse", MODALITY, syntax)
    assert meta.TransferSyntaxUID == syntax
    assert {each.keyword for each in meta} == {
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    }


def test_what_is_sent_again_is_acknowledged_again_and_kept_once(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "image.dcm")
    with receiving(tmp_path) as node:
        assert [store(node.address, path) for _ in range(2)] == [0x0000, 0x0000]
        (instance,) = node.store.page(limit=10)
        assert instance.times_received == 2


def test_every_image_is_accepted_in_every_syntax_and_nothing_else_is(tmp_path: Path) -> None:
    images = {
        CTImageStorage,
        EnhancedCTImageStorage,
        LegacyConvertedEnhancedCTImageStorage,
        SecondaryCaptureImageStorage,
        "1.2.840.10008.5.1.4.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.1.1",
    }
    others = {ComprehensiveSRStorage, EncapsulatedPDFStorage, "1.2.840.10008.5.1.4.31", "1.2.3.4.5"}
    entity = AE(MODALITY)
    for each in (*images, *others, Verification):
        entity.add_requested_context(each)
    with receiving(tmp_path) as node:
        association = entity.associate(*node.address, ae_title=US)
        accepted = {str(each.abstract_syntax) for each in association.accepted_contexts}
        association.release()
        offered = [build_context(DX, each) for each in (*TRANSFER_SYNTAXES, "1.2.840.10008.1.2.4.100")]
        association = AE(MODALITY).associate(*node.address, offered, ae_title=US)
        syntaxes = {str(each.transfer_syntax[0]) for each in association.accepted_contexts}
        association.release()
    assert accepted == {str(each) for each in images} | {str(Verification)}
    assert syntaxes == {*SYNTAXES, "1.2.840.10008.1.2.2"}
    assert images <= set(IMAGES)


@pytest.mark.parametrize(
    ("called", "calling", "reason"), [(US, "STRANGER", 3), ("OTHER", MODALITY, 7), (US, MODALITY.lower(), 3)]
)
def test_titles_that_are_not_on_the_list_are_rejected(tmp_path: Path, called: str, calling: str, reason: int) -> None:
    with receiving(tmp_path) as node, socket.create_connection(node.address) as connection:
        connection.sendall(association_request(called, calling))
        assert answer(connection) == bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, reason))
        assert node.kinds() <= {"calling_title", "called_title"}
        assert "STRANGER" not in node.log.getvalue()


@pytest.mark.parametrize(("network", "first"), [("10.0.0.0/8", 3), ("127.0.0.0/8", 2)])
def test_a_peer_may_call_from_its_addresses_alone(tmp_path: Path, network: str, first: int) -> None:
    peers = (Peer(ae_title=MODALITY, addresses=(network,)),)
    with receiving(tmp_path, peers=peers) as node, socket.create_connection(node.address) as connection:
        connection.sendall(association_request())
        assert answer(connection)[0] == first


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "halts"),
    [(DiskFull("x"), 0xA700, False), (QueueFull("x"), 0xA700, False), (StorageFailed("x"), 0xA700, True)],
)
def test_what_cannot_be_kept_is_not_acknowledged(
    tmp_path: Path, error: Exception, status: int, halts: bool, late: bool
) -> None:
    path = radiograph(tmp_path / "image.dcm")
    with receiving(tmp_path, intake=lambda *parts: FailingIntake(*parts, error=error, late=late)) as node:
        assert store(node.address, path) == status
        assert node.leftovers() == []
        assert node.halt.asked == halts


def test_a_disk_that_fills_up_on_the_way_is_told_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = radiograph(tmp_path / "image.dcm", size=512)
    written, write = 0, Part.write

    def fills(part: Part, content: bytes) -> None:
        nonlocal written
        written += len(content)
        if written > 100_000:
            raise DiskFull("x")
        write(part, content)

    with receiving(tmp_path) as node:
        monkeypatch.setattr(Part, "write", fills)
        assert store(node.address, path) == 0xA700
        assert node.leftovers() == []
        monkeypatch.undo()
        assert store(node.address, path) == 0x0000


def test_after_the_storage_failed_nothing_more_is_acknowledged(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "image.dcm")
    with receiving(tmp_path) as node:
        node.halt.fail(StorageFailed("x"))
        assert store(node.address, path) == 0xA700
        assert node.leftovers() == []
        assert node.store.page(limit=10) == []


@pytest.mark.parametrize(("error", "status"), [(ZeroDivisionError(), 0xC000), (OSError(24, "x"), 0xA700)])
def test_a_defect_of_ours_is_answered_and_told(tmp_path: Path, error: Exception, status: int) -> None:
    path = radiograph(tmp_path / "image.dcm")
    with receiving(tmp_path, intake=lambda *parts: FailingIntake(*parts, error=error, late=True)) as node:
        assert store(node.address, path) == status
        (told,) = node.events("not_received")
        assert told["cause"] == type(error).__name__
        assert node.leftovers() == []


@pytest.mark.parametrize(
    ("command", "content", "status"),
    [
        (store_command(DX, "1.2.3"), b"\x08\0\x05\0\0\0\0\0", 0x0000),
        (store_command(DX, "../../../../tmp/x"), b"\x08\0\x05\0\0\0\0\0", 0xC000),
        (store_command(DX, "1." * 40 + "1"), b"\x08\0\x05\0\0\0\0\0", CUT),
        (store_command(str(CTImageStorage), "1.2.3"), b"\x08\0\x05\0\0\0\0\0", 0xA900),
        (store_command(DX, "1.2.3", data_set=False), None, 0xC000),
        (store_command(DX, "1.2.3"), b"", 0xC000),
    ],
    ids=["control", "path", "long", "class", "none", "empty"],
)
def test_a_command_that_cannot_be_meant_is_refused(
    tmp_path: Path, command: bytes, content: bytes | None, status: int
) -> None:
    with receiving(tmp_path) as node:
        assert sent_by_hand(node, command, content) == status
        files = [each for each in node.spool.folder.rglob("*") if each.is_file()]
        assert len(files) == (status == 0)
        assert all(each.parent.parent == node.spool.instances for each in files)


def test_an_instance_that_is_too_large_is_refused_with_an_answer(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "image.dcm", size=256)
    with receiving(tmp_path, bounds=replace(BOUNDS, instance_bytes=100_000)) as node:
        assert store(node.address, path) == 0xC000
        assert node.leftovers() == []
        assert node.events("not_received")[0]["error"] == "size_limit"


def test_an_association_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    with receiving(tmp_path) as node:
        with associated(node.address, DX) as connection:
            connection.sendall(data_pdu(store_command(DX, "1.2.3"), command=True, last=True))
            connection.sendall(data_pdu(bytes(1000), command=False, last=False))
            assert eventually(lambda: len(node.leftovers()) == 1)
        assert eventually(lambda: not node.leftovers() and node.receiver.associations == 0)
        assert node.store.page(limit=10) == []


def test_the_receiver_ends_the_message_it_is_in_before_it_stops(tmp_path: Path) -> None:
    with receiving(tmp_path) as node, associated(node.address, DX) as busy, associated(node.address, DX) as idle:
        busy.sendall(data_pdu(store_command(DX, "1.2.3"), command=True, last=True))
        busy.sendall(data_pdu(bytes(100), command=False, last=False))
        assert eventually(lambda: len(node.leftovers()) == 1)
        stopping = threading.Thread(target=node.receiver.stop)
        stopping.start()
        assert answer(idle) == b""
        busy.sendall(data_pdu(bytes(100), command=False, last=True))
        assert status_of(answer(busy)) == 0x0000
        stopping.join(5)
        assert not stopping.is_alive()
        assert node.receiver.associations == 0


def test_nothing_of_a_patient_is_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = radiograph(tmp_path / "image.dcm", uid="1.2.3.99.88")
    with receiving(tmp_path) as node:
        assert store(node.address, path) == 0x0000
        said = node.log.getvalue() + "".join(capfd.readouterr())
    assert "received" in said
    assert not [each for each in ("Doe", "4711", "1.2.3.99.88") if each in said]
