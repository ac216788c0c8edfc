"""The order of system calls: an acknowledgement leaves the machine after everything that it promises is synced."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the node's extra is not installed")

from bench.reliability_careless import LATE_S, VARIABLE
from bench.reliability_load import associated, numbered
from bench.reliability_node import NodeProcess
from edge_sacro.node.proof import blank_image
from tests.node.stand_in import until

STRACE = shutil.which("strace")
CALLS = "trace=fsync,fdatasync,rename,renameat,renameat2,sendto,sendmsg"
STEPS = (
    ("its bytes are synced", r"fsync\(\d+<\S+/incoming/\S+\.part>"),
    ("it gets its name", r"rename\w*\(.*/incoming/.*\.part.*/instances/"),
    ("its folder is synced", r"fsync\(\d+<\S+/instances/\w\w>"),
    ("its row is synced", r"fdatasync\(\d+<\S+/queue\.sqlite-wal>"),
    ("it is acknowledged", r"sendto\(\d+<TCP"),
)
"""What has to happen, in this order, as strace -y writes it."""


def _order(work: Path, defect: str) -> list[str]:
    """The steps of one reception in the order of their calls, each at its first time after the one before could be."""
    if STRACE is None:
        pytest.skip("strace is not installed")
    node = NodeProcess(work / "node", module="bench.reliability_quick", environment={VARIABLE: defect})
    node.start()
    instance = numbered(blank_image(), "order", 1)
    association = associated(node.port, str(instance.SOPClassUID), instance)
    assert association is not None
    assert node.process is not None
    calls = work / "calls"
    command = [STRACE, "-f", "-yy", "-s", "0", "-e", CALLS, "-o", str(calls), "-p", str(node.process.pid)]
    watching = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert watching.stderr is not None
    if "attached" not in watching.stderr.readline():
        node.kill()
        association.abort()
        watching.stderr.close()
        watching.wait(10)
        pytest.skip("strace may not attach here")
    assert association.send_c_store(instance).Status == 0
    time.sleep(2 * LATE_S if defect else 0.2)
    assert until(lambda: node.states()["delivered"] == 1)
    association.release()
    watching.terminate()
    watching.wait(10)
    watching.stderr.close()
    node.kill()
    lines = calls.read_text().splitlines()
    first = {step: next((n for n, line in enumerate(lines) if re.search(form, line)), -1) for step, form in STEPS}
    assert min(first.values()) >= 0, (first, lines)
    return sorted(first, key=lambda step: first[step])


def test_an_instance_is_acknowledged_after_bytes_name_folder_and_row_are_synced(tmp_path: Path) -> None:
    assert _order(tmp_path, "") == [step for step, _ in STEPS]


def test_a_node_that_acknowledges_first_is_found_out(tmp_path: Path) -> None:
    assert _order(tmp_path, "acknowledges")[0] == "it is acknowledged"
