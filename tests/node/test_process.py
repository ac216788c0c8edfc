"""The node as a process: what systemd hears, what it leaves to nobody, and the signals that it follows."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the node's extra is not installed")

from bench.reliability_node import NodeProcess
from edge_sacro.node import systemd
from tests.node.stand_in import until


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
