"""A soak: many instances through one process, and what of it grows."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.reliability_archive import Archive
from bench.reliability_kill import Verdict, judge
from bench.reliability_load import Load, numbered
from bench.reliability_node import NodeProcess
from edge_sacro.node.proof import blank_image

KEPT = ("queue.sqlite", "queue.sqlite-wal", "audit.jsonl")
"""What grows with each instance on purpose: the queue keeps what became of it, the audit trail who did what."""


QUEUE = 20
"""Instances that may wait: beyond them the modality is refused, and tries again."""


class Sample(NamedTuple):
    """The process and its folder at one moment.

    Attributes:
        instances: acknowledged so far.
        memory_mb: resident, of the node's own process.
        children_mb: resident, of its decoding processes.
        descriptors, threads: of the node's own process.
        files_mb: of the folder without what is kept on purpose.
        kept_mb: of what is kept on purpose.
    """

    instances: int
    memory_mb: float
    children_mb: float
    descriptors: int
    threads: int
    files_mb: float
    kept_mb: float


ALLOWED: dict[str, float] = {
    "memory_mb": 16.0,
    "children_mb": 32.0,
    "descriptors": 4.0,
    "threads": 4.0,
    "files_mb": 24.0,
}
"""By how much the median of the last quarter may be above that of the second one."""


@dataclass(frozen=True)
class SoakRecord:
    """A soak.

    Attributes:
        instances: acknowledged.
        seconds: from the first to the end of the last.
        samples: in their order.
        grown: the last quarter's median less the second one's, of each measure.
        kept_kb: of queue and audit trail for each instance.
        verdict: what became of the instances.
    """

    instances: int
    seconds: float
    samples: tuple[Sample, ...]
    grown: dict[str, float]
    kept_kb: float
    verdict: Verdict

    @property
    def flat(self) -> bool:
        """Whether nothing grew that should not."""
        return not leaks(self.grown)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        every = max(len(self.samples) // 20, 1)
        return {
            "instances": self.instances,
            "seconds": self.seconds,
            "grown": self.grown,
            "allowed": ALLOWED,
            "kept_kb_an_instance": self.kept_kb,
            "lost": len(self.verdict.lost),
            "doubled": len(self.verdict.doubled),
            "states": dict(self.verdict.states),
            "samples": [each._asdict() for each in self.samples[::every]],
        }


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """What grew from the second quarter to the last one, by medians; the first quarter warms up."""
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    return {
        name: round(
            statistics.median(getattr(each, name) for each in last)
            - statistics.median(getattr(each, name) for each in second),
            2,
        )
        for name in ALLOWED
    }


def leaks(grown: dict[str, float]) -> list[str]:
    """What grew by more than it may."""
    return [name for name, by in grown.items() if by > ALLOWED[name]]


def run_soak(node: NodeProcess, archive: Archive, instances: int, every_s: float = 0.5) -> SoakRecord:
    """Send instances one after another, and watch.

    Args:
        node: not started; its files go as soon as instances have ended.
        archive: where it sends; running.
        instances: how many.
        every_s: between two samples.
    """
    # A short queue, so that the modality waits for the node and no backlog is taken for growth.
    node.settings = {**node.settings, "retention": {"days": 0, "every_s": 0.2}, "limits": {"queue": QUEUE}}
    node.start()
    template, began, samples = blank_image(), time.monotonic(), []
    load = Load(node.port, lambda number: numbered(template, "soak", number), most=instances)
    load.start()
    while not load.done.wait(every_s):
        samples.append(sample(node, len(load.acknowledged)))
    node.settled(600)
    seconds = round(time.monotonic() - began, 1)
    node.stop()
    rows = {row["sop_instance_uid"]: row["state"] for row in node.rows("SELECT sop_instance_uid, state FROM instance")}
    kept = sum(_size(node.folder / name) for name in KEPT)
    return SoakRecord(
        instances=len(load.acknowledged),
        seconds=seconds,
        samples=tuple(samples),
        grown=growth(samples),
        kept_kb=round(kept / 1000 / max(len(load.acknowledged), 1), 2),
        verdict=judge(load.acknowledged, rows, archive.results()),
    )


def sample(node: NodeProcess, instances: int) -> Sample:
    """Look at the process now.

    Raises:
        RuntimeError: it is not there.
    """
    if node.process is None or node.process.poll() is not None:
        raise RuntimeError("the node ended during the soak")
    pid = node.process.pid
    # os.walk passes over folders that go meanwhile.
    found = (Path(place) / name for place, _, names in os.walk(node.folder) for name in names if name not in KEPT)
    files = sum(map(_size, found))
    return Sample(
        instances=instances,
        memory_mb=_memory_mb(pid),
        children_mb=sum(_memory_mb(child) for child in _children(pid)),
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        files_mb=files / 1e6,
        kept_mb=sum(_size(node.folder / name) for name in KEPT) / 1e6,
    )


def _memory_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1000
    return 0.0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, each.read_text().split())
    return found


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size if path.is_file() else 0
    return 0
