"""``/v1`` over a real connection: what is kept, what is refused, what a console that waits is told."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge_sacro.errors import DiskFull, StorageFailed
from edge_sacro.types import State
from tests.node.http_node import (
    DICOM,
    Node,
    assessing_soon,
    canned_report,
    kept_files,
    phantom_bytes,
    refused,
    running,
)


@pytest.fixture(scope="module")
def radiograph() -> bytes:
    return phantom_bytes()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node", instance_mb=2, pdu_s=1.0)


@pytest.fixture
def client(node: Node) -> Iterator[httpx.Client]:
    with running(node) as client:
        yield client


def test_a_submitted_file_is_on_the_disk_before_it_is_acknowledged(
    client: httpx.Client, node: Node, radiograph: bytes
) -> None:
    answer = client.post("/v1/instances", content=radiograph, headers=DICOM)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/instances/1"
    assert answer.json()["what"] == "new"
    assert answer.json()["result"] is None
    assert answer.json()["state"] == "received"
    (kept,) = kept_files(node)
    assert kept.read_bytes() == radiograph
    stored = node.store.instance(1)
    assert stored is not None
    assert stored.via == "http"


def test_the_same_bytes_again_are_the_same_instance(client: httpx.Client, radiograph: bytes) -> None:
    client.post("/v1/instances", content=radiograph, headers=DICOM)
    again = client.post("/v1/instances", content=radiograph, headers=DICOM)
    assert (again.status_code, again.json()["what"], again.json()["sequence"]) == (200, "again", 1)
    assert client.get("/v1/instances/1").json()["times_received"] == 2


def test_other_bytes_under_a_known_uid_are_kept_and_marked(client: httpx.Client, radiograph: bytes) -> None:
    client.post("/v1/instances", content=radiograph, headers=DICOM)
    other = client.post("/v1/instances", content=radiograph[:-2] + b"\1\1", headers=DICOM)
    assert (other.status_code, other.json()["what"], other.json()["sequence"]) == (201, "conflict", 2)
    marks = {each["sequence"]: each["conflict"] for each in client.get("/v1/instances").json()["instances"]}
    assert marks == {1: False, 2: True}


def test_a_body_that_is_no_dicom_file_is_refused_and_nothing_stays(client: httpx.Client, node: Node) -> None:
    refused(client.post("/v1/instances", content=b"x" * 3000, headers=DICOM), 422, "not_dicom")
    refused(client.post("/v1/instances", content=b"", headers=DICOM), 422, "not_dicom")
    refused(client.post("/v1/instances", content=b"x", headers={"Content-Type": "image/png"}), 415, "media_type")
    assert kept_files(node) == []
    assert client.get("/v1/instances").json() == {"instances": [], "next": None}


def test_a_file_beyond_the_limit_is_refused_announced_or_not(
    client: httpx.Client, node: Node, radiograph: bytes
) -> None:
    large = radiograph + bytes(3 << 20)
    refused(client.post("/v1/instances", content=large, headers=DICOM), 413, "instance_too_large")
    pieces = (large[start : start + 65536] for start in range(0, len(large), 65536))
    refused(client.post("/v1/instances", content=pieces, headers=DICOM), 413, "instance_too_large")
    assert kept_files(node) == []
    fits = radiograph + bytes((2 << 20) - len(radiograph))
    assert client.post("/v1/instances", content=fits, headers=DICOM).status_code == 201, (
        "negative control: at the limit"
    )


def test_a_compressed_body_is_refused(client: httpx.Client, radiograph: bytes) -> None:
    headers = {**DICOM, "Content-Encoding": "gzip"}
    answer = client.post("/v1/instances", content=radiograph, headers=headers)
    refused(answer, 415, "encoded_body")
    assert answer.headers["accept-encoding"] == "identity"


def test_a_trickling_body_is_ended(node: Node, client: httpx.Client) -> None:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", node.server.port)) as connection:
        head = f"POST /v1/instances HTTP/1.1\r\nHost: 127.0.0.1:{node.server.port}\r\n"
        connection.sendall((head + "Content-Type: application/dicom\r\nContent-Length: 1000000\r\n\r\n").encode())
        connection.settimeout(0.2)
        answer = b""
        while b"\r\n\r\n" not in answer and time.monotonic() - started < 15:
            with contextlib.suppress(TimeoutError):
                connection.sendall(b"x")
                answer += connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 10
    assert kept_files(node) == []
    assert client.get("/healthz").status_code == 200


def test_headers_that_do_not_come_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, radiograph: bytes
) -> None:
    monkeypatch.setattr("edge_sacro.node.web.server.HEADER_S", 0.5)
    node = Node(tmp_path / "node")
    with running(node) as client:
        idle = [socket.create_connection(("127.0.0.1", node.server.port)) for _ in range(20)]
        idle[0].sendall(b"GET / HTTP/1.1\r\nHost: ")
        time.sleep(1.5)
        assert client.post("/v1/instances", content=radiograph, headers=DICOM).status_code == 201
        for each in idle:
            each.settimeout(1)
            with contextlib.suppress(ConnectionResetError):
                assert each.recv(1) == b"", "the server ended it"
            each.close()


def test_idle_connections_keep_nobody_out(node: Node, client: httpx.Client, radiograph: bytes) -> None:
    idle = [socket.create_connection(("127.0.0.1", node.server.port)) for _ in range(400)]
    idle[-1].sendall(b"GET / HTTP/1.1\r\nHost: ")
    assert client.post("/v1/instances", content=radiograph, headers=DICOM).status_code == 201
    assert client.get("/healthz").status_code == 200
    for each in idle:
        each.close()


def test_a_node_that_stops_answers_whoever_waits(tmp_path: Path, radiograph: bytes) -> None:
    node = Node(tmp_path / "node")
    with running(node) as client:
        threading.Timer(0.4, node.server.stop).start()
        answer = client.post("/v1/instances?wait=20", content=radiograph, headers=DICOM)
        assert (answer.status_code, answer.json()["result"]) == (202, None)


def test_a_full_queue_says_when_to_come_again(tmp_path: Path, radiograph: bytes) -> None:
    node = Node(tmp_path / "node", queue=1)
    with running(node) as client:
        assert client.post("/v1/instances", content=radiograph, headers=DICOM).status_code == 201
        answer = client.post("/v1/instances", content=phantom_bytes(2), headers=DICOM)
        refused(answer, 503, "queue_full")
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/readyz").json() == {"ready": False, "problems": ["The queue is full."]}
        node.assess(send=False)
        assert client.post("/v1/instances", content=phantom_bytes(2), headers=DICOM).status_code == 201


def test_a_full_disk_is_told_and_nothing_stays(tmp_path: Path, radiograph: bytes) -> None:
    node = Node(tmp_path / "node", disk_reserve_mb=1_000_000)
    with running(node) as client:
        answer = client.post("/v1/instances", content=radiograph, headers=DICOM)
        refused(answer, 507, "disk_full")
        assert "retry-after" in answer.headers
        assert client.get("/readyz").status_code == 503
        assert kept_files(node) == []


def test_a_disk_that_fails_stops_the_node_and_acknowledges_nothing(
    client: httpx.Client, node: Node, radiograph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Path:
        raise StorageFailed("cannot be written: Input/output error", source="/secret/place")

    monkeypatch.setattr(node.spool, "keep", failing)
    document = refused(client.post("/v1/instances", content=radiograph, headers=DICOM), 503, "storage_failed")
    assert "/secret" not in json.dumps(document)
    assert len(node.failed) == 1
    assert node.store.instance(1) is None


def test_a_disk_that_fills_under_a_body_is_told(
    client: httpx.Client, node: Node, radiograph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise DiskFull("cannot be written: No space left on device")

    monkeypatch.setattr("edge_sacro.node.spool.Part.write", full)
    refused(client.post("/v1/instances", content=radiograph, headers=DICOM), 507, "disk_full")
    assert node.failed == [], "a full disk does not stop the node"


def test_a_client_that_goes_away_leaves_nothing(node: Node, client: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", node.server.port)) as connection:
        head = f"POST /v1/instances HTTP/1.1\r\nHost: 127.0.0.1:{node.server.port}\r\n"
        connection.sendall((head + "Content-Type: application/dicom\r\nContent-Length: 1000000\r\n\r\nabc").encode())
        time.sleep(0.2)
    for _ in range(50):
        if not kept_files(node):
            break
        time.sleep(0.02)
    assert kept_files(node) == []
    assert client.get("/v1/instances").json()["instances"] == []
    assert "http_defect" not in node.log.getvalue()


def test_a_console_that_waits_gets_the_result(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    with assessing_soon(node, canned_report(State.POSITIVE, 0.93)):
        answer = client.post("/v1/instances?wait=10", content=radiograph, headers=DICOM)
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "positive"
    assert answer.json()["probability"] == 0.93
    assert answer.json()["result"]["joints"]["left"]["box_px"] == [220, 130, 280, 230]


def test_a_console_never_waits_longer_than_it_asked(client: httpx.Client, radiograph: bytes) -> None:
    started = time.monotonic()
    answer = client.post("/v1/instances?wait=0.5", content=radiograph, headers=DICOM)
    took = time.monotonic() - started
    assert answer.status_code == 202
    assert answer.json()["result"] is None
    assert answer.json()["outcome"] is None
    assert answer.json()["state"] == "received"
    assert 0.5 <= took < 3
    later = client.get("/v1/instances/1?wait=0.2")
    assert (later.status_code, later.json()["result"]) == (202, None)


def test_no_wait_is_longer_than_the_node_allows(tmp_path: Path, radiograph: bytes) -> None:
    node = Node(tmp_path / "node")
    node.services.config.__dict__["http"] = node.config.http.model_copy(update={"wait_s": 0.3})
    with running(node) as client:
        started = time.monotonic()
        assert client.post("/v1/instances?wait=86400", content=radiograph, headers=DICOM).status_code == 202
        assert time.monotonic() - started < 5
        refused(client.post("/v1/instances?wait=-1", content=radiograph, headers=DICOM), 422, "parameter")


def test_one_that_was_set_aside_answers_a_waiting_console_without_a_result(
    client: httpx.Client, node: Node, radiograph: bytes
) -> None:
    client.post("/v1/instances", content=radiograph, headers=DICOM)
    node.store.next_to_assess()
    node.store.quarantine(1, "attempts", "the node went down twice while it was assessed")
    answer = client.get("/v1/instances/1?wait=5").json()
    assert answer["result"] is None
    assert answer["state"] == "quarantined"
    assert answer["outcome"] is None, "never a negative"
    assert client.post("/v1/instances/1/requeue").json()["state"] == "received"
    assert node.intake.arrived.is_set()
    refused(client.post("/v1/instances/1/requeue"), 409, "not_quarantined")
    refused(client.post("/v1/instances/99/requeue"), 404, "no_instance")
