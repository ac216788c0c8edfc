"""How fast the node receives, beside DCMTK's storescp and Orthanc: the same client, the same files, the same disk.

They do not promise the same. The node acknowledges after the file and its row in the queue are synced. Orthanc writes
its file with a sync and its index without. storescp syncs nothing, so that its time is told a second time with a sync
of the whole file system at the end, which is the least that it would have to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom import dcmread

from edge_sacro.errors import UsageError

TITLE, CALLER = "RECEIVER", "CLIENT"
ROWS, COLUMNS = 3000, 2400
"""Of a digital radiograph: 14.4 MB at 16 bits."""

_PDU = "131072"
_READY_S = 30.0


class Server(NamedTuple):
    """A server that runs.

    Attributes:
        port: where it listens.
        pid: of its process.
        synced: whether what it acknowledges is on stable storage.
    """

    port: int
    pid: int
    synced: str


class Round(NamedTuple):
    """One measurement.

    Attributes:
        seconds: from the start of the clients to the end of the last.
        synced_seconds: the same with a sync of the file system at the end.
        peak_mb: largest resident memory of the server's process, MB.
    """

    seconds: float
    synced_seconds: float
    peak_mb: float


def radiograph(folder: Path, phantom: Path) -> Path:
    """A simulated radiograph of the size of a real one."""
    dataset = dcmread(phantom)
    small = dataset.pixel_array
    tiles = -(-ROWS // small.shape[0]), -(-COLUMNS // small.shape[1])
    pixels = np.tile(small, tiles)[:ROWS, :COLUMNS].astype("<u2")
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path := folder / "radiograph.dcm")
    return path


@contextlib.contextmanager
def edge_sacro(folder: Path) -> Iterator[Server]:
    """The node's receiver."""
    command = [sys.executable, "-m", "bench.receive_node", str(folder), TITLE, CALLER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        if process.stdout is None:
            raise UsageError("the receiver has no output")
        try:
            yield Server(int(process.stdout.readline()), process.pid, "each file and row, before its answer")
        finally:
            process.communicate()


@contextlib.contextmanager
def storescp(folder: Path) -> Iterator[Server]:
    """DCMTK's."""
    port = _free_port()
    command = [_found("storescp"), "-aet", TITLE, "--max-pdu", _PDU, "-od", str(folder), "--fork", str(port)]
    with _running(command, port) as process:
        yield Server(port, process.pid, "nothing")


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[Server]:
    """Orthanc as it comes, without its HTTP port open to others."""
    port, http = _free_port(), _free_port()
    settings = {
        "DicomAet": TITLE,
        "DicomPort": port,
        "HttpPort": http,
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "Plugins": [],
    }
    (path := folder / "orthanc.json").write_text(json.dumps(settings))
    with _running([_found("Orthanc"), str(path)], port) as process:
        yield Server(port, process.pid, "each file, before its answer")


SERVERS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Server]]] = {
    "edge_sacro": edge_sacro,
    "storescp": storescp,
    "orthanc": orthanc,
}


def measured(server: Server, folder: Path, image: Path, instances: int, clients: int) -> Round:
    """Send instances, each with a UID of its own, from so many clients at once.

    Raises:
        UsageError: one of them was not acknowledged.
    """
    share = [instances // clients + (number < instances % clients) for number in range(clients)]
    begun = time.perf_counter()
    running = [_client(server.port, image, count) for count in share if count]
    if any(each.wait() for each in running):
        raise UsageError("an instance was not acknowledged", source=f"port {server.port}")
    seconds = time.perf_counter() - begun
    _sync(folder)
    return Round(seconds, time.perf_counter() - begun, _peak_mb(server.pid))


def association_ms(server: Server, times: int) -> float:
    """The median time of an association with one C-ECHO, the start of the client included; milliseconds."""
    command = [_found("echoscu"), "-aet", CALLER, "-aec", TITLE, "127.0.0.1", str(server.port)]
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        subprocess.run(command, check=True)  # noqa: S603
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[times // 2] * 1000


def available(asked: Sequence[str]) -> list[str]:
    """The servers that can run here.

    Raises:
        UsageError: the client is not installed, or one that was asked for by name is not.
    """
    _found("storescu")
    needs = {"storescp": "storescp", "orthanc": "Orthanc"}
    if asked:
        for each in asked:
            if each in needs:
                _found(needs[each])
        return list(asked)
    return [each for each in SERVERS if each not in needs or _path(needs[each]) is not None]


def file_system(folder: Path) -> str:
    """The kind of file system that a folder is on."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    at = folder.resolve()
    inside = [(len(each[1]), each[2]) for each in mounts if at == Path(each[1]) or Path(each[1]) in at.parents]
    return max(inside)[1] if inside else "unknown"


def _client(port: int, image: Path, count: int) -> subprocess.Popen[bytes]:
    command = [_found("storescu"), "-aet", CALLER, "-aec", TITLE, "--max-send-pdu", _PDU, "--max-pdu", _PDU]
    more = ["--repeat", str(count), "--invent-instance", "127.0.0.1", str(port), str(image)]
    return subprocess.Popen([*command, *more])  # noqa: S603


def _sync(folder: Path) -> None:
    """Put everything on the file system of a folder on stable storage."""
    subprocess.run([_found("sync"), "-f", str(folder)], check=True)  # noqa: S603


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:  # noqa: S603
        try:
            _await(port)
            yield process
        finally:
            process.terminate()


def _await(port: int) -> None:
    deadline = time.monotonic() + _READY_S
    while not _listens(port):
        if time.monotonic() > deadline:
            raise UsageError("a server does not start", source=f"port {port}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _path(program: str) -> str | None:
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin"]
    found = (shutil.which(program, path=folder) for folder in folders)
    # pynetdicom installs scripts under the names of DCMTK's programs, which are none
    return next((each for each in found if each is not None and Path(each).read_bytes()[:2] != b"#!"), None)


def _found(program: str) -> str:
    path = _path(program)
    if path is None:
        raise UsageError(f"{program} is not installed", source="bench receive")
    return path
