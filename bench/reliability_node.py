"""A node as a process of its own, that can be killed, and what its folder says from outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_S = 60.0
_TAIL = 1 << 16


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody does."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass
class NodeProcess:
    """One node on one folder, started and killed as often as wanted.

    Attributes:
        work: its configuration, its log and its folder stand in it.
        archive_port: of the destination; None for no destination.
        settings: tables of the configuration that differ from these here.
        module: what runs: the product, or a control that has a defect on purpose.
        environment: beside this process's own.
    """

    work: Path
    archive_port: int | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    module: str = "edge_sacro.cli"
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """The node's folder."""
        return self.work / "node"

    @property
    def config(self) -> Path:
        """The configuration's file."""
        return self.work / "node.toml"

    def write_config(self) -> None:
        """Write the configuration."""
        tables: dict[str, dict[str, Any]] = {
            "dicom": {"port": self.port, "peers": [{"ae_title": "MODALITY"}]},
            "http": {"enabled": False, "port": self.http_port},
            "assessment": {"threads": 1, "deadline_s": 60.0},
            "limits": {"attempts": 10, "disk_reserve_mb": 0},
            "retention": {"every_s": 0.2},
            "sending": {"retry_first_s": 0.2, "retry_longest_s": 1.0, "timeout_s": 10.0},
        }
        for name, values in self.settings.items():
            tables[name] = {**tables.get(name, {}), **values}
        lines = ['folder = "node"', 'log = "node.log"']
        for name, values in tables.items():
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
        if self.archive_port is not None:
            to = {"name": "archive", "host": "127.0.0.1", "port": self.archive_port, "ae_title": "ARCHIVE"}
            lines += ["", "[[destinations]]", *(f"{key} = {_toml(value)}" for key, value in to.items())]
        self.work.mkdir(parents=True, exist_ok=True)
        self.config.write_text("\n".join(lines) + "\n")

    def start(self, *, wait: bool = True) -> None:
        """Start it; where wanted, wait until it listens.

        Raises:
            RuntimeError: it ended, or does not listen in time.
        """
        if not self.config.exists():
            self.write_config()
        with (self.work / "stderr.log").open("ab") as told:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", self.module, "serve", "--config", str(self.config)],
                stdout=subprocess.DEVNULL,
                stderr=told,
                env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment},
            )
        end = time.monotonic() + START_S
        while wait and not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the node did not start: {(self.work / 'stderr.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def ready(self) -> bool:
        """Whether this process has said so."""
        pid = None if self.process is None else self.process.pid
        return any(each["event"] == "ready" and each["pid"] == pid for each in self.events(_TAIL))

    def kill(self) -> None:
        """End it as a loss of power would, but for what the kernel still has in memory."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self, seconds: float = 60.0) -> int:
        """Ask it to stop, and return its exit code."""
        if self.process is None:
            raise RuntimeError("it was never started")
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def events(self, tail: int | None = None) -> list[dict[str, Any]]:
        """The log, every line that is whole; of its last bytes only, where ``tail`` says how many."""
        log = self.work / "node.log"
        if not log.exists():
            return []
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - tail, 0) if tail is not None else 0)
            lines = file.read().decode("ascii", "replace").splitlines()
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [each for each in found if isinstance(each, dict)]

    def rows(self, query: str) -> list[sqlite3.Row]:
        """Ask the queue, in a copy, so that whatever a killed node left there is left as it is."""
        with tempfile.TemporaryDirectory() as copy:
            for each in self.folder.glob("queue.sqlite*"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(each, copy)
            place = Path(copy) / "queue.sqlite"
            if not place.exists():
                return []
            with contextlib.closing(sqlite3.connect(place)) as connection:
                connection.row_factory = sqlite3.Row
                try:
                    return connection.execute(query).fetchall()
                except sqlite3.OperationalError:
                    return []

    def states(self) -> Counter[str]:
        """How many instances are in each state."""
        return Counter({row[0]: row[1] for row in self.rows("SELECT state, COUNT(*) FROM instance GROUP BY state")})

    def settled(self, seconds: float) -> bool:
        """Wait until every instance has come to an end; whether that was in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.states().keys() & {"received", "assessing", "sending"}:
                return True
            time.sleep(0.25)
        return False


def _toml(value: Any) -> str:
    """A value as TOML has it; JSON's form is TOML's for these, but for tables inside arrays."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
