"""Workers on the nodes of a Ray cluster: an actor each. The nodes need Edge-Sacro and nothing else, no shared disk.

Ray restarts and retries nothing here: the driver does, because only it knows which instances have their rows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sacro.batch.assess import Assessing, error_from_failure, failure_from_error
from edge_sacro.batch.cluster import connected
from edge_sacro.batch.tasks import Answer, Event, Failure, Limits, Recipe, Task, Told
from edge_sacro.errors import BatchError, EdgeSacroError

if TYPE_CHECKING:
    import ray

DIED_S, SILENT_S = 2.0, 20.0
"""How long it is open whether a lost actor's node is away too: where Ray says that the actor's process died, and where
it only cannot be reached. Ray misses a node that was cut off after 10 to 15 s."""

STARTS = 3
"""Actors that may die at their start, one after another, before the batch ends."""


class Remote:
    """The actor: a runtime that answers tasks on a node.

    Args:
        recipe: what to open.
        bundle: the bundle as one zip file, which is written to a temporary file of the node while it is opened.
    """

    def __init__(self, recipe: Recipe, bundle: bytes) -> None:
        self._assessing: Assessing | None = None
        self._failure: Failure | None = None
        try:
            with tempfile.TemporaryDirectory(prefix="edge-sacro-batch-") as folder:
                path = Path(folder, "bundle.zip")
                path.write_bytes(bundle)
                self._assessing = Assessing(replace(recipe, bundle=str(path)))
        except EdgeSacroError as error:
            self._failure = failure_from_error(error)

    def told(self) -> tuple[Told | Failure, str]:
        """What runs here, or why nothing does; and the node's identifier."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        return (self._failure or self._open().told()), node

    def answer(self, task: Task) -> Answer:
        """The rows of one instance."""
        return self._open().answer(task)

    def _open(self) -> Assessing:
        if self._assessing is None:
            raise BatchError("this actor has no runtime")
        return self._assessing


@dataclass(eq=False)
class _Worker:
    """An actor and what it does now."""

    actor: Any
    waits_for: ray.ObjectRef[Any] | None
    since: float
    told: Told | None = None
    node: str | None = None
    task: Task | None = None
    answered: int = 0


@dataclass(frozen=True)
class _Verdict:
    """A task that was lost, and until when its node may turn out to be away."""

    event: Event
    node: str
    until: float


