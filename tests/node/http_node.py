"""A node behind its real HTTP server, with a stand-in for the worker; and what tests send to it."""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from edge_sacro.errors import StorageFailed
from edge_sacro.node.config import Destination, Http, Limits, NodeConfig
from edge_sacro.node.intake import Intake
from edge_sacro.node.journal import Journal
from edge_sacro.node.records import Instance, NewDelivery, Outcome
from edge_sacro.node.spool import Spool
from edge_sacro.node.store import Store
from edge_sacro.node.web import Assessing, Services, WebServer, app_from_node
from edge_sacro.phantom import PhantomOptions, render
from edge_sacro.phantom.dx import bytes_from_phantom
from edge_sacro.report import (
    AppliedOperatingPoint,
    Backend,
    BundleRecord,
    Joint,
    Joints,
    Report,
    Result,
    Source,
    json_from_report,
)
from edge_sacro.types import State

BUNDLE = BundleRecord(
    name="demonstration",
    version="1.0.0",
    fingerprint="0" * 64,
    signed_by=None,
    demonstration=True,
    statement="Demonstration: trained on simulated radiographs, not for clinical use.",
)
PACS = Destination(name="archive", host="127.0.0.1", port=11113, ae_title="PACS")
PROBLEM = "application/problem+json"
DICOM = {"Content-Type": "application/dicom"}
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.34"


@functools.lru_cache(maxsize=16)
def phantom_bytes(number: int = 1, **options: Any) -> bytes:
    """A small simulated radiograph, about 400 x 450 pixels."""
    phantom = render((2026, number), PhantomOptions(**{"spacing_mm": 0.8, **options}))
    return bytes_from_phantom(phantom, f"HTTP-{number}")


def canned_report(state: State = State.NEGATIVE, probability: float | None = 0.12) -> Report:
    """A report as the runtime makes it, with boxes inside every phantom of these tests."""
    decided = probability is not None
    joint = Joint(state=State.LOCATED, reason=None, box_px=None, box_mm=None, probability=None)
    result = Result(
        source=Source(path="x", sha256="0" * 64, sop_instance_uid="1.2.3"),
        system="dorfner2024",
        state=state,
        reason=f"probability {probability} against the cut-off 0.59" if decided else "the left joint was not found",
        reason_code=None if decided else "joint_not_found",
        remedy=None,
        probability=probability,
        high_risk=None,
        operating_point=AppliedOperatingPoint(name="accuracy", threshold=0.59, source="a test"),
        crop_px=[100, 120, 300, 240],
        joints=Joints(
            left=joint.model_copy(update={"box_px": [220, 130, 280, 230], "box_mm": [176.0, 104.0, 224.0, 184.0]}),
            right=joint.model_copy(update={"box_px": [120, 130, 180, 230], "box_mm": [96.0, 104.0, 144.0, 184.0]}),
        ),
        notes=[],
        backend=Backend(name="null", version="0", processor="a test", precision="fp32"),
        timings_ms={"read": 20.0, "classify": 30.0, "total": 50.0},
    )
    return Report(bundle=BUNDLE, results=[result])


class Node:
    """The parts of a node, made by hand, and its server."""

    def __init__(self, folder: Path, http: Http | None = None, **limits: Any) -> None:
        self.config = NodeConfig(
            folder=folder, http=http or Http(port=0), limits=Limits(**{"disk_reserve_mb": 0, **limits})
        ).model_copy(update={"destinations": (PACS,)})
        self.spool = Spool(folder, self.config.limits.disk_reserve_mb << 20)
        self.store = Store(folder / "queue.db")
        self.log = io.StringIO()
        self.journal = Journal(self.log)
        self.assessing: Assessing | None = Assessing(BUNDLE, 0.03)
        self.failed: list[StorageFailed] = []
        self.goes_on = True
        self.rewire()

    def rewire(self, **services: Any) -> None:
        """Make the server anew, of the parts as they are now and with other services."""
        self.intake = Intake(self.spool, self.store, self.journal, self.config.limits.queue)
        self.services = Services(
            self.config,
            self.spool,
            self.store,
            self.intake,
            self.journal,
            assessing=lambda: self.assessing,
            alive=lambda: self.goes_on,
            storage_failed=self.failed.append,
            **services,
        )
        self.app = app_from_node(self.services)
        self.server = WebServer(self.config.http, self.app)

    @property
    def url(self) -> str:
        scheme = "https" if self.config.http.tls else "http"
        return f"{scheme}://127.0.0.1:{self.server.port}"

    def assess(
        self, report: Report | None = None, files: dict[str, bytes] | None = None, send: bool = True
    ) -> Instance:
        """Do the worker's work for the oldest instance, with a report that stands already."""
        instance = self.store.next_to_assess()
        assert instance is not None, "an instance waits"
        self.enter(instance, report or canned_report(), files or {"sr.dcm": b"SR"}, send)
        done = self.store.instance(instance.sequence)
        assert done is not None
        return done

    def enter(self, instance: Instance, report: Report, files: dict[str, bytes], send: bool = True) -> None:
        """Write an assessed instance's results."""
        result = report.results[0]
        folder = self.spool.write_results(instance.sequence, files)
        outcome = Outcome(
            result.state.value,
            result.reason_code,
            result.reason if result.reason_code else None,
            json_from_report(report),
            str(folder),
            None,
        )
        new = [NewDelivery(PACS.name, str(folder / "sr.dcm"), SR_CLASS, f"2.25.{instance.sequence}")] if send else []
        self.store.assessed(instance.sequence, outcome, new)
        self.services.metrics.observe(result.state.value, result.timings_ms)


@contextmanager
def running(node: Node) -> Iterator[httpx.Client]:
    """Serve a node, with a client to it."""
    node.server.start()
    try:
        with httpx.Client(base_url=node.url, timeout=20, trust_env=False) as client:
            yield client
    finally:
        node.server.stop()
        node.store.close()


@contextmanager
def assessing_soon(node: Node, report: Report | None = None) -> Iterator[None]:
    """A worker beside: takes what arrives until the block ends."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            if node.intake.arrived.wait(0.02):
                node.intake.arrived.clear()
                node.assess(report)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


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
