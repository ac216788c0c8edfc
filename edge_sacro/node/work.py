"""The assessor: takes one instance after another off the queue, has it answered, keeps the answer, wakes who sends.

It stops the node where nothing can be trusted any more: the backend failed, or the disk. What is wrong with one
instance alone ends that instance, refused with its reason or in quarantine, and no other.
"""

from __future__ import annotations

import hashlib
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edge_sacro.dicom.part10 import file_meta
from edge_sacro.errors import (
    BackendError,
    BundleError,
    DiskFull,
    EdgeSacroError,
    InputRefused,
    InternalError,
    StorageFailed,
)
from edge_sacro.node.answers import Answer
from edge_sacro.node.config import Destination, NodeConfig
from edge_sacro.node.halt import Halt
from edge_sacro.node.intake import META_BYTES
from edge_sacro.node.journal import Journal
from edge_sacro.node.records import Instance, NewDelivery, Outcome
from edge_sacro.node.spool import Spool
from edge_sacro.node.store import Store

IDLE_S, FULL_S = 1.0, 5.0
"""How long to wait for an instance before looking again, and for room on the disk before trying again."""


class Answering(Protocol):
    """What answers an instance: :class:`edge_sacro.node.answers.Answers`, or a stand-in for it in a test."""

    def answer(self, instance: Instance, data: bytes) -> Answer:
        """Everything that is kept of the answer to one instance."""
        ...


