"""The node as a whole: what it is made of, in which order it starts, and how it stops.

Everything that can be refused is refused before anything is received: the configuration, a second node on the same
folder, a damaged queue, a bundle that is not what its maker made. A part that fails later stops the node, with that
error's exit code, for whoever supervises it to start it again; it begins where the disk says that it was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Protocol

from edge_sacro import __version__
from edge_sacro.errors import DiskFull, EdgeSacroError, NodeError, StorageFailed
from edge_sacro.ledger.keep import Keeper
from edge_sacro.node.alerts import AlertingJournal
from edge_sacro.node.answers import Answer, Answers
from edge_sacro.node.audit import AuditTrail
from edge_sacro.node.audited import AuditedStore
from edge_sacro.node.config import NodeConfig
from edge_sacro.node.halt import Halt
from edge_sacro.node.intake import Intake
from edge_sacro.node.opening import locked, open_keeper, open_runtime
from edge_sacro.node.operate import KEY_NAME, QUEUE_NAME, TRAIL_NAME
from edge_sacro.node.proof import prove
from edge_sacro.node.records import DeliveryState
from edge_sacro.node.spool import Spool
from edge_sacro.node.work import Answering, Worker
from edge_sacro.results import bundle_record
from edge_sacro.runtime import Assessed, Runtime

if TYPE_CHECKING:
    from edge_sacro.node.send import Sender
    from edge_sacro.node.web import Assessing, NodeMetrics

STOP_S = 20.0
"""How long what is being assessed or sent may take to come to its end once the node stops."""

_MEGABYTE = 1_000_000
_PURGED_AT_ONCE = 100


class Part(Protocol):
    """What runs beside the assessor: the receiver, the senders, the HTTP interface."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End, once what was begun is done."""
        ...


