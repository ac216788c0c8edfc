"""The node as a whole: what it starts with, what it refuses to start with, and how it stops."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("pynetdicom", reason="the node's extra is not installed")
pytest.importorskip("highdicom", reason="the node's extra is not installed")

from pydicom import dcmread

from bench.reliability_archive import OurArchive
from bench.reliability_node import NodeProcess, free_port
from bench.reliability_quick import Quick
from edge_sacro.cli import main
from edge_sacro.commands import serve as commands_serve
from edge_sacro.errors import BackendFailed, NodeError
from edge_sacro.node import process, proof, systemd
from edge_sacro.node.answers import Answers
from edge_sacro.node.audit_check import records_from_file
from edge_sacro.node.config import NodeConfig
from edge_sacro.node.opening import open_runtime
from edge_sacro.node.records import DeliveryState, NewDelivery, Outcome, Received
from edge_sacro.node.serve import Node
from edge_sacro.node.store import Store
from edge_sacro.runtime import Runtime
from tests.node.stand_in import instance_bytes, until
from tests.systems.bundles import write_classifier_bundle
from tests.tiny import drawn_pelvis, write_bundle, write_dicom

LEAKY = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

IDENTIFIERS = {
    "PatientName": "DISTINCTIVE^NAME",
    "PatientID": "PID-4711-0815",
    "PatientBirthDate": "19610203",
    "OtherPatientIDs": "OTHER-77",
    "AccessionNumber": "ACC-998877",
    "StudyID": "STUDY-5566",
    "StudyDescription": "Distinctive description",
    "InstitutionName": "Distinctive Hospital",
    "ReferringPhysicianName": "REFERRER^SECRET",
    "OperatorsName": "OPERATOR^SECRET",
    "StationName": "STATIONX",
    "ImageComments": "distinctive comment",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.111222333444",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.555666777888",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.999000111222",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """What the node sets for its own process does not outlive a test."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def _config(folder: Path, bundle: Path | None = None, **tables: Any) -> NodeConfig:
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


def _toml(folder: Path, bundle: Path | None, extra: str = "") -> Path:
    named = "" if bundle is None else f'bundle = "{bundle}"\n'
    path = folder / "node.toml"
    path.write_text(
        f'folder = "node"\nlog = "node.log"\n[dicom]\nport = {free_port()}\npeers = [{{ ae_title = "MODALITY" }}]\n'
        f"[http]\nenabled = false\n[limits]\ndisk_reserve_mb = 0\n[assessment]\nthreads = 1\n{named}{extra}"
    )
    return path


def _invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Node]:
    node = Node(_config(tmp_path / "node"), lambda _: Quick())
    yield node
    if not node.halt.asked:
        node.stop()


def test_two_nodes_on_one_folder_are_refused_and_a_stopped_one_makes_room(quick: Node, tmp_path: Path) -> None:
    quick.start()
    with pytest.raises(NodeError, match="another node"):
        Node(_config(tmp_path / "node"), lambda _: Quick())
    quick.stop()
    again = Node(_config(tmp_path / "node"), lambda _: Quick())
    again.start()
    again.stop()


def test_what_waits_for_a_destination_that_is_gone_is_set_aside_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    store = Store(tmp_path / "node" / "queue.sqlite")
    sequence = store.accept(Received("a" * 64, "x", 1, "1.2", "2.25.7", "1.2", "dimse", "M")).sequence
    to = NewDelivery("archive", "p", "1.2", "2.25.9")
    store.assessed(sequence, Outcome("negative", None, None, "{}", "r", None), [to])
    assert [each.state for each in store.deliveries(sequence)] == [DeliveryState.WAITING]
    store.close()
    second = Node(_config(tmp_path / "node"), lambda _: Quick())
    instance = second.store.instance(sequence)
    assert instance is not None
    assert (instance.state, instance.reason_code) == ("quarantined", "delivery_rejected")
    second.start()
    second.stop()


