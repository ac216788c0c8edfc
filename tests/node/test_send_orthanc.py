"""Sending to Orthanc, a PACS of others' making, with its storage commitment."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'serve' is not installed")

from edge_sacro.node.commitment import Commitments
from edge_sacro.node.records import State
from tests.node.dicom_outbox import SENDING, Queue, destination, free_port, sending
from tests.node.dicom_peers import US, data_set_bytes, eventually, receiving

ORTHANC = shutil.which("Orthanc") or shutil.which("/usr/sbin/Orthanc")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed"),
]


class Orthanc:
    """A running Orthanc that knows the node by its AE title."""

    def __init__(self, dicom: int, http: int) -> None:
        self.dicom, self._http = dicom, http

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http}{path}", timeout=5) as answer:
            return bytes(answer.read())

    def list(self, path: str) -> list[Any]:
        return list(json.loads(self.get(path)))

    def delete(self, path: str) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self._http}{path}", method="DELETE")
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("/system"))
        return False


@contextlib.contextmanager
def running(folder: Path, node_port: int) -> Iterator[Orthanc]:
    folder.mkdir()
    orthanc = Orthanc(free_port(), free_port())
    settings = {
        "DicomAet": "ORTHANC",
        "DicomPort": orthanc.dicom,
        "HttpPort": orthanc._http,
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "Plugins": [],
        "DicomModalities": {"node": [US, "127.0.0.1", node_port]},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with subprocess.Popen(
        [str(ORTHANC), str(folder / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert eventually(orthanc.answers, 30)
            yield orthanc
        finally:
            process.terminate()


def test_orthanc_takes_the_results_and_commits_to_them(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "a")
    files = queue.add("1.2.826.0.1.1", "1.2.826.0.1.2")
    where = destination(1, ae_title="ORTHANC", storage_commitment=True)
    commitments = Commitments([where], queue.outbox)
    with receiving(tmp_path / "b", reports=commitments) as node, running(tmp_path / "c", node.receiver.port) as orthanc:
        there = where.model_copy(update={"port": orthanc.dicom})
        with sending(queue, there, SENDING, commitments):
            assert eventually(lambda: queue.instance_states() == [State.DELIVERED], 20)
        kept = {name: orthanc.get(f"/instances/{name}/file") for name in orthanc.list("/instances")}
    assert queue.states() == ["committed"] * 2
    got = []
    for name, content in kept.items():
        (path := tmp_path / name).write_bytes(content)
        got.append(data_set_bytes(path))
    assert sorted(got) == sorted(data_set_bytes(path) for path in files)


def test_what_orthanc_has_lost_it_does_not_commit_to_and_gets_again(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "a")
    where = destination(1, ae_title="ORTHANC", storage_commitment=True)
    commitments = Commitments([where], queue.outbox)
    with receiving(tmp_path / "b", reports=commitments) as node, running(tmp_path / "c", node.receiver.port) as orthanc:
        there = where.model_copy(update={"port": orthanc.dicom})
        with sending(queue, there, SENDING, commitments) as sender:
            ask = sender._ask

            def lose(deliveries: Any) -> None:
                if not queue.events("not_committed"):
                    for name in orthanc.list("/instances"):
                        orthanc.delete(f"/instances/{name}")
                ask(deliveries)

            sender._ask = lose  # type: ignore[method-assign]
            queue.add("1.2.826.0.1.1")
            sender.wake()
            assert eventually(lambda: queue.instance_states() == [State.DELIVERED], 20)
        assert len(orthanc.list("/instances")) == 1
    assert queue.events("not_committed")