class RayPool:
    """Actors of a Ray cluster; see :class:`edge_sacro.batch.tasks.Pool`.

    Args:
        recipe: what each opens.
        bundle: the bundle as one zip file.
        workers: how many, spread over the nodes.
        limits: of each; Ray itself watches the memory of its nodes.
        address: of the cluster; None starts one on this machine, for this batch alone.
        kind: of the actors; the seam at which a test has workers of its own.

    Raises:
        BackendUnavailable: Ray is not installed.
        BatchError: the cluster cannot be reached.
    """

    def __init__(
        self,
        recipe: Recipe,
        bundle: bytes,
        workers: int,
        limits: Limits,
        *,
        address: str | None = None,
        kind: type[Remote] = Remote,
    ) -> None:
        self._recipe, self._wanted, self._limits = recipe, workers, limits
        self._ray = connected(address, workers * recipe.threads)
        self._bundle = self._ray.put(bundle)
        # One processor a thread. No restarts: a new actor is another worker.
        options = {"num_cpus": recipe.threads, "max_restarts": 0, "max_task_retries": 0}
        self._kind = self._ray.remote(kind).options(**options, scheduling_strategy="SPREAD")
        self._workers: list[_Worker] = []
        self._undecided: list[_Verdict] = []
        self._died_at_start, self._ready_at = 0, time.monotonic()
        self.told: Told | None = None
        self._fill()

    def free(self) -> int:
        """How many workers are ready and have no task."""
        return sum(each.told is not None and each.task is None for each in self._workers)

    def working(self) -> int:
        """How many tasks are at a worker."""
        return sum(each.task is not None for each in self._workers) + len(self._undecided)

    def workers(self) -> int:
        """How many workers are ready."""
        return sum(each.told is not None for each in self._workers)

    def nodes(self) -> list[str]:
        """The node of each worker that is ready."""
        return [each.node for each in self._workers if each.node is not None]

    def send(self, task: Task) -> None:
        """Give a free worker a task."""
        worker = next(each for each in self._workers if each.told is not None and each.task is None)
        worker.task, worker.since = task, time.monotonic()
        worker.waits_for = worker.actor.answer.remote(task)

    def wait(self, seconds: float) -> list[Event]:
        """The tasks that ended, at the latest after that time."""
        waiting = {each.waits_for: each for each in self._workers if each.waits_for is not None}
        ready: list[Any] = []
        if not waiting:
            time.sleep(seconds)
        else:
            ready, _ = self._ray.wait(list(waiting), num_returns=1, timeout=seconds)
        if ready:
            ready, _ = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        events = [event for ref in ready if (event := self._received(waiting[ref])) is not None]
        events += [event for each in list(self._workers) if (event := self._over_limit(each)) is not None]
        events += self._verdicts()
        self._fill()
        return events

    def alone(self) -> None:
        """Replace all workers by one new one."""
        self._end_all()
        self._wanted = 1
        self._fill()

    def close(self) -> None:
        """End all workers and leave the cluster."""
        self._end_all()
        self._ray.shutdown()

    def _fill(self) -> None:
        while len(self._workers) < self._wanted:
            actor = self._kind.remote(self._recipe, self._bundle)
            self._workers.append(_Worker(actor, actor.told.remote(), time.monotonic()))

    def _received(self, worker: _Worker) -> Event | None:
        try:
            message = self._ray.get(worker.waits_for)
        except self._ray.exceptions.RayError as error:
            return self._lost(worker, "worker_died", error)
        worker.waits_for = None
        if worker.told is None:
            told, worker.node = message
            if isinstance(told, Failure):
                raise error_from_failure(told)
            self._greeted(worker, told)
            return None
        task, worker.task = worker.task, None
        worker.answered += 1
        spent = message.memory_bytes > self._limits.memory_bytes or worker.answered >= self._limits.recycle
        if spent or message.failure is not None:
            self._end(worker)
        return None if task is None else Event(task, message, place=worker.told.place)

    def _greeted(self, worker: _Worker, told: Told) -> None:
        """A worker is ready; all of them must run the same."""
        if self.told is not None and told.backend != self.told.backend:
            from edge_sacro.errors import BatchMismatch

            raise BatchMismatch(f"it runs {told.backend}, {self.told.place} {self.told.backend}", source=told.place)
        worker.told, self.told, self._died_at_start = told, told, 0
        self._ready_at = time.monotonic()

    def _over_limit(self, worker: _Worker) -> Event | None:
        seconds = time.monotonic() - worker.since
        if worker.told is None:
            # An actor for which there is no room yet may wait, as long as others work.
            if seconds > self._limits.start_s and not self.workers():
                nodes = sum(node["Alive"] for node in self._ray.nodes())
                raise BatchError(
                    f"no worker was ready after {self._limits.start_s:g} s on {nodes} nodes",
                    remedy=f"Give fewer --workers or --threads: each worker takes {self._recipe.threads} processors.",
                )
            return None
        if worker.task is not None and seconds > self._limits.instance_s:
            return self._lost(worker, "instance_limit", None)
        return None

    def _lost(self, worker: _Worker, why: str, error: Exception | None) -> Event | None:
        """An actor has gone. Its task is not blamed where its node has gone too, which Ray may notice later."""
        task, told = worker.task, worker.told
        self._end(worker)
        if told is None:
            self._died_at_start += 1
            if self._died_at_start >= STARTS:
                raise BatchError(f"{STARTS} actors died at their start; the last one: {error}")
        if task is None:
            return None
        event = Event(task, None, why, place=told.place if told else "")
        if error is None or worker.node is None:
            return event
        seconds = DIED_S if isinstance(error, self._ray.exceptions.ActorDiedError) else SILENT_S
        self._undecided.append(_Verdict(event, worker.node, time.monotonic() + seconds))
        return None

    def _verdicts(self) -> Iterator[Event]:
        """The lost tasks of which it is known by now whether they are to be blamed."""
        if not self._undecided:
            return
        alive = {each["NodeID"] for each in self._ray.nodes() if each["Alive"]}
        for verdict in list(self._undecided):
            gone = verdict.node not in alive
            if gone or time.monotonic() > verdict.until:
                self._undecided.remove(verdict)
                yield replace(verdict.event, blamed=not gone)

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._ray.kill(worker.actor, no_restart=True)

    def _end_all(self) -> None:
        for worker in list(self._workers):
            self._end(worker)
