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
import numpy as np
import pytest

from edge_sacro.errors import DiskFull, StorageFailed
from edge_sacro.report import json_from_report
from edge_sacro.types import State
from tests.node.http_node import DICOM, Node, assessing_soon, canned_report, phantom_bytes, running

PROBLEM = "application/problem+json"


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


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """The problem that an answer must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json()
    assert isinstance(document, dict)
    assert document["code"] == code
    assert document["what"]
    assert document["remedy"]
    assert document["status"] == status
    return document


def kept_files(node: Node) -> list[Path]:
    return [each for each in node.spool.folder.rglob("*") if each.suffix in (".dcm", ".part")]


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


def test_the_worklist_is_paged_newest_first_and_filtered(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    for number in range(5):
        node_bytes = radiograph[:-2] + bytes([number, 1])
        client.post("/v1/instances", content=node_bytes, headers=DICOM)
    node.assess()
    first = client.get("/v1/instances?limit=2").json()
    assert [each["sequence"] for each in first["instances"]] == [5, 4]
    second = client.get(f"/v1/instances?limit=2&before={first['next']}").json()
    assert [each["sequence"] for each in second["instances"]] == [3, 2]
    (sending,) = client.get("/v1/instances?state=sending").json()["instances"]
    assert sending["sequence"] == 1
    assert sending["destinations"] == [{"name": "archive", "outstanding": 1, "done": 0, "rejected": 0}]
    assert sending["reason"] == "probability 0.12 against the cut-off 0.59"
    assert first["instances"][0]["patient"]["name"] == "PHANTOM, HTTP-1"
    refused(client.get("/v1/instances?state=lost"), 422, "parameter")
    refused(client.get("/v1/instances?limit=0"), 422, "parameter")


def test_report_and_results_come_as_they_were_made(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    client.post("/v1/instances", content=radiograph, headers=DICOM)
    refused(client.get("/v1/instances/1/report"), 404, "no_report")
    report = canned_report()
    node.assess(report, {"sr.dcm": b"SR bytes", "gradcam.png": b"PNG"})
    assert client.get("/v1/instances/1/report").text == json_from_report(report)
    detail = client.get("/v1/instances/1").json()
    assert [(each["name"], each["media_type"]) for each in detail["results"]] == [
        ("gradcam.png", "image/png"),
        ("sr.dcm", "application/dicom"),
    ]
    assert detail["deliveries"][0]["object"] == "sr.dcm"
    answer = client.get(detail["results"][1]["href"])
    assert (answer.content, answer.headers["content-type"]) == (b"SR bytes", "application/dicom")
    assert answer.headers["content-disposition"] == 'attachment; filename="1-sr.dcm"'


@pytest.mark.parametrize("name", ["..%2F..%2Fqueue.db", "%2e%2e", "queue.db", "sr.dcm%00", "SR.DCM", "a" * 300])
def test_no_other_file_can_be_asked_for(client: httpx.Client, node: Node, radiograph: bytes, name: str) -> None:
    client.post("/v1/instances", content=radiograph, headers=DICOM)
    node.assess()
    answer = client.get(f"/v1/instances/1/results/{name}")
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == PROBLEM


def test_files_that_were_removed_are_told_as_gone_and_the_record_stays(
    client: httpx.Client, node: Node, radiograph: bytes
) -> None:
    client.post("/v1/instances", content=radiograph, headers=DICOM)
    node.assess(send=False)
    node.store.purged(1)
    refused(client.get("/v1/instances/1/image"), 410, "files_removed")
    refused(client.get("/v1/instances/1/results/sr.dcm"), 410, "files_removed")
    detail = client.get("/v1/instances/1").json()
    assert (detail["files"], detail["patient"], detail["outcome"]) == (False, None, "negative")


def test_pixels_are_the_modality_values_of_the_file(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    from edge_sacro import dicom

    client.post("/v1/instances", content=radiograph, headers=DICOM)
    node.assess()
    view = client.get("/v1/instances/1/image").json()
    answer = client.get(view["pixels"])
    levels = np.frombuffer(answer.content, "<u2").reshape(view["rows"], view["columns"])
    read = dicom.read(radiograph)
    expected = read.grayscale.table[read.stored.astype(np.int64) - read.grayscale.first]
    assert np.abs(levels * view["slope"] + view["intercept"] - expected).max() <= view["slope"] / 2
    assert np.abs(levels[:, ::-1] * view["slope"] + view["intercept"] - expected).max() > 100, "negative control"
    assert view["scale"] == 1.0
    assert view["joints"]["left"] == [220, 130, 280, 230]
    assert view["windows"][0]["function"] == "LINEAR"
    assert view["heat"] is None


def test_an_unreadable_image_is_a_problem_and_no_picture(client: httpx.Client, radiograph: bytes) -> None:
    cut = radiograph[: len(radiograph) // 2]
    client.post("/v1/instances", content=cut, headers=DICOM)
    refused(client.get("/v1/instances/1/image"), 422, "truncated")
    (entry,) = client.get("/v1/instances").json()["instances"]
    assert entry["patient"]["id"] == "HTTP-1" or entry["patient"]["id"], "its header can still be read"


def test_metrics_count_and_tell_of_no_patient(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    client.post("/v1/instances", content=radiograph, headers=DICOM)
    client.get("/v1/instances")
    node.assess()
    text = client.get("/metrics").text
    for line in (
        "edge_sacro_instances_received_total 1.0",
        'edge_sacro_instances{state="sending"} 1.0',
        "edge_sacro_queue_waiting 1.0",
        'edge_sacro_deliveries_outstanding{destination="archive"} 1.0',
        'edge_sacro_assessment_seconds_count{outcome="negative"} 1.0',
        'edge_sacro_assessment_seconds_sum{outcome="negative"} 0.05',
        'edge_sacro_stage_seconds_total{stage="classify"} 0.03',
        'edge_sacro_http_requests_total{route="/v1/instances",status="201"} 1.0',
        "edge_sacro_storage_up 1.0",
    ):
        assert line in text
    assert "edge_sacro_disk_free_bytes" in text
    assert 'edge_sacro_build_info{bundle="demonstration"' in text
    for secret in ("PHANTOM", "HTTP-1", "2.25.", "/v1/instances/1"):
        assert secret not in text


def test_the_node_tells_how_it_is(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    assert client.get("/readyz").json() == {"ready": True, "problems": []}
    node.assessing = None
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").json() == {"status": "ok"}, "alive, and not ready"
    client.post("/v1/instances", content=radiograph, headers=DICOM)
    status = client.get("/v1/node").json()
    assert status["ready"] is False
    assert status["problems"] == ["The model bundle is not loaded."]
    assert status["counts"]["received"] == status["waiting"] == 1
    assert status["destinations"] == [{"name": "archive", "outstanding": 0, "error": None}]


def test_nothing_of_a_patient_is_logged(client: httpx.Client, node: Node, radiograph: bytes) -> None:
    client.post("/v1/instances", content=radiograph, headers=DICOM)
    client.get("/v1/instances")
    client.get("/v1/instances/1/image")
    assert '"received"' in node.log.getvalue()
    for secret in ("PHANTOM", "HTTP-1", "2.25."):
        assert secret not in node.log.getvalue()


def test_a_defect_is_answered_logged_without_its_words_and_survived(
    client: httpx.Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> list[object]:
        raise RuntimeError("Doe^Jane")

    with monkeypatch.context() as patch:
        patch.setattr(node.store, "page", broken)
        refused(client.get("/v1/instances"), 500, "internal")
    assert "RuntimeError" in node.log.getvalue()
    assert "Doe" not in node.log.getvalue()
    assert client.get("/v1/instances").status_code == 200


def test_openapi_describes_every_route_and_problem(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert {
        "/v1/instances",
        "/v1/instances/{sequence}",
        "/v1/instances/{sequence}/report",
        "/v1/instances/{sequence}/results/{name}",
        "/v1/instances/{sequence}/image",
        "/v1/instances/{sequence}/pixels",
        "/v1/instances/{sequence}/requeue",
        "/v1/node",
        "/dicom-web/studies",
        "/dicom-web/studies/{study}",
        "/healthz",
        "/readyz",
        "/metrics",
    } == set(document["paths"])
    submit = document["paths"]["/v1/instances"]["post"]
    assert "application/dicom" in submit["requestBody"]["content"]
    assert {"200", "201", "202", "408", "413", "415", "422", "503", "507"} <= set(submit["responses"])
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route["summary"], (path, method)
            for status, answer in route["responses"].items():
                if status[0] in "45" and path not in ("/readyz", "/healthz") and "dicom+json" not in json.dumps(answer):
                    assert PROBLEM in answer["content"] or status == "422", (path, status)
    assert "Submitted" in document["components"]["schemas"]
