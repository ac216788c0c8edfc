"""The queue, with a record in the audit trail before each change that has to have one.

The record comes first, so that whatever the queue says the trail says too. A node that is killed between the two has
recorded what it then does again: the trail has two records of what did happen twice.

What is synced before the change is acknowledged: an assessment, an arrival at a destination, a quarantine, an
operator's act. A reception is not synced for itself: the queue's own row, which is, says the same, and the next record
that is synced takes it along. Losing power can take receptions off the trail that no later record stands behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from edge_sacro.node.audit import AuditTrail
from edge_sacro.node.records import Accepted, DeliveryState, NewDelivery, Outcome, Received, State
from edge_sacro.node.store import Store

_ARRIVED = {DeliveryState.STORED: "stored", DeliveryState.COMMITTED: "committed", DeliveryState.REJECTED: "rejected"}


_acting: ContextVar[str | None] = ContextVar("acting", default=None)


@contextmanager
def acting(actor: str) -> Iterator[None]:
    """Have what is done in this block recorded as this one's doing."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


class AuditedStore(Store):
    """A queue whose changes stand in the audit trail.

    Args:
        path: as of the queue.
        trail: the audit trail.
        actor: who makes the changes that no peer makes.

    Attributes:
        bundle: fingerprint of the bundle that assesses, once there is one.
    """

    def __init__(self, path: Path, trail: AuditTrail, actor: str = "node") -> None:
        super().__init__(path)
        self.trail, self._actor = trail, actor
        self.bundle: str | None = None

    def accept(self, received: Received) -> Accepted:
        """As of the queue."""
        self.trail.append(
            "received",
            sync=False,
            actor=received.peer,
            via=received.via,
            uid=self.trail.uid_hash(received.sop_instance_uid),
            sha256=received.sha256,
        )
        return super().accept(received)

    def assessed(self, sequence: int, outcome: Outcome, deliveries: Sequence[NewDelivery]) -> None:
        """As of the queue."""
        instance = self.instance(sequence)
        self.trail.append(
            "assessed",
            sync=True,
            actor=self._actor,
            instance=sequence,
            uid=None if instance is None else self.trail.uid_hash(instance.sop_instance_uid),
            sha256=None if instance is None else instance.sha256,
            bundle=self.bundle,
            outcome=outcome.outcome,
            reason_code=outcome.reason_code,
            objects=len({each.path for each in deliveries}),
        )
        super().assessed(sequence, outcome, deliveries)

    def delivery_moved(
        self, delivery: int, state: DeliveryState, *, error: str | None = None, transaction_uid: str | None = None
    ) -> None:
        """As of the queue."""
        found = self.delivery(delivery) if state in _ARRIVED else None
        if found is not None:
            self.trail.append(
                "delivered",
                sync=True,
                actor=self._actor,
                instance=found.sequence,
                delivery=delivery,
                destination=found.destination,
                uid=self.trail.uid_hash(found.sop_instance_uid),
                outcome=_ARRIVED[state],
            )
        super().delivery_moved(delivery, state, error=error, transaction_uid=transaction_uid)

    def quarantine(self, sequence: int, reason_code: str, reason: str) -> None:
        """As of the queue."""
        self.trail.append("quarantined", sync=True, actor=self._actor, instance=sequence, reason_code=reason_code)
        super().quarantine(sequence, reason_code, reason)

    def requeue(self, sequence: int) -> bool:
        """As of the queue."""
        instance = self.instance(sequence)
        if instance is None or instance.state != State.QUARANTINED:
            return False
        self.trail.append("requeued", sync=True, actor=_acting.get() or self._actor, instance=sequence)
        return super().requeue(sequence)

    def purged(self, sequence: int) -> None:
        """As of the queue."""
        self.trail.append("purged", sync=False, actor=self._actor, instance=sequence)
        super().purged(sequence)

    def accessed(self, sequence: int, actor: str, what: str) -> None:
        """Record that somebody was given something of an instance; not synced for itself.

        Args:
            sequence: the instance's number.
            actor: who.
            what: the report, a result's name, the pixels, or ``detail``: what the page shows of it.
        """
        self.trail.append("accessed", sync=False, actor=actor, instance=sequence, what=what)

    def listed(self, actor: str, newest: int, oldest: int, state: str | None) -> None:
        """Record that somebody was shown the names of instances; not synced for itself.

        Args:
            actor: who.
            newest: number of the first one shown.
            oldest: number of the last one.
            state: the state of all of them, where only those of one were asked for.
        """
        self.trail.append("listed", sync=False, actor=actor, newest=newest, oldest=oldest, state=state)
