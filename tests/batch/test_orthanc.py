"""A batch over Orthanc's DICOMweb plug-in: a server of others' making."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from edge_sacro.cli import main
from tests.tiny import drawn_pelvis, write_dicom

ORTHANC = shutil.which("Orthanc") or shutil.which("/usr/sbin/Orthanc")
PLUGIN = Path(os.environ.get("EDGE_SACRO_ORTHANC_DICOMWEB", "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"))
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(ORTHANC is None or not PLUGIN.exists(), reason="Orthanc and its DICOMweb are not installed"),
]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Orthanc with an empty store; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "HttpPort": port,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": False,
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [str(ORTHANC), str(folder / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def answers(address: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/dicom-web/studies", timeout=5) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


def test_the_instances_of_a_server_are_answered_from_the_bytes_that_were_stored(
    bundle_folder: Path, tmp_path: Path
) -> None:
    files = []
    for index in range(1, 5):
        pixels = drawn_pelvis()
        pixels[pixels == 1000] = 400 + 200 * index
        uids = {"StudyInstanceUID": f"2.25.10{index % 2}", "SeriesInstanceUID": f"2.25.20{index % 2}"}
        path = tmp_path / f"{index}.dcm"
        files.append(write_dicom(path, pixels, SOPInstanceUID=f"2.25.{index}", PatientID="P", **uids))
    (tmp_path / "store").mkdir()
    with running(tmp_path / "store") as address:
        until = time.monotonic() + 30
        while not answers(address) and time.monotonic() < until:
            time.sleep(0.1)
        for file in files:
            request = urllib.request.Request(f"{address}/instances", file.read_bytes(), method="POST")  # noqa: S310
            urllib.request.urlopen(request, timeout=5).close()  # noqa: S310
        out = tmp_path / "out.parquet"
        call = ["batch", f"{address}/dicom-web", "--bundle", str(bundle_folder), "--out", str(out), "--workers", "1"]
        done = CliRunner().invoke(main, call)
    assert done.exit_code == 0, done.output
    rows = pq.read_table(out).to_pylist()
    assert {row["sop_instance_uid"] for row in rows} == {f"2.25.{index}" for index in range(1, 5)}
    assert {row["sha256"] for row in rows} == {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert {row["state"] for row in rows} == {"positive", "negative"}
