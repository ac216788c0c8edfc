"""What the node's tests share: instances that are DICOM files but no images, and stand-ins for what answers them."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from edge_sacro.node.answers import Answer, MadeObject
from edge_sacro.node.config import Destination, Limits, NodeConfig
from edge_sacro.node.halt import Halt
from edge_sacro.node.intake import Intake
from edge_sacro.node.journal import Journal
from edge_sacro.node.records import Accepted, Instance
from edge_sacro.node.spool import Spool
from edge_sacro.node.store import Store
from edge_sacro.node.work import Worker

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SR = "1.2.840.10008.5.1.4.1.1.88.34"


def instance_bytes(uid: str = "2.25.7", comment: str = "") -> bytes:
    """A DICOM file with this SOP Instance UID."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(DX)
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID(DX), UID(uid)
    dataset.ImageComments = comment
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def answer_of(outcome: str = "negative", kinds: tuple[str, ...] = ("sr",), uid: str = "2.25.9") -> Answer:
    """An answer with objects that are none."""
    objects = tuple(MadeObject(kind, f"{kind}.dcm", SR, f"{uid}.{n}") for n, kind in enumerate(kinds))  # type: ignore[arg-type]
    files: dict[str, bytes] = {"report.json": b"{}", **{each.name: each.kind.encode() for each in objects}}
    code = "not_dicom" if outcome == "refused" else None
    reason = "it is none" if outcome == "refused" else None
    report = json.dumps({"outcome": outcome})
    return Answer(outcome, code, reason, report, "2.25.8", files, objects, {}, {"total": 1.0})


@dataclass
class Scripted:
    """Answers what it is told to, by the order of calls; the last answer again after that."""

    script: list[Answer | Exception] = field(default_factory=lambda: [answer_of()])
    asked: list[int] = field(default_factory=list)
    hold: threading.Event | None = None

    def answer(self, instance: Instance, data: bytes) -> Answer:
        assert data
        self.asked.append(instance.sequence)
        if self.hold is not None:
            assert self.hold.wait(10)
        told = self.script[min(len(self.asked), len(self.script)) - 1]
        if isinstance(told, Exception):
            raise told
        return told


@dataclass
class Parts:
    """A node's parts without its network."""

    config: NodeConfig
    spool: Spool
    store: Store
    journal: Journal
    told: io.StringIO
    halt: Halt
    intake: Intake
    answers: Scripted
    worker: Worker
    woken: threading.Event

    def receive(self, data: bytes) -> Accepted:
        """Take an instance in."""
        with self.intake.part() as part:
            part.write(data)
            return self.intake.take(part, via="dimse", peer="MODALITY")

    def events(self) -> list[dict[str, object]]:
        """What the log has."""
        return [json.loads(line) for line in self.told.getvalue().splitlines()]


def parts(
    folder: Path,
    answers: Scripted | None = None,
    destinations: tuple[Destination, ...] = (),
    store: Callable[[Path], Store] = Store,
    limits: Mapping[str, int] | None = None,
) -> Parts:
    """Open a node's parts; the worker is not started."""
    config = NodeConfig(
        folder=folder, destinations=destinations, limits=Limits(disk_reserve_mb=0, **dict(limits or {}))
    )
    told = io.StringIO()
    journal, halt, woken = Journal(told), Halt(), threading.Event()
    spool = Spool(folder, 0)
    queue = store(folder / "queue.sqlite")
    intake = Intake(spool, queue, journal, config.limits.queue)
    scripted = answers or Scripted()
    worker = Worker(
        config=config,
        spool=spool,
        store=queue,
        journal=journal,
        halt=halt,
        arrived=intake.arrived,
        answers=scripted,
        wake_senders=woken.set,
        observe=lambda _: None,
    )
    return Parts(config, spool, queue, journal, told, halt, intake, scripted, worker, woken)


def destination(name: str = "archive", **changes: object) -> Destination:
    """Where results go."""
    return Destination.model_validate(
        {"name": name, "host": "localhost", "port": 104, "ae_title": "ARCHIVE", **changes}
    )


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def node_config(folder: Path, bundle: Path | None = None, **tables: Any) -> NodeConfig:
    """A configuration of a whole node on ports of the system's choice; its log stands beside its folder."""
    fields: dict[str, Any] = {
        "folder": folder,
        "log": folder.parent / "node.log",
        "dicom": {"port": 0, "peers": ({"ae_title": "MODALITY"},)},
        "http": {"enabled": False, "port": 0},
        "assessment": {"threads": 1, **({} if bundle is None else {"bundle": str(bundle)})},
        "limits": {"disk_reserve_mb": 0},
        **tables,
    }
    return NodeConfig.model_validate(fields)
