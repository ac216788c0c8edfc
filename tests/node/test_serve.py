"""The node as a whole: what it starts with, what it refuses to start with, and how it stops."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("pynetdicom", reason="the node's extra is not installed")
pytest.importorskip("highdicom", reason="the node's extra is not installed")


from bench.reliability_archive import OurArchive
from bench.reliability_load import numbered
from bench.reliability_node import free_port
from bench.reliability_quick import Quick
from edge_sacro.cli import main
from edge_sacro.commands import serve as commands_serve
from edge_sacro.errors import BackendFailed, NodeError
from edge_sacro.node import process, proof
from edge_sacro.node.answers import Answers
from edge_sacro.node.config import NodeConfig
from edge_sacro.node.opening import open_runtime
from edge_sacro.node.records import DeliveryState, NewDelivery, Outcome, Received
from edge_sacro.node.serve import Node
from edge_sacro.node.store import Store
from edge_sacro.runtime import Runtime
from tests.node.stand_in import instance_bytes, node_config, until
from tests.systems.bundles import write_classifier_bundle
from tests.tiny import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """What the node sets for its own process does not outlive a test."""
    before = os.umask(0o022)
    yield
    os.umask(before)


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
    node = Node(node_config(tmp_path / "node"), lambda _: Quick())
    node.start()
    yield node
    if not node.halt.asked:
        node.stop()


def test_two_nodes_on_one_folder_are_refused_and_a_stopped_one_makes_room(quick: Node, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="another node"):
        Node(node_config(tmp_path / "node"), lambda _: Quick())
    quick.stop()
    again = Node(node_config(tmp_path / "node"), lambda _: Quick())
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
    second = Node(node_config(tmp_path / "node"), lambda _: Quick())
    instance = second.store.instance(sequence)
    assert instance is not None
    assert (instance.state, instance.reason_code) == ("quarantined", "delivery_rejected")
    second.start()
    second.stop()


def test_files_of_what_ended_long_ago_go_and_the_row_stays(tmp_path: Path) -> None:
    node = Node(node_config(tmp_path / "node", retention={"days": 0, "every_s": 0.01}), lambda _: Quick())
    with node.intake.part() as part:
        part.write(_image_bytes())
        sequence = node.intake.take(part, via="dimse", peer="MODALITY").sequence
    node.start()
    assert until(lambda: node.store.counts()["delivered"] == 1)
    assert until(lambda: (node.housekeep(), not any((tmp_path / "node" / "instances").glob("*/*")))[1])
    instance = node.store.instance(sequence)
    assert instance is not None
    assert (instance.state, instance.path, instance.results) == ("delivered", None, None)
    assert list((tmp_path / "node" / "results").iterdir()) == []
    node.stop()


def _image_bytes() -> bytes:
    buffer = io.BytesIO()
    numbered(proof.blank_image(), "serve", 1).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_a_backend_that_cannot_run_keeps_the_node_from_starting(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BackendFailed("the GPU is gone")

    monkeypatch.setattr(Runtime, "assess_each", broken)
    with pytest.raises(BackendFailed):
        Node(node_config(tmp_path / "node", bundle))
    monkeypatch.undo()
    # and it has let go of its folder
    node = Node(node_config(tmp_path / "node", bundle))
    node.start()
    node.stop()


def test_the_image_of_the_proof_goes_all_the_way_and_decides_nothing(tmp_path: Path, bundle: Path) -> None:
    to = {"name": "archive", "host": "localhost", "port": 104, "ae_title": "ARCHIVE", "objects": ("sr", "sc")}
    config = node_config(tmp_path / "node", bundle, destinations=(to,))
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
    node = Node(node_config(tmp_path / "node"), lambda _: Quick())
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


def test_a_node_that_stays_at_one_instance_for_too_long_is_not_alive(
    quick: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quick.alive()
    deadline = quick.config.assessment.deadline_s
    monkeypatch.setattr(quick.worker, "busy_s", lambda: deadline)
    assert quick.alive()
    monkeypatch.setattr(quick.worker, "busy_s", lambda: 10 * deadline)
    assert not quick.alive()
    quick.worker.stuck = "the disk is full"
    assert quick.problems() == ("the disk is full",)


def test_waiting_for_room_on_the_disk_is_not_being_busy(quick: Node) -> None:
    quick.halt.ask()
    assert quick.worker.stop(10)
    quick.worker._since = time.monotonic() - 100
    assert quick.worker.busy_s() >= 100
    quick.worker.stuck = "the disk is full"
    assert quick.worker.busy_s() == 0
    quick.stop()


def test_a_failure_while_it_runs_ends_the_process_with_that_errors_code(tmp_path: Path) -> None:
    def failing(config: NodeConfig) -> Node:
        node = Node(config, lambda _: Quick())
        node.halt.fail(BackendFailed("the GPU is gone"))
        return node

    with pytest.raises(BackendFailed):
        process.serve(node_config(tmp_path / "node"), failing)
    last = (tmp_path / "node.log").read_text().splitlines()[-1]
    assert json.loads(last)["error"] == "backend_failed"