class Node:
    """One node on one folder. Made, it holds the folder and everything is open; started, it receives.

    Args:
        config: the node's.
        answers: makes what answers instances, for tests; the runtime that the configuration names where None.

    Attributes:
        bundle: fingerprint of the bundle that assesses; None where a stand-in answers.

    Raises:
        NodeError: another node has the folder, or it cannot be used.
        BundleError, BackendError, UsageError: nothing could be assessed.
    """

    def __init__(self, config: NodeConfig, answers: Callable[[NodeConfig], Answering] | None = None) -> None:
        self.config, self.halt = config, Halt()
        self._housekept: float | None = None
        self._metrics: NodeMetrics | None = None
        self._senders: Sequence[Sender] = ()
        self._running = ExitStack()
        self._closing = ExitStack()
        try:
            self._open(answers)
        except BaseException:
            self._closing.close()
            raise

    def _open(self, answers: Callable[[NodeConfig], Answering] | None) -> None:
        config, closing = self.config, self._closing
        self.journal = AlertingJournal(path=config.log)
        closing.callback(self.journal.close)
        self.spool = Spool(config.folder, config.limits.disk_reserve_mb * _MEGABYTE)
        closing.enter_context(locked(config.folder))
        self.trail = AuditTrail(config.folder / TRAIL_NAME, config.folder / KEY_NAME)
        closing.callback(self.trail.close)
        self.journal.trail = self.trail
        self.store = AuditedStore(config.folder / QUEUE_NAME, self.trail)
        closing.callback(self.store.close)
        swept, returned = self.spool.sweep(self.store.knows_file), self.store.recover()
        self.intake = Intake(self.spool, self.store, self.journal, config.limits.queue)
        self.runtime: Runtime | None = None
        if answers is None:
            self.runtime = closing.enter_context(open_runtime(config))
            self.store.bundle = self.runtime.bundle.fingerprint
        self.worker = Worker(
            config=config,
            spool=self.spool,
            store=self.store,
            journal=self.journal,
            halt=self.halt,
            arrived=self.intake.arrived,
            answers=self._answers() if answers is None else answers(config),
            wake_senders=self._wake_senders,
            observe=self._observe,
        )
        self._reject_forsaken()
        self._parts = self._made_parts()
        self.journal.event("opened", version=__version__, bundle=self.store.bundle, swept=len(swept), returned=returned)

    def _answers(self) -> Answering:
        """What the runtime answers with, proved."""
        if self.runtime is None:
            raise NodeError("there is nothing that answers")
        answers = Answers(self.runtime, self.config)
        began = time.monotonic()
        proved = prove(answers)
        self.journal.event("proved", ms=round(1000 * (time.monotonic() - began)), outcome=proved.outcome)
        if self.config.ledger.enabled:
            keeper = self._closing.enter_context(open_keeper(self.config, self.runtime))
            answers.keep = lambda assessed, data: self._write_ledger(keeper, assessed, data)
        return answers

    def _write_ledger(self, keeper: Keeper, assessed: Assessed, data: bytes) -> None:
        """Add the line of an answer; what goes wrong there is told, and is no failure of the answer."""
        try:
            keeper.keep(assessed[0], assessed[1], data)
        except EdgeSacroError as error:
            self.journal.event("ledger_failed", error=error.code)

    def start(self) -> None:
        """Begin to send, to assess and, last of all, to receive."""
        self.trail.append("started", sync=True, actor="node", bundle=self.store.bundle, version=__version__)
        self.housekeep()
        self.worker.start()
        started = ExitStack()
        try:
            for part in self._parts:
                part.start()
                started.callback(part.stop)
        except BaseException:
            self.halt.ask()
            started.close()
            self.worker.stop(STOP_S)
            raise
        self._running = started
        self.journal.event("ready", pid=os.getpid())

    def stop(self) -> None:
        """Receive nothing more, end what was begun where that takes no longer than ``STOP_S``, and close everything."""
        self.halt.ask()
        self._running.close()
        ended = self.worker.stop(STOP_S)
        error = self.halt.error
        why = None if error is None else error.code
        try:
            self.trail.append("stopped", sync=True, actor="node", bundle=self.store.bundle, outcome=why)
            self.store.checkpoint()
        except NodeError as failure:
            self.halt.fail(failure)
        self.journal.event("stopped", error=why, assessor_ended=ended)
        if ended:
            self._closing.close()

    def problems(self) -> tuple[str, ...]:
        """Why the node is not ready, each in a sentence; none where it is."""
        found = [self.worker.stuck, "the node stops" if self.halt.asked else None]
        return tuple(each for each in found if each is not None)

    def alive(self) -> bool:
        """Whether the assessor goes on: it is not at one instance for longer than any may take."""
        return self.worker.busy_s() < 2 * self.config.assessment.deadline_s + 120

    def housekeep(self) -> None:
        """Remove files of instances that ended long ago, and fold the queue's log, as often as the configuration says.

        A hundred instances at a time, so that nobody waits for it; the rest the next time that this is called.
        """
        if self._housekept is not None and time.monotonic() - self._housekept < self.config.retention.every_s:
            return
        try:
            ended = self._purge()
        except DiskFull as error:
            self.journal.event("not_purged", error=error.what)
        except StorageFailed as error:
            self.halt.fail(error)
        else:
            if not ended:
                return
        self._housekept = time.monotonic()

    def _purge(self) -> bool:
        """Remove files of some instances; whether those were all."""
        before = datetime.now(timezone.utc) - timedelta(days=self.config.retention.days)
        found = self.store.purgeable(before.isoformat(timespec="milliseconds"), _PURGED_AT_ONCE)
        for each in found:
            self.store.purged(each.sequence)
            for relative in (each.path, each.results):
                if relative is not None:
                    self.spool.purge(relative)
        if found:
            self.journal.event("purged", instances=len(found))
        self.store.checkpoint()
        return len(found) < _PURGED_AT_ONCE

    def _made_parts(self) -> list[Part]:
        """What runs beside the assessor, in the order in which it starts."""
        from edge_sacro.node.commitment import Commitments, Outbox
        from edge_sacro.node.guard import bounds_from_limits
        from edge_sacro.node.receive import Receiver
        from edge_sacro.node.send import Sender

        config = self.config
        outbox = Outbox(self.spool, self.store, self.journal, self.halt)
        asked = any(each.storage_commitment for each in config.destinations)
        commitments = Commitments(config.destinations, outbox) if asked else None
        self._senders = [
            Sender(each, config.dicom.ae_title, config.sending, outbox, commitments) for each in config.destinations
        ]
        bounds = bounds_from_limits(config.limits)
        self.receiver = Receiver(config.dicom, bounds, self.intake, self.journal, self.halt, commitments)
        return [*self._senders, self.receiver, *([self._web()] if config.http.enabled else [])]

    def _web(self) -> Part:
        from edge_sacro.node.web import Services, WebServer, app_from_node

        services = Services(
            config=self.config,
            spool=self.spool,
            store=self.store,
            intake=self.intake,
            journal=self.journal,
            assessing=self._assessing,
            problems=self.problems,
            storage_failed=self.halt.fail,
            accessed=self.store.accessed,
            listed=self.store.listed,
        )
        self._metrics = services.metrics
        self.web = WebServer(self.config.http, app_from_node(services))
        return self.web

    def _assessing(self) -> Assessing | None:
        """What assesses, for the page."""
        from edge_sacro.node.web import Assessing

        runtime = self.runtime
        if runtime is None:
            return None
        return Assessing(bundle_record(runtime.bundle), runtime.bundle.manifest.guard_band.half_width)

    def _observe(self, answer: Answer) -> None:
        if self._metrics is not None:
            self._metrics.observe(answer.outcome, answer.timings_ms)

    def _wake_senders(self) -> None:
        for each in self._senders:
            each.wake()

    def _reject_forsaken(self) -> None:
        """Set aside what waits for a destination that the configuration no longer names: it would wait for ever."""
        for each in self.store.forsaken([to.name for to in self.config.destinations]):
            self.store.delivery_moved(each.id, DeliveryState.REJECTED, error="no such destination any more")
            self.journal.event("destination_gone", instance=each.sequence, destination=each.destination)
