"""Workers on this machine: a process each, with a runtime of its own, started anew and ended when it must be."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from edge_sacro.batch.assess import Assessing, error_from_failure, failure_from_error, memory_bytes
from edge_sacro.batch.tasks import Answer, Event, Failure, Limits, Recipe, Task, Told
from edge_sacro.errors import BatchError, EdgeSacroError

STARTS = 3
"""Workers that may die at their start, one after another, before the batch ends."""


@dataclass(eq=False)
class _Worker:
    """A process and what it does now."""

    process: SpawnProcess
    pipe: Connection
    since: float
    told: Told | None = None
    task: Task | None = None
    answered: int = 0


class LocalPool:
    """Processes of this machine; see :class:`edge_sacro.batch.tasks.Pool`.

    Args:
        recipe: what each opens.
        workers: how many.
        limits: of each.
        target: what each process runs; the seam at which a test has workers of its own.
    """

    def __init__(
        self,
        recipe: Recipe,
        workers: int,
        limits: Limits,
        *,
        target: Callable[[Connection, Recipe], None] | None = None,
    ) -> None:
        self._target = target or run_worker
        self._recipe, self._wanted, self._limits = recipe, workers, limits
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._died_at_start = 0
        self.told: Told | None = None
        self._fill()

    def free(self) -> int:
        """How many workers are ready and have no task."""
        return sum(each.told is not None and each.task is None for each in self._workers)

    def working(self) -> int:
        """How many tasks are at a worker."""
        return sum(each.task is not None for each in self._workers)

    def workers(self) -> int:
        """How many workers are ready."""
        return sum(each.told is not None for each in self._workers)

    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [each.process.pid for each in self._workers if each.process.pid is not None]

    def send(self, task: Task) -> None:
        """Give a free worker a task."""
        worker = next(each for each in self._workers if each.told is not None and each.task is None)
        worker.task, worker.since = task, time.monotonic()
        with contextlib.suppress(OSError):  # a worker that is gone is noticed by the next wait
            worker.pipe.send(task)

    def wait(self, seconds: float) -> list[Event]:
        """The tasks that ended, at the latest after that time."""
        ready = wait([each.pipe for each in self._workers], seconds)
        events: list[Event] = []
        for worker in list(self._workers):
            if worker.pipe in ready:
                events += self._received(worker)
            else:
                events += self._over_limit(worker)
        self._fill()
        return events

    def alone(self) -> None:
        """Replace all workers by one new one."""
        self.close()
        self._wanted = 1
        self._fill()

    def close(self) -> None:
        """End all workers."""
        for worker in list(self._workers):
            self._end(worker)

    def _fill(self) -> None:
        while len(self._workers) < self._wanted:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=self._target, args=(theirs, self._recipe), name="edge-sacro batch worker", daemon=True
            )
            with _interrupts_held_back():
                process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours, time.monotonic()))

    def _received(self, worker: _Worker) -> Iterator[Event]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._lost(worker, "worker_died")
            return
        if isinstance(message, Failure):
            raise error_from_failure(message)
        if isinstance(message, Told):
            worker.told, self.told, self._died_at_start = message, message, 0
            return
        task, worker.task = worker.task, None
        worker.answered += 1
        place = worker.told.place if worker.told else ""
        if isinstance(message, Answer) and task is not None:
            spent = message.memory_bytes > self._limits.memory_bytes or worker.answered >= self._limits.recycle
            if spent or message.failure is not None:
                self._end(worker)
            yield Event(task, message, place=place)

    def _over_limit(self, worker: _Worker) -> Iterator[Event]:
        """End a worker that takes too long or too much."""
        seconds = time.monotonic() - worker.since
        if worker.told is None:
            if seconds > self._limits.start_s:
                self._end(worker)
                raise BatchError(f"a worker was not ready after {self._limits.start_s:g} s")
            return
        if worker.task is None:
            return
        if seconds > self._limits.instance_s:
            yield from self._lost(worker, "instance_limit")
        elif memory_bytes(worker.process.pid or 0) > self._limits.memory_bytes:
            yield from self._lost(worker, "worker_memory")

    def _lost(self, worker: _Worker, why: str) -> Iterator[Event]:
        task, told = worker.task, worker.told
        code = self._end(worker)
        if told is None:
            self._died_at_start += 1
            if self._died_at_start >= STARTS:
                raise BatchError(f"{STARTS} workers died at their start, the last one with exit code {code}")
        if task is not None:
            yield Event(task, None, why, place=told.place if told else "")

    def _end(self, worker: _Worker) -> int | None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()
        code = worker.process.exitcode
        worker.process.close()
        return code


def run_worker(pipe: Connection, recipe: Recipe) -> None:
    """In the worker's process: answer tasks until the driver's end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):
        try:
            assessing = Assessing(recipe)
        except EdgeSacroError as error:
            pipe.send(failure_from_error(error))
            return
        pipe.send(assessing.told())
        while True:
            pipe.send(assessing.answer(pipe.recv()))


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started meanwhile do not see the terminal's SIGINT, which is for the driver."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
