"""The C-STORE service class user: takes results to one destination until it has them, and never gives up by itself.

Each time the same bytes under the same UID go out, so a destination that has an object already loses nothing by getting
it again. What a retry may mend is tried again, each time later; what no retry mends is told as rejected, which sets the
instance aside for a person.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from edge_sacro.dicom.part10 import file_meta
from edge_sacro.errors import (
    DiskFull,
    EdgeSacroError,
    InternalError,
    NodeConfigInvalid,
    NotDicom,
    PeerFailed,
    TruncatedFile,
)
from edge_sacro.node.commitment import Commitments, Outbox
from edge_sacro.node.config import Destination, Sending
from edge_sacro.node.outgoing import COMMITMENT, CONTEXTS, Line, NoContext, new_transaction_uid
from edge_sacro.node.records import Delivery, DeliveryState
from edge_sacro.node.retry import Backoff, state_from_status
from edge_sacro.node.tls import client_context

_TRANSFER_SYNTAX = 0x0010
_META_BYTES = 64 << 10
_IDLE_S = 60.0
"""Without being woken a sender looks at the queue this often all the same."""

_REPORT_S = 1.0
"""How long the association that asked for a commitment stays open for a report that comes on it."""

_STOP_S = 5.0
_NOT_TAKEN = "the destination takes no such object: its SOP class or its transfer syntax was not negotiated"


class Sender:
    """One destination's thread.

    Args:
        destination: whom.
        ae_title: ours.
        sending: how patient to be.
        outbox: where deliveries stand.
        commitments: hears reports; needed where the destination is asked for storage commitment.

    Attributes:
        trouble: why nothing can be sent now; None where the last attempt went well or there was none.

    Raises:
        NodeConfigInvalid: the certificates cannot be used. Where that happens later it is tried again like the rest.
    """

    def __init__(
        self,
        destination: Destination,
        ae_title: str,
        sending: Sending,
        outbox: Outbox,
        commitments: Commitments | None = None,
    ) -> None:
        self._destination, self._ae_title, self._sending, self._outbox = destination, ae_title, sending, outbox
        self._commitments = commitments
        if destination.tls is not None:
            client_context(destination.tls)
        if commitments is not None:
            commitments.listen(destination.name, self._not_committed)
        self.trouble: str | None = None
        self._backoff = Backoff(sending)
        self._backoffs: dict[int, Backoff] = {}
        self._asked: dict[str, float] = {}
        self._lock = threading.Lock()
        self._line: Line | None = None
        self._stopping, self._woken = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"send-{destination.name}", daemon=True)

    def start(self) -> None:
        """Begin, with whatever is left from before."""
        self._thread.start()

    def stop(self) -> None:
        """End after the object that is being sent, or within it where that takes too long."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(_STOP_S)
        if self._thread.is_alive() and (line := self._line) is not None:
            line.close()
            self._thread.join(_STOP_S)

    def wake(self) -> None:
        """Say that there may be something to send."""
        self._woken.set()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._woken.wait(self._round())
                self._woken.clear()
        except EdgeSacroError as error:
            self._outbox.halt.fail(error)
        except Exception as error:  # noqa: BLE001 - a sender that is gone must not look as if it ran
            what = f"sending to {self._destination.name} fails: {type(error).__name__}: {error}"
            self._outbox.halt.fail(InternalError(what))

    def _round(self) -> float:
        """Do what is due now, and return in how many seconds the next is."""
        found = self._outbox.store.outstanding(self._destination.name)
        self._forget(found)
        if (wait := self._backoff.due - time.monotonic()) > 0:
            return min(wait, _IDLE_S)
        try:
            self._work(found)
        except (PeerFailed, NodeConfigInvalid) as error:
            self._backoff.failed()
            self.trouble = error.what
            self._outbox.journal.event("destination_fails", destination=self._destination.name, error=error.what)
        except DiskFull as error:
            self._backoff.failed()
            self._outbox.journal.event("destination_fails", destination=self._destination.name, error=error.code)
        return self._until_next()

    def _until_next(self) -> float:
        """Seconds until something is due."""
        dues = [time.monotonic() + _IDLE_S]
        with self._lock:
            for each in self._outbox.store.outstanding(self._destination.name):
                if each.state == DeliveryState.CONFIRMING:
                    dues.append(self._asked.get(each.transaction_uid or "", 0.0))
                else:
                    dues.append(self._backoffs[each.id].due if each.id in self._backoffs else 0.0)
        return max(0.0, max(min(dues), self._backoff.due) - time.monotonic())

    def _work(self, found: Sequence[Delivery]) -> None:
        due = self._due(each for each in found if each.state == DeliveryState.WAITING)
        if due:
            self._send(due)
        if self._destination.storage_commitment:
            self._confirm()
        else:  # it was asked for before, and the configuration has changed since
            for each in found:
                if each.state == DeliveryState.CONFIRMING:
                    self._outbox.store.delivery_moved(each.id, DeliveryState.STORED)

    def _due(self, waiting: Iterable[Delivery]) -> list[Delivery]:
        """What may be tried now; what failed most comes last, so that one that never goes through holds up no other."""
        now, fresh = time.monotonic(), Backoff(self._sending)
        with self._lock:
            found = [(self._backoffs.get(each.id, fresh), each) for each in waiting]
        found = [(backoff, each) for backoff, each in found if backoff.due <= now]
        return [each for _, each in sorted(found, key=lambda pair: (pair[0].failures, pair[1].id))]

    def _send(self, due: Sequence[Delivery]) -> None:
        """Send what is due on one association."""
        syntaxes = {each.id: syntax for each in due if (syntax := self._syntax(each)) is not None}
        contexts = list(dict.fromkeys((each.sop_class_uid, syntaxes[each.id]) for each in due if each.id in syntaxes))
        if not contexts:
            return
        fitting = set(contexts[:CONTEXTS])
        due = [each for each in due if each.id in syntaxes and (each.sop_class_uid, syntaxes[each.id]) in fitting]
        try:
            line = Line(self._destination, self._ae_title, self._sending.timeout_s, contexts[:CONTEXTS])
        except NoContext:
            for each in due:
                self._moved(each, DeliveryState.REJECTED, _NOT_TAKEN)
            return
        except PeerFailed as error:
            self._outbox.store.delivery_moved(due[0].id, DeliveryState.WAITING, error=error.what)
            raise
        with line:
            self._line = line
            try:
                for each in due:
                    if self._stopping.is_set():
                        return
                    self._send_one(line, each)
            finally:
                self._line = None

    def _send_one(self, line: Line, delivery: Delivery) -> None:
        try:
            status = line.store(self._outbox.spool.path(delivery.path))
        except NoContext:
            self._moved(delivery, DeliveryState.REJECTED, _NOT_TAKEN)
            return
        except PeerFailed as error:
            self._moved(delivery, DeliveryState.WAITING, error.what)
            raise
        self.trouble = None
        self._backoff.succeeded()
        state = state_from_status(status)
        if state is DeliveryState.STORED and self._destination.storage_commitment:
            state = DeliveryState.CONFIRMING
        failed = state in {DeliveryState.WAITING, DeliveryState.REJECTED}
        self._moved(delivery, state, f"status 0x{status:04X}" if failed else None)

    def _moved(self, delivery: Delivery, state: DeliveryState, error: str | None) -> None:
        """Enter one attempt."""
        if state is DeliveryState.WAITING:
            self._later(delivery)
        self._outbox.store.delivery_moved(delivery.id, state, error=error)
        self._outbox.journal.event(
            "sent" if error is None else "not_sent",
            instance=delivery.sequence,
            delivery=delivery.id,
            destination=self._destination.name,
            state=str(state),
            error=error,
        )

    def _confirm(self) -> None:
        """Ask for the commitment of what is stored, and send again what was asked for too long ago."""
        now = time.monotonic()
        confirming = [
            each
            for each in self._outbox.store.outstanding(self._destination.name)
            if each.state == DeliveryState.CONFIRMING
        ]
        to_ask: list[Delivery] = []
        for each in confirming:
            deadline = None if each.transaction_uid is None else self._asked.get(each.transaction_uid)
            if deadline is None:
                to_ask.append(each)
            elif deadline <= now:
                why = f"no storage commitment within {self._sending.commitment_s:g} s"
                self._outbox.store.delivery_moved(each.id, DeliveryState.WAITING, error=why)
                self._woken.set()
        live = {each.transaction_uid for each in confirming}
        self._asked = {uid: due for uid, due in self._asked.items() if due > now and uid in live}
        if to_ask and not self._stopping.is_set():
            self._ask(to_ask)

    def _ask(self, deliveries: Sequence[Delivery]) -> None:
        """Ask on an association of its own: many a destination offers storage commitment on no other."""
        transaction = new_transaction_uid()
        hear = None if self._commitments is None else self._commitments.hear
        title, limit = self._destination.ae_title, self._sending.timeout_s
        listener = None if hear is None else lambda kind, information: hear(title, kind, information)
        try:
            with Line(self._destination, self._ae_title, limit, [(COMMITMENT, "")], listener) as line:
                for each in deliveries:  # before it is asked for: the report may come at once
                    self._outbox.store.delivery_moved(each.id, DeliveryState.CONFIRMING, transaction_uid=transaction)
                status = line.ask(transaction, [(each.sop_class_uid, each.sop_instance_uid) for each in deliveries])
                if status:
                    raise PeerFailed(f"refuses storage commitment: status 0x{status:04X}", source=title)
                self._asked[transaction] = time.monotonic() + self._sending.commitment_s
                self._backoff.succeeded()
                self.trouble = None
                self._await_report(line, transaction)
        except NoContext:
            raise PeerFailed("does not offer storage commitment", source=title) from None

    def _await_report(self, line: Line, transaction: str) -> None:
        """Leave the association open for a moment, for a report that comes on it."""
        deadline = time.monotonic() + _REPORT_S
        while line.alive and time.monotonic() < deadline:
            states = {each.state for each in self._outbox.store.committing(transaction)}
            if DeliveryState.CONFIRMING not in states or self._stopping.wait(0.02):
                return

    def _not_committed(self, deliveries: Sequence[Delivery]) -> None:
        """Send again what a report says is not there, a little later."""
        for each in deliveries:
            self._later(each)
        self._woken.set()

    def _later(self, delivery: Delivery) -> None:
        with self._lock:
            self._backoffs.setdefault(delivery.id, Backoff(self._sending)).failed()

    def _forget(self, found: Sequence[Delivery]) -> None:
        """Drop what was remembered of deliveries that ended."""
        left = {each.id for each in found}
        with self._lock:
            self._backoffs = {number: backoff for number, backoff in self._backoffs.items() if number in left}

    def _syntax(self, delivery: Delivery) -> str | None:
        """The transfer syntax of a delivery's file; a file that is gone or damaged cannot be sent by any retry."""
        try:
            with self._outbox.spool.path(delivery.path).open("rb") as file:
                meta, _ = file_meta(file.read(_META_BYTES))
            return meta[_TRANSFER_SYNTAX]
        except (FileNotFoundError, NotDicom, TruncatedFile, KeyError):
            self._moved(delivery, DeliveryState.REJECTED, "its file is gone or damaged")
        except OSError as error:
            self._moved(delivery, DeliveryState.WAITING, f"its file cannot be read: {error.strerror}")
        return None
