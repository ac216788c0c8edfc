"""What is read over HTTP: the worklist, results, pixels, metrics, health, and the interface's own description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from edge_sacro.node.web.limits import TOO_LARGE
from edge_sacro.report import json_from_report
from tests.conftest import ROOT
from tests.node.http_node import (
    DICOM,
    PROBLEM,
    Node,
    canned_report,
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
    node.goes_on = False
    assert (client.get("/healthz").status_code, client.get("/healthz").json()) == (503, {"status": "stuck"})
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


def test_every_route_code_and_metric_stands_in_the_documentation(client: httpx.Client) -> None:
    text = (ROOT / "docs" / "http.md").read_text("utf-8")
    for path in client.get("/openapi.json").json()["paths"]:
        last = path.replace("{sequence}", "{n}").replace("{study}", "{uid}")
        assert last in text or f"…/{last.rsplit('/', 1)[-1]}" in text, path
    source = "".join(each.read_text("utf-8") for each in (ROOT / "edge_sacro" / "node" / "web").glob("*.py"))
    codes = set(re.findall(r"Problem\(\s*\d{3}, \"([a-z_]+)\"", source)) | {TOO_LARGE}
    assert len(codes) > 10
    for code in codes:
        assert f"`{code}`" in text, code
    names = set(re.findall(r"\"(edge_sacro_[a-z_]+)\"", source))
    assert len(names) > 8
    for name in names:
        assert name.removeprefix("edge_sacro_") in text, name
