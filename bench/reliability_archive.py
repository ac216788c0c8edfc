"""Where results arrive: an archive of ours that can be told to fail, and Orthanc, a real one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Literal, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import Comprehensive3DSRStorage
from pynetdicom.transport import ThreadedAssociationServer

from bench.reliability_node import free_port, listens

Mode = Literal["well", "rejecting", "slow", "dying"]

ORTHANC = shutil.which("Orthanc") or ("/usr/sbin/Orthanc" if Path("/usr/sbin/Orthanc").exists() else None)
"""Path of Orthanc; None where it is not installed."""

_SUCCESS, _OUT_OF_RESOURCES = 0x0000, 0xA700
_START_S = 30.0


class Archive(Protocol):
    """Somewhere that results arrive."""

    port: int

    def results(self) -> dict[str, set[str]]:
        """The results that are there: SOP Instance UIDs of the reports by the image that they are of."""
        ...


def source_of(report: Dataset) -> str:
    """The SOP Instance UID of the image that a report is of."""
    study = report.CurrentRequestedProcedureEvidenceSequence[0]
    return str(study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


class OurArchive:
    """An archive in this process, which keeps what it got.

    Attributes:
        mode: how it behaves now.
        takes_s: how long it takes for each object, whatever it does with it.
        changed: UIDs that arrived again with other bytes.
        arrivals: how many times anything arrived.
    """

    def __init__(self, takes_s: float = 0.0) -> None:
        self.port, self.takes_s = free_port(), takes_s
        self.mode: Mode = "well"
        self.changed: set[str] = set()
        self.arrivals = 0
        self._kept: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> None:
        """Listen."""
        entity = AE("ARCHIVE")
        entity.add_supported_context(Comprehensive3DSRStorage)
        entity.add_supported_context("1.2.840.10008.1.1")
        handlers = [(evt.EVT_C_STORE, self._store)]
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        if server is None:
            raise RuntimeError("the archive does not listen")
        self._server = server

    def stop(self) -> None:
        """Be down."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def results(self) -> dict[str, set[str]]:
        """As of any archive."""
        found: dict[str, set[str]] = defaultdict(set)
        with self._lock:
            for uid, (source, _) in self._kept.items():
                found[source].add(uid)
        return found

    def _store(self, event: Event) -> int:
        time.sleep(self.takes_s)
        if self.mode == "rejecting":
            return _OUT_OF_RESOURCES
        if self.mode == "slow":
            time.sleep(1.0)
        content = event.encoded_dataset()
        report = dcmread(io.BytesIO(content))
        uid, digest = str(report.SOPInstanceUID), hashlib.sha256(event.encoded_dataset(False)).hexdigest()
        with self._lock:
            self.arrivals += 1
            if uid in self._kept and self._kept[uid][1] != digest:
                self.changed.add(uid)
            self._kept[uid] = (source_of(report), digest)
        if self.mode == "dying":  # it has kept the object, and nobody hears of it
            event.assoc.abort()
        return _SUCCESS


class Orthanc:
    """Orthanc in a folder of its own. A context manager.

    Raises:
        RuntimeError: it is not installed, or does not start.
    """

    def __init__(self) -> None:
        if ORTHANC is None:
            raise RuntimeError("Orthanc is not installed")
        self.port, self._http = free_port(), free_port()
        self._work = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Orthanc:
        folder = Path(self._work.name)
        settings = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self._http,
            "DicomPort": self.port,
            "DicomAet": "ARCHIVE",
            "DicomAlwaysAllowStore": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "OverwriteInstances": False,
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._work.cleanup()

    def start(self) -> None:
        """Start it on what it has."""
        folder = Path(self._work.name)
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program of the system's
                [str(ORTHANC), str(folder / "orthanc.json")], stdout=log, stderr=log
            )
        end = time.monotonic() + _START_S
        while not (listens(self.port) and listens(self._http)):
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError("Orthanc did not start")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self._process.kill()
            self._process.wait()
            self._process = None

    def results(self) -> dict[str, set[str]]:
        """As of any archive."""
        found: dict[str, set[str]] = defaultdict(set)
        for each in json.loads(self._get("/instances")):
            report = dcmread(io.BytesIO(self._get(f"/instances/{each}/file")))
            if report.Modality == "SR":
                found[source_of(report)].add(str(report.SOPInstanceUID))
        return found

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http}{path}", timeout=30) as answer:
            content: bytes = answer.read()
        return content