class Worker:
    """The assessor's thread.

    Args:
        config, spool, store, journal, halt: the node's.
        answers: what answers an instance.
        wake_senders: called once results wait to be sent.
        observe: called with each answer, to count it.

    Attributes:
        arrived: set by whoever has put something into the queue.
        stuck: why nothing is assessed at the moment, for a person; None where all is well.
    """

    def __init__(  # noqa: PLR0913 - the node's parts, by keyword alone
        self,
        *,
        config: NodeConfig,
        spool: Spool,
        store: Store,
        journal: Journal,
        halt: Halt,
        arrived: threading.Event,
        answers: Answering,
        wake_senders: Callable[[], None],
        observe: Callable[[Answer], None],
    ) -> None:
        self._config, self._spool, self._store, self._journal, self._halt = config, spool, store, journal, halt
        self._answers, self._wake_senders, self._observe = answers, wake_senders, observe
        self.arrived = arrived
        self.stuck: str | None = None
        self._since: float | None = None
        self._thread = threading.Thread(target=self._run, name="assessor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """After the node was halted: wait for what is being assessed; whether it came to an end in time."""
        self.arrived.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def busy_s(self) -> float:
        """How long it has been at one instance, waiting for room on the disk left out; 0 where it is at none."""
        since = self._since
        return 0.0 if since is None or self.stuck is not None else time.monotonic() - since

    def _run(self) -> None:
        try:
            while not self._halt.asked:
                # Before looking, so that what arrives in between is not slept over.
                self.arrived.clear()
                self._since = time.monotonic()
                worked = self._next()
                self._since = None
                if not worked and not self._halt.asked:
                    self.arrived.wait(IDLE_S)
        except EdgeSacroError as error:
            self._halt.fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the node says so and stops
            self._halt.fail(_defect("the assessor stopped", error))

    def _next(self) -> bool:
        """Take one instance to its end; False where none waits, or nothing can be done now."""
        taken: list[Instance | None] = []
        if not self._once_there_is_room(lambda: taken.append(self._store.next_to_assess())) or taken[0] is None:
            return False
        instance = taken[0]
        limit = self._config.limits.attempts
        if instance.attempts > limit:
            self._set_aside(instance, "node_died", f"the node died while it was assessed, {limit} times")
            return True
        data = self._read(instance)
        if data is not None:
            answer = self._answer(instance, data)
            if answer is not None:
                self._keep(instance, answer)
        return True

    def _read(self, instance: Instance) -> bytes | None:
        """The instance's bytes, which must be those that were received; None where it had to be set aside."""
        try:
            data = self._spool.path(instance.path or "").read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            self._set_aside(instance, "file_lost", "its file is not on the disk any more")
            return None
        except OSError as error:
            raise StorageFailed(f"cannot be read: {error.strerror}", source=f"instance {instance.sequence}") from error
        try:
            unchanged = content_sha256(data) == instance.sha256
        except InputRefused:
            unchanged = False
        if not unchanged:
            self._set_aside(instance, "file_changed", "its file is not what was received: the disk changed it")
            return None
        return data

    def _answer(self, instance: Instance, data: bytes) -> Answer | None:
        """The answer; None where the instance had to be set aside, or the node stops."""
        try:
            return self._answers.answer(instance, data)
        except (BackendError, BundleError) as error:
            # It goes back with its attempt counted: an instance that takes the backend down each time is set aside.
            self._store.recover()
            self._halt.fail(error)
        except EdgeSacroError as error:
            self._set_aside(instance, error.code, error.what)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not take the other instances along
            frame = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{Path(frame.filename).name}:{frame.lineno}"
            self._journal.event("defect", instance=instance.sequence, error=type(error).__name__, at=at)
            self._set_aside(instance, InternalError.code, f"{type(error).__name__} at {at}")
        return None

    def _keep(self, instance: Instance, answer: Answer) -> None:
        """Put an answer on stable storage, and have it sent."""
        wanted = deliveries_from_answer(self._config.destinations, answer, self._spool.results_of(instance.sequence))

        def keep() -> None:
            results = self._spool.write_results(instance.sequence, answer.files)
            told = answer.outcome, answer.reason_code, answer.reason, answer.report
            self._store.assessed(instance.sequence, Outcome(*told, str(results), answer.study_instance_uid), wanted)

        if not self._once_there_is_room(keep):
            return
        self._observe(answer)
        self._journal.event(
            "assessed",
            instance=instance.sequence,
            outcome=answer.outcome,
            reason=answer.reason_code,
            deliveries=len(wanted),
            ms=answer.timings_ms.get("total"),
        )
        for kind in answer.missing:
            self._journal.event("object_not_made", instance=instance.sequence, kind=kind)
        self._wake_senders()

    def _set_aside(self, instance: Instance, code: str, why: str) -> None:
        if self._once_there_is_room(lambda: self._store.quarantine(instance.sequence, code, why)):
            self._journal.event("quarantined", instance=instance.sequence, reason=code)

    def _once_there_is_room(self, act: Callable[[], None]) -> bool:
        """Do something that writes, again while the disk is full; False where the node stops before it could be done.

        What could not be done is begun anew, from the queue, after the next start.
        """
        while True:
            try:
                act()
            except DiskFull as error:  # noqa: PERF203 - it waits for seconds
                if self.stuck is None:
                    self._journal.event("disk_full", error=error.what)
                self.stuck = "the disk is full"
                self._since = time.monotonic()
                if self._halt.wait(FULL_S):
                    return False
            else:
                self.stuck = None
                return True


def deliveries_from_answer(destinations: tuple[Destination, ...], answer: Answer, results: Path) -> list[NewDelivery]:
    """Which object goes where.

    Args:
        destinations: the node's.
        answer: with the objects that were made.
        results: their folder, relative to the node's.
    """
    return [
        NewDelivery(to.name, str(results / made.name), made.sop_class_uid, made.sop_instance_uid)
        for to in destinations
        for made in answer.objects
        if made.kind in to.objects
    ]


def content_sha256(data: bytes) -> str:
    """The hash by which the queue knows an instance: of its transfer syntax and its data set."""
    meta, offset = file_meta(data[:META_BYTES])
    digest = hashlib.sha256(meta.get(0x0010, "").encode())
    digest.update(memoryview(data)[offset:])
    return digest.hexdigest()


def _defect(what: str, error: Exception) -> InternalError:
    return InternalError(f"{what}: {type(error).__name__}", source="the node")
