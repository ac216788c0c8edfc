"""TLS on both sides of the node, with DCMTK and OpenSSL on the other."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'serve' is not installed")
pytest.importorskip("cryptography", reason="the extra 'signing' is not installed")

from edge_sacro.errors import NodeConfigInvalid, PeerFailed
from edge_sacro.node.config import Destination, Tls
from edge_sacro.node.outgoing import Line
from edge_sacro.node.records import State
from edge_sacro.node.send import Sender
from edge_sacro.node.tls import client_context, server_context
from tests.node.certificates import Authority
from tests.node.dicom_outbox import PACS, SENDING, Queue, destination, free_port, sending
from tests.node.dicom_peers import (
    BOUNDS,
    MODALITY,
    US,
    Receiving,
    answer,
    association_request,
    eventually,
    radiograph,
    receiving,
)

needs_dcmtk = pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed")
VERIFICATION = "1.2.840.10008.1.1"


def associates(node: Receiving, context: ssl.SSLContext) -> bool:
    """Whether a client gets an association; one that TLS 1.3 refuses hears so after its own handshake."""
    try:
        with socket.create_connection(node.address) as plain, context.wrap_socket(plain) as connection:
            connection.sendall(association_request())
            return answer(connection)[:1] == b"\x02"
    except (ssl.SSLError, ConnectionError):
        return False


def client(tls: Tls | None, authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority)
    if tls is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    return context


def test_only_a_certificate_of_the_authority_gets_in(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")
    with receiving(tmp_path, tls=ours.issue("node")) as node:
        assert associates(node, client(ours.issue("modality"), ours.file))
        assert not associates(node, client(None, ours.file))
        assert not associates(node, client(others.issue("stranger"), ours.file))
        assert not associates(node, client(ours.issue("late", days=-1), ours.file))
        with socket.create_connection(node.address) as connection:
            connection.sendall(association_request())
            assert answer(connection)[:1] != b"\x02"
        assert eventually(lambda: "tls: certificate has expired" in node.kinds())
        assert {"tls: peer did not return a certificate", "tls: certificate has expired"} < node.kinds()


@pytest.mark.parametrize(
    ("version", "suites", "gets_in"),
    [
        (ssl.TLSVersion.TLSv1_3, None, True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256", False),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256", False),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", False),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_versions_and_suites_are_refused(
    tmp_path: Path, version: ssl.TLSVersion, suites: str | None, gets_in: bool
) -> None:
    ours = Authority(tmp_path)
    context = client(ours.issue("modality"), ours.file)
    context.minimum_version = context.maximum_version = version
    if suites is not None:
        context.set_ciphers(suites)
    with receiving(tmp_path, tls=ours.issue("node")) as node:
        assert associates(node, context) == gets_in


def test_a_handshake_that_hangs_keeps_nobody_out(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    bounds = replace(BOUNDS, request_s=3.0)
    with (
        receiving(tmp_path, tls=ours.issue("node"), bounds=bounds) as node,
        socket.create_connection(node.address) as silent,
    ):
        begun = time.monotonic()
        assert associates(node, client(ours.issue("modality"), ours.file))
        assert time.monotonic() - begun < bounds.request_s
        assert answer(silent) == b""


@needs_dcmtk
def test_dcmtk_stores_over_tls_and_not_without(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    theirs, path = ours.issue("modality"), radiograph(tmp_path / "image.dcm", size=512)
    with receiving(tmp_path, tls=ours.issue("node")) as node:
        where = ["-aet", MODALITY, "-aec", US, "127.0.0.1", str(node.receiver.port)]
        tls = ["+tls", theirs.key, theirs.certificate, "+cf", theirs.authority]
        subprocess.run(["echoscu", *tls, *where], check=True, timeout=20)
        subprocess.run(["storescu", *tls, *where, path], check=True, timeout=20)
        assert node.store.counts()[State.RECEIVED] == 1
        refused = subprocess.run(["echoscu", *where], check=False, timeout=20, capture_output=True)
        assert refused.returncode != 0


def calls(node: Receiving, tls: Tls | None) -> None:
    """Ask for an association as the node does towards a destination."""
    destination = Destination(name="pacs", host="127.0.0.1", port=node.receiver.port, ae_title=US, tls=tls)
    with Line(destination, MODALITY, 2.0, [(VERIFICATION, "")]) as line:
        assert line.alive


def test_a_destination_is_called_over_tls(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    with receiving(tmp_path, tls=ours.issue("pacs")) as node:
        calls(node, ours.issue("node"))


@pytest.mark.parametrize(
    ("days", "host", "of_ours", "verify", "told"),
    [
        (-1, "127.0.0.1", True, True, "certificate has expired"),
        (10, "192.0.2.1", True, True, "mismatch"),
        (10, "127.0.0.1", False, True, "unable to get local issuer certificate"),
        (10, "192.0.2.1", True, False, None),
    ],
    ids=["expired", "another host", "another authority", "another host, not verified"],
)
def test_a_destination_that_is_not_the_one_meant_gets_nothing(
    tmp_path: Path, days: float, host: str, of_ours: bool, verify: bool, told: str | None
) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")
    theirs = (ours if of_ours else others).issue("pacs", days=days, host=host)
    tls = ours.issue("node").model_copy(update={"verify_host": verify})
    with receiving(tmp_path, tls=theirs.model_copy(update={"authority": ours.file})) as node:
        if told is None:
            calls(node, tls)
            return
        with pytest.raises(PeerFailed, match=told):
            calls(node, tls)


def test_a_plain_destination_does_not_answer_a_tls_call(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    with receiving(tmp_path) as node, pytest.raises(PeerFailed, match="unreachable"):
        calls(node, ours.issue("node"))


@needs_dcmtk
def test_results_go_to_dcmtk_over_tls(tmp_path: Path) -> None:
    ours, queue, port = Authority(tmp_path), Queue(tmp_path / "node"), free_port()
    queue.add("1.2.1")
    theirs, kept = ours.issue("pacs"), tmp_path / "kept"
    kept.mkdir()
    tls = ["+tls", theirs.key, theirs.certificate, "+cf", theirs.authority]
    with subprocess.Popen(["storescp", *tls, "-aet", PACS, "-od", kept, str(port)]) as server:
        try:
            with sending(queue, destination(port, tls=ours.issue("node"))):
                assert eventually(lambda: queue.instance_states() == [State.DELIVERED])
        finally:
            server.terminate()
    assert len(list(kept.iterdir())) == 1


def test_a_destination_whose_certificates_cannot_serve_is_refused_at_the_start(tmp_path: Path) -> None:
    tls = Authority(tmp_path).issue("node").model_copy(update={"key": tmp_path / "absent"})
    queue = Queue(tmp_path / "node")
    with pytest.raises(NodeConfigInvalid, match="no such file"):
        Sender(destination(1, tls=tls), US, SENDING, queue.outbox)


def test_files_that_cannot_serve_are_refused_at_the_start(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    tls, other = ours.issue("node"), ours.issue("other")
    (tmp_path / "text.pem").write_text("no certificate")
    for broken in (
        {"certificate": tmp_path / "absent.pem"},
        {"key": other.key},
        {"key": ours.issue("locked", password=b"secret").key, "certificate": tmp_path / "locked.pem"},
        {"authority": tmp_path / "text.pem"},
    ):
        for made in (server_context, client_context):
            with pytest.raises(NodeConfigInvalid, match="tls"):
                made(tls.model_copy(update=broken))
    assert server_context(tls).verify_mode is ssl.CERT_REQUIRED
    assert client_context(tls).verify_mode is ssl.CERT_REQUIRED
