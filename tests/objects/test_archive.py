"""An archive takes the objects and gives them back as they were sent: Orthanc, if it is here."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from edge_sacro.objects import KINDS
from tests.objects.tools import run

pytestmark = pytest.mark.heavy
START_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Archive:
    """A running Orthanc."""

    def __init__(self, dicom: int, http: int) -> None:
        self.dicom, self.http = dicom, http

    def get(self, path: str) -> bytes:
        url = f"http://127.0.0.1:{self.http}/{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            content: bytes = answer.read()
            return content

    def instances(self) -> dict[str, bytes]:
        """Files by SOP Instance UID."""
        files = [self.get(f"instances/{each}/file") for each in json.loads(self.get("instances"))]
        return {str(pydicom.dcmread(io.BytesIO(each)).SOPInstanceUID): each for each in files}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("Orthanc is not installed")
    found = Archive(free_port(), free_port())
    settings = {
        "StorageDirectory": str(tmp_path / "storage"),
        "IndexDirectory": str(tmp_path / "storage"),
        "DicomPort": found.dicom,
        "HttpPort": found.http,
        "DicomAet": "ARCHIVE",
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "Plugins": [],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen([program, str(tmp_path / "orthanc.json")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                found.get("system")
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, "Orthanc did not start"
                time.sleep(0.2)
        yield found
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


def test_an_archive_stores_all_four_and_a_retry_adds_nothing(archive: Archive, files: Path) -> None:
    sent = [files / f"{kind}.dcm" for kind in KINDS]
    for _ in range(2):
        run("storescu", "-R", "-aec", "ARCHIVE", "127.0.0.1", str(archive.dicom), *sent)
    stored = archive.instances()
    assert len(stored) == len(KINDS)
    for path in sent:
        here = pydicom.dcmread(path)
        there = pydicom.dcmread(io.BytesIO(stored[str(here.SOPInstanceUID)]))
        assert there == here, path.name
    source = files / "source.dcm"
    run("storescu", "-R", "-aec", "ARCHIVE", "127.0.0.1", str(archive.dicom), source)
    assert len(json.loads(archive.get("studies"))) == 1, "results stand in the source's study"
    assert len(json.loads(archive.get("series"))) == 1 + len(KINDS)
