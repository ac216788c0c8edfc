"""The receiver where the system has little left to give, and what it leaves behind."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'serve' is not installed")
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation

from edge_sacro.node.complaints import Complaints
from edge_sacro.node.config import Limits
from edge_sacro.node.guard import GuardedAssociation, bounds_from_limits
from edge_sacro.node.journal import Journal
from tests.node.dicom_peers import (
    BOUNDS,
    answer,
    associated,
    association_request,
    echoes,
    eventually,
    idle,
    receiving,
    waits,
)

DX = str(DigitalXRayImageStorageForPresentation)


def test_many_associations_leave_no_thread_and_no_file_behind(tmp_path: Path) -> None:
    with receiving(tmp_path) as node:
        assert echoes(node.address)
        threads, files = threading.active_count(), _open_files()
        for _ in range(5):
            assert echoes(node.address)
            with contextlib.suppress(OSError), associated(node.address, DX) as connection:
                connection.sendall(os.urandom(100))
        assert eventually(lambda: threading.active_count() <= threads and _open_files() <= files)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_without_file_descriptors_left_the_door_stays_and_makes_room(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with receiving(tmp_path, bounds=replace(BOUNDS, request_s=30.0)) as node:
        with idle(node.address, 5), _connects_from_elsewhere(node.address[1], after_s=0.3):
            assert waits(node, 5)
            os.close(lowest := os.dup(0))
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            try:
                assert eventually(lambda: node.kinds() == {"crowd"})
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert echoes(node.address)
        assert not node.halt.asked


@contextlib.contextmanager
def _connects_from_elsewhere(port: int, after_s: float) -> Iterator[None]:
    """Another process that connects: this one will have no descriptor left for it."""
    program = f"import socket, time; time.sleep({after_s}); c = socket.create_connection(('127.0.0.1', {port}))"
    with subprocess.Popen([sys.executable, "-S", "-c", f"{program}; time.sleep(60)"]) as process:
        try:
            yield
        finally:
            process.kill()


def test_without_threads_left_a_caller_is_told_to_come_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: GuardedAssociation) -> None:
        raise RuntimeError("can't start new thread")

    with receiving(tmp_path) as node:
        with monkeypatch.context() as patch, socket.create_connection(node.address) as connection:
            patch.setattr(GuardedAssociation, "start", refuse)
            connection.sendall(association_request())
            assert answer(connection) == bytes((3, 0, 0, 0, 0, 4, 0, 2, 3, 2))
        assert node.receiver.associations == 0
        assert not node.halt.asked
        assert echoes(node.address)


def test_a_door_that_fails_stops_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(tmp_path) as node:
        monkeypatch.setattr(node.receiver, "admit", lambda _: 1 / 0)
        with socket.create_connection(node.address) as connection:
            connection.sendall(association_request())
            assert eventually(lambda: node.halt.error is not None)


def test_an_attack_does_not_fill_the_log() -> None:
    log = io.StringIO()
    complaints = Complaints(Journal(log), apart_s=0.2)
    for _ in range(100):
        complaints.tell("silent", "192.0.2.1")
    assert log.getvalue().count("\n") == 1
    time.sleep(0.25)
    complaints.tell("silent", "192.0.2.1")
    assert '"times": 100' in log.getvalue().splitlines()[1]


def test_the_bounds_follow_from_the_configuration() -> None:
    bounds = bounds_from_limits(Limits(instance_mb=3, pdu_s=4.0))
    assert (bounds.instance_bytes, bounds.pdu_s, bounds.pdu_bytes) == (3_000_000, 4.0, 1 << 20)
