"""kill -9 at random moments under load: what was acknowledged, and what became of it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.reliability_archive import Archive
from bench.reliability_load import Load, numbered
from bench.reliability_node import NodeProcess
from edge_sacro.node.audit_check import check_trail
from edge_sacro.node.proof import blank_image

ENDED = frozenset({"delivered", "refused"})
EARLY = 0.15
"""Part of the kills that hit a node that is still starting."""


@dataclass(frozen=True)
class Verdict:
    """What became of the acknowledged instances.

    Attributes:
        acknowledged: how many there were.
        lost: those that the queue does not have, or that have not ended as they should, or whose result never arrived.
        doubled: those of which two results arrived.
        states: of the queue, at the end.
    """

    acknowledged: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    states: Mapping[str, int]

    @property
    def whole(self) -> bool:
        """Whether nothing was lost or doubled."""
        return not self.lost and not self.doubled


@dataclass
class KillRecord:
    """The experiment.

    Attributes:
        kills: how many.
        at_start: of them, before the node was ready.
        found: how many kills hit a node with at least one instance in each state, one half received, or a write-ahead
            log with something in it.
        attempts: attempts of the modality that were not acknowledged, by why.
        trail: findings in the audit trail.
    """

    kills: int = 0
    at_start: int = 0
    found: Counter[str] = field(default_factory=Counter)
    attempts: Mapping[str, int] = field(default_factory=dict)
    trail: tuple[str, ...] = ()
    verdict: Verdict | None = None
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        verdict = self.verdict
        judged = (
            None
            if verdict is None
            else {
                "acknowledged": verdict.acknowledged,
                "lost": len(verdict.lost),
                "doubled": len(verdict.doubled),
                "states": dict(verdict.states),
            }
        )
        return {**vars(self), "found": dict(self.found), "verdict": judged}


def judge(acknowledged: Iterable[str], rows: Mapping[str, str], results: Mapping[str, set[str]]) -> Verdict:
    """Hold what was acknowledged against the queue and the archive.

    Args:
        acknowledged: SOP Instance UIDs.
        rows: state in the queue by UID.
        results: reports in the archive by the UID of the image that they are of.
    """
    sent = list(acknowledged)
    lost = [uid for uid in sent if rows.get(uid) not in ENDED or not results.get(uid)]
    doubled = [uid for uid, reports in results.items() if len(reports) > 1]
    return Verdict(len(sent), tuple(lost), tuple(doubled), Counter(rows.values()))


def run_kills(node: NodeProcess, archive: Archive, kills: int, seed: int, longest_s: float = 2.5) -> KillRecord:
    """Kill a node again and again while a modality sends, then let it finish, and judge.

    Args:
        node: not started.
        archive: where it sends; running.
        kills: how many.
        seed: of the moments.
        longest_s: a node lives at most so long after it is ready, or after it was started where it is killed early.

    Returns:
        the record, its verdict with it.
    """
    draw, record, began = random.Random(seed), KillRecord(), time.monotonic()  # noqa: S311 - moments, no secrets
    template = blank_image()
    load = Load(node.port, lambda number: numbered(template, f"kill{seed}", number), pause_s=0.05)
    load.start()
    try:
        for _ in range(kills):
            early = draw.random() < EARLY
            node.start(wait=not early)
            time.sleep(draw.uniform(0.0, longest_s))
            record.at_start += not node.ready()
            node.kill()
            record.kills += 1
            _look(node, record)
        node.start()
    finally:
        load.stop()
    node.settled(300.0)
    node.stop()
    rows = {row["sop_instance_uid"]: row["state"] for row in node.rows("SELECT sop_instance_uid, state FROM instance")}
    record.verdict = judge(load.acknowledged, rows, archive.results())
    record.attempts = dict(load.failed)
    record.trail = tuple(check_trail(node.folder / "audit.jsonl").findings)
    record.seconds = round(time.monotonic() - began, 1)
    return record


def _look(node: NodeProcess, record: KillRecord) -> None:
    """Note in the middle of what the node was killed."""
    record.found.update(f"with an instance {state}" for state, number in node.states().items() if number)
    if any((node.folder / "incoming").glob("*.part")):
        record.found["with an instance half received"] += 1
    if any((node.folder / "results").glob("*.part")):
        record.found["with results half written"] += 1
    log = Path(node.folder / "queue.sqlite-wal")
    if log.exists() and log.stat().st_size:
        record.found["with a write-ahead log to recover"] += 1
