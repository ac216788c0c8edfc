"""What an operator does beside a node: look at its queue, try an instance again, verify and export the audit trail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_sacro.bundle_files import write_atomically
from edge_sacro.errors import NodeError, StorageFailed
from edge_sacro.node.audit import AuditTrail
from edge_sacro.node.audit_check import AuditVerdict, check_trail, records_from_file
from edge_sacro.node.audit_messages import messages_from_records
from edge_sacro.node.audited import AuditedStore
from edge_sacro.node.config import NodeConfig
from edge_sacro.node.records import Instance, State
from edge_sacro.node.store import Store

QUEUE_NAME, TRAIL_NAME, KEY_NAME = "queue.sqlite", "audit.jsonl", "audit.key"
"""In the node's folder."""

_PAGE = 500


@contextmanager
def open_store(config: NodeConfig) -> Iterator[AuditedStore]:
    """The queue of a node that has one, for an operator's acts, which the audit trail records as such.

    Raises:
        StorageFailed: there is none, or it cannot be read.
    """
    os.umask(0o077)
    place = config.folder / QUEUE_NAME
    if not place.is_file():
        raise StorageFailed("no node has run on it", source=str(config.folder), remedy="Name the node's configuration.")
    trail = AuditTrail(config.folder / TRAIL_NAME, config.folder / KEY_NAME)
    try:
        store = AuditedStore(place, trail, actor=f"operator:{os.getuid()}")
        try:
            yield store
        finally:
            store.close()
    finally:
        trail.close()


def quarantined(store: Store) -> Iterator[Instance]:
    """Every instance in quarantine, the newest first."""
    before: int | None = None
    while found := store.page(limit=_PAGE, before=before, state=State.QUARANTINED):
        yield from found
        before = found[-1].sequence


def verify_trail(config: NodeConfig, head: str | None) -> AuditVerdict:
    """Check the audit trail, alone and beside the queue.

    Raises:
        NodeError: something is wrong with it; the message says what.
        StorageFailed: it cannot be read.
    """
    trail = config.folder / TRAIL_NAME
    with open_store(config) as store:
        verdict = check_trail(trail, store, head)
    if verdict.findings:
        raise NodeError(
            "; ".join(verdict.findings),
            source=str(trail),
            remedy="Keep the file and the node's folder as they are, and find out who changed them.",
        )
    return verdict


def export_messages(config: NodeConfig, target: Path) -> int:
    """Write every record as a DICOM audit message, one a line, and return how many.

    Raises:
        OutputNotWritten: the file cannot be written.
    """
    with open_store(config) as store:

        def study_of(number: int) -> str | None:
            instance = store.instance(number)
            return None if instance is None else instance.study_instance_uid

        records = records_from_file(config.folder / TRAIL_NAME)
        messages = list(messages_from_records(records, study_of, config.dicom.ae_title))
    write_atomically(target, "".join(f"{each}\n" for each in messages).encode(), mode=0o600)
    return len(messages)