def test_files_of_what_ended_long_ago_go_and_the_row_stays(tmp_path: Path) -> None:
    node = Node(_config(tmp_path / "node", retention={"days": 0}), lambda _: Quick())
    with node.intake.part() as part:
        part.write(_image_bytes(tmp_path))
        sequence = node.intake.take(part, via="dimse", peer="MODALITY").sequence
    node.start()
    assert until(lambda: node.store.counts()["delivered"] == 1)
    node._housekept = None
    assert until(lambda: (node.housekeep(), not any((tmp_path / "node" / "instances").glob("*/*")))[1])
    instance = node.store.instance(sequence)
    assert instance is not None
    assert (instance.state, instance.path, instance.results) == ("delivered", None, None)
    assert list((tmp_path / "node" / "results").iterdir()) == []
    node.stop()


def _image_bytes(folder: Path) -> bytes:
    uids = {name: value for name, value in IDENTIFIERS.items() if name.endswith("UID")}
    path = write_dicom(folder / "image.dcm", **uids)
    dataset = dcmread(path)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.PatientID = dataset.PatientName = ""
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_a_backend_that_cannot_run_keeps_the_node_from_starting(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BackendFailed("the GPU is gone")

    monkeypatch.setattr(Runtime, "assess_each", broken)
    with pytest.raises(BackendFailed):
        Node(_config(tmp_path / "node", bundle))
    monkeypatch.undo()
    # and it has let go of its folder
    node = Node(_config(tmp_path / "node", bundle))
    node.start()
    node.stop()


def test_the_image_of_the_proof_goes_all_the_way_and_decides_nothing(tmp_path: Path, bundle: Path) -> None:
    to = {"name": "archive", "host": "localhost", "port": 104, "ae_title": "ARCHIVE", "objects": ("sr", "sc")}
    config = _config(tmp_path / "node", bundle, destinations=(to,))
    with open_runtime(config) as runtime:
        answer = proof.prove(Answers(runtime, config))
    assert answer.outcome == "not_assessable", answer.reason
    assert {each.kind for each in answer.objects} == {"sr", "sc"}


def test_a_changed_model_is_refused_with_its_exit_code_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    good = write_bundle(tmp_path / "good")
    bad = write_bundle(tmp_path / "bad")
    content = bytearray((bad / "classifier.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (bad / "classifier.onnx").write_bytes(content)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    done = _invoke("serve", "--check", "--config", _toml(tmp_path / "a", bad))
    assert (done.exit_code, "bundle_file_corrupt" in done.output) == (33, True)
    started = subprocess.run(
        [sys.executable, "-m", "edge_sacro.cli", "serve", "--config", _toml(tmp_path / "a", bad)],
        capture_output=True, check=False, text=True, timeout=60,
    )  # fmt: skip
    assert started.returncode == 33
    assert _invoke("serve", "--check", "--config", _toml(tmp_path / "b", good)).exit_code == 0


def test_the_check_says_what_would_run_and_what_is_wrong(tmp_path: Path, bundle: Path) -> None:
    archive = OurArchive()
    to = f'[[destinations]]\nname = "archive"\nhost = "127.0.0.1"\nport = {archive.port}\nae_title = "ARCHIVE"\n'
    config = _toml(tmp_path, bundle, to)
    down = _invoke("serve", "--check", "--config", config)
    assert down.exit_code == 95
    assert "peer_failed" in down.output
    archive.start()
    up = _invoke("serve", "--check", "--config", config)
    archive.stop()
    assert up.exit_code == 0, up.output
    for told in ("which answers", "bundle tiny 1", "makes sr", "peer   MODALITY from any address", "listen DICOM"):
        assert told in up.output
    assert not (tmp_path / "node" / "queue.sqlite").exists()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = config.read_text()
        port = next(line for line in text.splitlines() if line.startswith("port"))
        config.write_text(text.replace(port, f"port = {taken.getsockname()[1]}", 1))
        assert _invoke("serve", "--check", "--config", config).exit_code == 91


def test_a_system_that_reads_ct_is_refused_before_anything_is_received(tmp_path: Path) -> None:
    ct = write_classifier_bundle(tmp_path / "ct", "fu2024-resnext50")
    done = _invoke("serve", "--check", "--config", _toml(tmp_path, ct))
    assert done.exit_code == 2
    assert "reads CT" in done.output


def test_a_package_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_serve, "NEEDED", ("pynetdicom", "no_such_package"))
    done = _invoke("serve", "--check", "--config", _toml(tmp_path, None))
    assert done.exit_code == 90
    assert "no_such_package" in done.output
    assert "pynetdicom" not in done.output


def test_commands_for_operators_need_a_node_that_has_run(tmp_path: Path) -> None:
    for command in (["status"], ["requeue", "1"], ["audit"]):
        assert _invoke("node", command[0], "--config", _toml(tmp_path, None), *command[1:]).exit_code == 92
    assert not (tmp_path / "node").exists()


def test_an_operator_sees_requeues_and_verifies(tmp_path: Path) -> None:
    config = _toml(tmp_path, None)
    node = Node(_config(tmp_path / "node"), lambda _: Quick())
    with node.intake.part() as part:
        part.write(instance_bytes())
        node.intake.take(part, via="dimse", peer="MODALITY")
    node.store.quarantine(1, "node_died", "the node died while it was assessed, 2 times")
    node.start()
    node.stop()
    seen = _invoke("node", "status", "--config", config)
    assert "instance 1: quarantined: node_died: the node died" in seen.output
    assert _invoke("node", "requeue", "--config", config, "1").exit_code == 0
    assert _invoke("node", "requeue", "--config", config, "1").exit_code == 2
    whole = _invoke("node", "audit", "--config", config, "--export", tmp_path / "messages.xml")
    assert whole.exit_code == 0, whole.output
    assert "5 records, none changed" in whole.output
    assert len((tmp_path / "messages.xml").read_text().splitlines()) == 5
    trail = tmp_path / "node" / "audit.jsonl"
    text = trail.read_text()
    assert '"operator:' in text
    trail.write_text(text.replace("node_died", "never"))
    changed = _invoke("node", "audit", "--config", config)
    assert changed.exit_code == 90
    assert "was changed" in changed.output


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[socket.socket]:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield listener


def test_systemd_hears_what_it_asked_for(told: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd.notify("READY=1")
    assert told.recv(100) == b"READY=1"
    assert systemd.watchdog_s() is None
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert systemd.watchdog_s() == 15.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_s() is None
    monkeypatch.delenv("NOTIFY_SOCKET")
    systemd.notify("READY=1")


def test_a_process_tells_systemd_confines_itself_and_ends_as_it_is_told(told: socket.socket, tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "process", module="bench.reliability_quick", environment={"WATCHDOG_USEC": "200000"})
    node.start()
    assert told.recv(100) == b"READY=1"
    assert told.recv(100) == b"WATCHDOG=1"
    assert node.process is not None
    limits = Path(f"/proc/{node.process.pid}/limits").read_text()
    assert limits.split("Max core file size")[1].split()[:2] == ["0", "0"]
    assert "Umask:\t0077" in Path(f"/proc/{node.process.pid}/status").read_text()
    (node.work / "node.log").rename(node.work / "node.log.1")
    node.process.send_signal(signal.SIGHUP)
    assert until((node.work / "node.log").exists)
    assert node.stop() == 0
    assert [each["event"] for each in node.events()] == ["stopped"]
    assert (node.folder / "queue.sqlite").stat().st_mode & 0o077 == 0


def test_a_node_that_stays_at_one_instance_for_too_long_is_not_alive(quick: Node) -> None:
    assert quick.alive()
    quick.worker._since = time.monotonic() - quick.config.assessment.deadline_s
    assert quick.alive()
    quick.worker._since = time.monotonic() - 10 * quick.config.assessment.deadline_s
    assert not quick.alive()
    # waiting for room on the disk is no fault of its own
    quick.worker.stuck = "the disk is full"
    assert quick.alive()
    assert quick.problems() == ("the disk is full",)
    quick.worker._since = quick.worker.stuck = None


def test_a_failure_while_it_runs_ends_the_process_with_that_errors_code(tmp_path: Path) -> None:
    def failing(config: NodeConfig) -> Node:
        node = Node(config, lambda _: Quick())
        node.halt.fail(BackendFailed("the GPU is gone"))
        return node

    with pytest.raises(BackendFailed):
        process.serve(_config(tmp_path / "node"), failing)
    last = (tmp_path / "node.log").read_text().splitlines()[-1]
    assert json.loads(last)["error"] == "backend_failed"


@pytest.mark.filterwarnings(*LEAKY)
def test_no_identifier_of_a_patient_a_study_or_an_image_leaves_in_log_audit_or_metrics(
    tmp_path: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One study over DICOM, one over HTTP, one refused, one that nothing can be made of: the whole node, searched."""
    archive = OurArchive()
    archive.start()
    to = {"name": "archive", "host": "127.0.0.1", "port": archive.port, "ae_title": "ARCHIVE"}
    web = {"enabled": True, "port": 0}
    node = Node(_config(tmp_path / "node", bundle, destinations=(to,), http=web))
    node.start()
    try:
        _send_all(node, tmp_path)
        assert until(lambda: node.store.waiting() == 0 and sum(node.store.counts().values()) == 4, 30)
        rows = node.store.page(limit=9)
        _read_and_requeue(node)
        with urllib.request.urlopen(f"http://127.0.0.1:{node.web.port}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
    finally:
        node.stop()
        archive.stop()
    ended = {each.state: each.reason_code for each in rows}
    # the answer to an image of no study has no report that could be sent: a person has to see that
    assert ended == {"delivered": None, "refused": "wrong_view", "quarantined": "output_not_written"}
    states = sorted(json.loads(line).get("event", "") for line in (tmp_path / "node.log").read_text().splitlines())
    assert {"received", "assessed", "sent"} <= set(states)
    searched = {
        "log": (tmp_path / "node.log").read_text(),
        "audit": (tmp_path / "node" / "audit.jsonl").read_text(),
        "metrics": metrics,
        "streams": "".join(capfd.readouterr()),
    }
    for place, text in searched.items():
        assert _found(text) == [], place
    # the search does find them where they belong
    (report,) = (tmp_path / "node" / "results").glob("*1/sr.dcm")
    assert "PID-4711-0815" in _found(report.read_bytes().decode("latin-1"))


def _read_and_requeue(node: Node) -> None:
    """What a person does at the page: look at a report, have another instance tried again."""
    base = f"http://127.0.0.1:{node.web.port}/v1/instances"
    with urllib.request.urlopen(f"{base}/1/report", timeout=10) as answer:  # noqa: S310 - our own node
        assert json.load(answer)["results"]
    request = urllib.request.Request(f"{base}/3/requeue", b"", {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
        assert answer.status == 200
    assert until(lambda: node.store.waiting() == 0)
    records = list(records_from_file(node.config.folder / "audit.jsonl"))
    done = [(each["event"], each.get("instance")) for each in records if str(each.get("actor")).startswith("http:")]
    assert ("accessed", 1) in done
    assert ("requeued", 3) in done


def _found(text: str) -> list[str]:
    parts = {part for value in IDENTIFIERS.values() for part in (value, *value.split("^"))}
    return [part for part in sorted(parts) if part.lower() in text.lower()]


def _send_all(node: Node, folder: Path) -> None:
    from pynetdicom import AE

    changes: list[dict[str, Any]] = [{}, {"ViewPosition": "LL"}, {"StudyInstanceUID": None}]
    entity = AE("MODALITY")
    files = []
    for number, change in enumerate(changes):
        uid = f"{IDENTIFIERS['SOPInstanceUID']}.{number}"
        path = write_dicom(folder / f"{number}.dcm", **{**IDENTIFIERS, "SOPInstanceUID": uid, **change})
        dataset = dcmread(path)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        files.append(dataset)
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", node.receiver.port, ae_title="EDGESACRO")
    assert association.is_established
    for dataset in files:
        assert association.send_c_store(dataset).Status == 0
    association.release()
    other = write_dicom(folder / "http.dcm", drawn_pelvis(), **IDENTIFIERS)
    request = urllib.request.Request(
        f"http://127.0.0.1:{node.web.port}/v1/instances", other.read_bytes(), {"Content-Type": "application/dicom"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own node
        assert answer.status in {200, 201, 202}
