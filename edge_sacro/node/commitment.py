"""Storage commitment, as its user (PS3.4 J): a destination says which results it has made itself answerable for.

A result that a destination was asked to commit to is done when its report says so. What it could not commit to is sent
again. Reports come on the association that asked, or on one that the destination opens to the node's own service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pydicom.dataset import Dataset

from edge_sacro.dicom.geometry import is_uid
from edge_sacro.errors import NodeError
from edge_sacro.node.config import Destination
from edge_sacro.node.halt import Halt
from edge_sacro.node.journal import Journal
from edge_sacro.node.records import Delivery, DeliveryState
from edge_sacro.node.spool import Spool
from edge_sacro.node.store import Store

SUCCESS, PROCESSING_FAILURE, NO_SUCH_EVENT, INVALID_ARGUMENT = 0x0000, 0x0110, 0x0113, 0x0115
"""N-EVENT-REPORT statuses (PS3.7 10.1.1.1.8)."""

_NEVER = frozenset({0x0119, 0x0122})
"""Failure reasons that sending again does not mend: class and instance conflict, class not supported (PS3.3 C.14)."""


class Outbox(NamedTuple):
    """The parts of the node that sending needs."""

    spool: Spool
    store: Store
    journal: Journal
    halt: Halt


class Commitments:
    """Reports of storage commitment, from whichever association. Safe to call from several threads.

    Args:
        destinations: of the configuration.
        outbox: where deliveries stand.
    """

    def __init__(self, destinations: Iterable[Destination], outbox: Outbox) -> None:
        self._outbox = outbox
        asked = [each for each in destinations if each.storage_commitment]
        self._names = {title: {each.name for each in asked if each.ae_title == title} for title in _titles(asked)}
        self._listeners: dict[str, Callable[[Sequence[Delivery]], None]] = {}

    def titles(self) -> frozenset[str]:
        """The AE titles that may report: those of destinations that are asked for commitment."""
        return frozenset(self._names)

    def listen(self, destination: str, listener: Callable[[Sequence[Delivery]], None]) -> None:
        """Have somebody told what a destination has to be sent again."""
        self._listeners[destination] = listener

    def hear(self, title: str, event_type: int, information: Dataset) -> int:
        """Take a report, and return the status that answers it. One that is known already changes nothing.

        Args:
            title: AE title that reports.
            event_type: 1, all is committed to; 2, something is not (PS3.4 J.3.3).
            information: names the transaction, what is committed to and what is not.
        """
        if event_type not in {1, 2}:
            return NO_SUCH_EVENT
        try:
            transaction = str(information.TransactionUID)
            done = {str(each.ReferencedSOPInstanceUID) for each in information.get("ReferencedSOPSequence") or ()}
            failed = {
                str(each.ReferencedSOPInstanceUID): int(each.get("FailureReason") or PROCESSING_FAILURE)
                for each in information.get("FailedSOPSequence") or ()
            }
        except Exception:  # noqa: BLE001 - pydicom raises whatever malformed bytes make of it
            return INVALID_ARGUMENT
        if not is_uid(transaction):
            return INVALID_ARGUMENT
        try:
            self._enter(self._names.get(title, set()), transaction, done, failed)
        except NodeError as error:
            self._outbox.halt.fail(error)
            return PROCESSING_FAILURE
        return SUCCESS

    def _enter(self, names: set[str], transaction: str, done: set[str], failed: dict[str, int]) -> None:
        again: dict[str, list[Delivery]] = {}
        for each in self._outbox.store.committing(transaction):
            if each.destination not in names or each.state != DeliveryState.CONFIRMING:
                continue
            if (reason := failed.get(each.sop_instance_uid)) is not None:
                state = DeliveryState.REJECTED if reason in _NEVER else DeliveryState.WAITING
                self._outbox.store.delivery_moved(each.id, state, error=f"not committed to: reason 0x{reason:04X}")
                again.setdefault(each.destination, []).append(each)
                self._outbox.journal.event("not_committed", **_told(each), reason=f"0x{reason:04X}")
            elif each.sop_instance_uid in done:
                self._outbox.store.delivery_moved(each.id, DeliveryState.COMMITTED)
                self._outbox.journal.event("committed", **_told(each))
        for name, deliveries in again.items():
            if (listener := self._listeners.get(name)) is not None:
                listener(deliveries)


def _told(delivery: Delivery) -> dict[str, str | int]:
    return {"instance": delivery.sequence, "delivery": delivery.id, "destination": delivery.destination}


def _titles(destinations: Iterable[Destination]) -> set[str]:
    return {each.ae_title for each in destinations}
