"""What the queue holds, as values."""

from __future__ import annotations

from datetime import datetime, timezone
from enum import Enum
from typing import Literal, NamedTuple


class State(str, Enum):
    """Where an instance stands. It ends in delivered, refused or quarantined, and in one of them only."""

    RECEIVED = "received"
    ASSESSING = "assessing"
    SENDING = "sending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    QUARANTINED = "quarantined"

    __str__ = str.__str__


UNFINISHED = frozenset({State.RECEIVED, State.ASSESSING, State.SENDING})


class DeliveryState(str, Enum):
    """Where one object stands on its way to one destination.

    ``WAITING``: to be sent, for the first time or again. ``CONFIRMING``: stored, and its storage commitment asked for.
    ``STORED``, ``COMMITTED``: done. ``REJECTED``: the destination will never take it, which sets the instance aside.
    """

    WAITING = "waiting"
    CONFIRMING = "confirming"
    STORED = "stored"
    COMMITTED = "committed"
    REJECTED = "rejected"

    __str__ = str.__str__


class Received(NamedTuple):
    """An instance that was received and stands on stable storage.

    Attributes:
        sha256: of the transfer syntax UID and the data set, in hexadecimal: the same instance has the same one however
            it came, whatever stands in its file meta information.
        path: of the file, relative to the node's folder.
        size: bytes.
        sop_class_uid, sop_instance_uid, transfer_syntax_uid: from the file meta information.
        via: how it came.
        peer: the calling AE title, or the client's name.
    """

    sha256: str
    path: str
    size: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    via: Literal["dimse", "http"]
    peer: str


class Accepted(NamedTuple):
    """The answer to a received instance.

    Attributes:
        sequence: its number in the queue.
        what: ``again`` where the same bytes are known; ``conflict`` where its UID is known with other bytes.
    """

    sequence: int
    what: Literal["new", "again", "conflict"]


class Outcome(NamedTuple):
    """What the runtime made of an instance.

    Attributes:
        outcome: the result's state: positive, negative, borderline, not_assessable or refused.
        reason_code, reason: of a result without a decision.
        report: the report, canonical JSON.
        results: the folder of the result objects, relative to the node's folder.
        study_instance_uid: from the header; None where that could not be read.
    """

    outcome: str
    reason_code: str | None
    reason: str | None
    report: str
    results: str
    study_instance_uid: str | None


class NewDelivery(NamedTuple):
    """One object for one destination; ``path`` is relative to the node's folder."""

    destination: str
    path: str
    sop_class_uid: str
    sop_instance_uid: str


class Delivery(NamedTuple):
    """One object on its way to one destination."""

    id: int
    sequence: int
    destination: str
    path: str
    sop_class_uid: str
    sop_instance_uid: str
    state: str
    attempts: int
    error: str | None
    transaction_uid: str | None


class Instance(NamedTuple):
    """One instance of the queue: what was received, and what became of it. Times are ISO 8601, UTC."""

    sequence: int
    sha256: str
    path: str | None
    size: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    via: str
    peer: str
    state: str
    conflict: bool
    times_received: int
    attempts: int
    outcome: str | None
    reason_code: str | None
    reason: str | None
    report: str | None
    results: str | None
    study_instance_uid: str | None
    received_at: str
    finished_at: str | None


def utc_now() -> str:
    """The time, as the queue, the log and the audit trail write it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
