"""Whether the audit trail is whole: each record in its place and as it was written, none missing at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge_sacro.errors import StorageFailed
from edge_sacro.node.audit import FIRST, Record, line_from_record, record_hash
from edge_sacro.node.records import DeliveryState
from edge_sacro.node.store import Store

_PAGE = 500
_MOST = 20


@dataclass
class AuditVerdict:
    """What was found.

    Attributes:
        records: how many lines the trail has.
        head: hash of the last record; note it elsewhere to hold a later trail to it.
        findings: what is wrong, in the order found, with the record's number; the first ones where there are many.
        unsynced: receptions in the queue that the trail lacks: what a loss of power may take, and nothing else.
    """

    records: int = 0
    head: str = FIRST
    findings: list[str] = field(default_factory=list)
    unsynced: int = 0

    def find(self, what: str) -> None:
        """Keep a finding."""
        if len(self.findings) < _MOST:
            self.findings.append(what)
        elif len(self.findings) == _MOST:
            self.findings.append("and more")


def records_from_file(path: Path) -> Iterator[Record]:
    """The records, in their order, each as it stands.

    Raises:
        StorageFailed: the file cannot be read.
    """
    for line in _lines(path):
        record = _parsed(line)
        if record is not None:
            yield record


def check_trail(path: Path, store: Store | None = None, head: str | None = None) -> AuditVerdict:
    """Check the chain, and that it says what the queue says.

    Args:
        path: of the trail.
        store: the queue, whose assessments and deliveries must stand in the trail; None to look at the chain alone.
        head: a hash noted earlier, which must be a record's.

    Raises:
        StorageFailed: the file cannot be read.
    """
    verdict = AuditVerdict()
    known: set[tuple[str, object]] = set()
    heads = {FIRST}
    for number, line in enumerate(_lines(path), start=1):
        verdict.records = number
        record = _parsed(line)
        if record is None or line_from_record(record) != line:
            verdict.find(f"record {number} is no record")
            continue
        if record.get("hash") != record_hash(record):
            verdict.find(f"record {number} was changed")
        if record.get("n") != number:
            verdict.find(f"record {number} says that it is number {record.get('n')}")
        if record.get("previous") != verdict.head:
            verdict.find(f"record {number} does not follow the one before it")
        verdict.head = str(record.get("hash"))
        if head is not None:
            heads.add(verdict.head)
        known.add(_fact(record))
    if head is not None and head not in heads:
        verdict.find("no record has the hash that was noted")
    if store is not None:
        _check_beside(store, known, verdict)
    return verdict


def _fact(record: Record) -> tuple[str, object]:
    """What the queue can be asked for."""
    event = str(record.get("event"))
    names = {"received": "sha256", "delivered": "delivery"}
    return event, record.get(names.get(event, "instance"))


def _check_beside(store: Store, known: set[tuple[str, object]], verdict: AuditVerdict) -> None:
    before: int | None = None
    while found := store.page(limit=_PAGE, before=before):
        before = found[-1].sequence
        for each in found:
            verdict.unsynced += ("received", each.sha256) not in known
            if each.outcome is not None and ("assessed", each.sequence) not in known:
                verdict.find(f"instance {each.sequence} was assessed, and no record says so: records are missing")
            for delivery in store.deliveries(each.sequence):
                ended = delivery.state not in {DeliveryState.WAITING, DeliveryState.CONFIRMING}
                if ended and ("delivered", delivery.id) not in known:
                    verdict.find(f"delivery {delivery.id} has ended, and no record says so: records are missing")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise StorageFailed(f"cannot be read: {error.strerror}", source=str(path)) from error


def _parsed(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
