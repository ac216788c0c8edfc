"""The promise, as the kernel sees it: nothing is acknowledged before it is on stable storage.

A node is run under ``strace``; of its system calls those that matter are told in order: the file is synced, renamed,
its folder synced, the queue's write-ahead log synced, and only then the answer sent. The same check fails for a node
that answers first, or that syncs nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'serve' is not installed")

from tests.node.dicom_peers import ROOT, eventually, radiograph
from tests.node.test_receive import store

CALLS = "fsync,fdatasync,rename,renameat,renameat2,sendto"
ORDER = ["sync file", "rename", "sync folder", "sync queue", "answer"]
NODE = """
import sys, time
from pathlib import Path
from edge_sacro.node import intake
from edge_sacro.node.spool import Spool, Part
from tests.node.dicom_peers import receiving

fault = sys.argv[2]
if fault == "nothing synced":
    Part.seal = lambda self: self._file.close()
if fault == "folder not synced":
    import edge_sacro.node.spool as spool
    spool.sync_folder = lambda folder: None
if fault == "answered first":
    import threading
    taken = intake.Intake.take
    def late(self, part, **named):
        part.__class__ = Kept
        threading.Timer(0.5, lambda: taken(self, part, **named)).start()
    class Kept(Part):
        def __exit__(self, *_):
            pass
    intake.Intake.take = late
with receiving(Path(sys.argv[1])) as node:
    Path(sys.argv[1], "port.part").write_text(str(node.receiver.port))
    Path(sys.argv[1], "port.part").rename(Path(sys.argv[1], "port"))
    sys.stdin.read()
"""


def traced(folder: Path, fault: str) -> list[str]:
    """Run a node under strace, send it one instance, and return what happened, in order."""
    trace, image = folder / "trace", radiograph(folder / "image.dcm")
    command = ["strace", "-f", "-y", "-qq", "-e", f"trace={CALLS}", "-s", "40", "-xx", "-o", trace]
    node = [sys.executable, "-c", NODE, str(folder), fault]
    with subprocess.Popen([*command, *node], stdin=subprocess.PIPE, cwd=ROOT) as running:
        try:
            assert eventually((folder / "port").exists, 60)
            assert store(("127.0.0.1", int((folder / "port").read_text())), image) == 0x0000
            time.sleep(1.0 if fault == "answered first" else 0.0)
        finally:
            running.communicate(timeout=60)
    return [name for line in trace.read_text().splitlines() if (name := _named(line)) is not None]


def _named(line: str) -> str | None:
    """What one system call does, as far as the promise is concerned. ``-y`` tells the file behind a descriptor."""
    line = re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), line)
    if match := re.search(r"\bf(?:data)?sync\(\d+<([^>]*)>", line):
        place = match[1]
        if place.endswith(".part"):
            return "sync file"
        if place.endswith("queue.sqlite-wal"):
            return "sync queue"
        return "sync folder" if Path(place).parent.name == "instances" else None
    if re.search(r"\brename(?:at2?)?\(", line) and line.count("/node/") == 2 and ".dcm" in line:
        return "rename"
    return "answer" if re.search(r'\bsendto\(\d+<socket:[^>]*>, "\x04\x00', line) else None  # P-DATA-TF


def _traceable() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None and subprocess.run([strace, "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0
    )


pytestmark = pytest.mark.skipif(not _traceable(), reason="strace is not installed, or may not trace here")


def in_order(happened: list[str]) -> bool:
    """Whether the steps of the promise come one after the other before the first answer."""
    before = iter(happened[: happened.index("answer") + 1])
    return all(step in before for step in ORDER)


def test_an_instance_is_on_stable_storage_before_it_is_acknowledged(tmp_path: Path) -> None:
    happened = traced(tmp_path, "none")
    assert in_order(happened), happened


@pytest.mark.parametrize("fault", ["nothing synced", "folder not synced", "answered first"])
def test_control_the_check_sees_a_node_that_breaks_the_promise(tmp_path: Path, fault: str) -> None:
    happened = traced(tmp_path, fault)
    assert "answer" in happened
    assert not in_order(happened), happened
