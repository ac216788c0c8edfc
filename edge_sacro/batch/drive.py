"""The driver: has each instance answered once, whatever becomes of the workers.

An instance whose worker is lost under it is tried once more, after all others, by a new worker that is the only one. If
that one is lost too, the instance is set aside. One whose whole node went away is sent again at once: it is not blamed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

from edge_sacro.batch.assess import error_from_failure
from edge_sacro.batch.checkpoint import Checkpoint
from edge_sacro.batch.rows import REASONS, row_set_aside
from edge_sacro.batch.sources import Instances
from edge_sacro.batch.tasks import Answer, Counts, Event, Pool, Task, Told, unwatched
from edge_sacro.errors import BatchError, BatchStopped

READERS = 4
"""Threads that fetch instances."""

LOOK_S, SOON_S = 0.2, 0.01
"""How long the driver waits before it looks around again, and where only the next instance's bytes are missing."""

IN_A_ROW = 20
"""So many workers lost with no instance answered in between are no fault of the instances: the batch ends."""


class Driver:
    """Takes what is listed through a pool into a work folder.

    Args:
        instances: what to answer.
        pool: its workers.
        checkpoint: the open work folder.
        whole: the driver reads the instances; False where each worker reads the paths itself.
        stopping: asked often; True once the batch is to end.
        watch: called often with the counts.

    Attributes:
        counts: what has been done so far.
    """

    def __init__(
        self,
        *,
        instances: Instances,
        pool: Pool,
        checkpoint: Checkpoint,
        whole: bool = True,
        stopping: Callable[[], bool] = lambda: False,
        watch: Callable[[Counts, int], None] = unwatched,
    ) -> None:
        self._instances, self._pool, self._checkpoint = instances, pool, checkpoint
        self._whole, self._stopping, self._watch = whole, stopping, watch
        self.counts = Counts(listed=len(instances.labels))
        self._again: deque[Task] = deque()
        self._suspects: list[Task] = []
        self._in_work: set[str] = set()
        self._copies: dict[str, list[Task]] = {}
        self._in_a_row = 0
        self._checked = False

    def run(self) -> None:
        """Answer everything that has no answer yet.

        Raises:
            BatchStopped: ``stopping`` said so; what was in work has ended, and is kept.
            BatchError: the workers cannot go on.
            OutputNotWritten: the work folder is full.
        """
        left = [label for label in self._instances.labels if not self._known(label)]
        self.counts.resumed = self.counts.done = len(self._instances.labels) - len(left)
        if not left:
            return
        with ThreadPoolExecutor(READERS, thread_name_prefix="fetch") as readers:
            self._answer_all(self._fetched(readers, left))
        if self._suspects and not self._stopping():
            self._answer_suspects()
        self._checkpoint.sync()
        if self.counts.done < self.counts.listed:
            told = f"{self.counts.done} of {self.counts.listed} instances have their answer"
            if self._stopping():
                raise BatchStopped(told)
            raise BatchError(f"{told}; the files of others changed meanwhile")

    def _known(self, label: str) -> bool:
        return self._checkpoint.has(label, self._instances.stamp(label))

    def _fetched(self, readers: ThreadPoolExecutor, labels: Sequence[str]) -> Iterator[Task | None]:
        """The tasks, fetched a few ahead; None where the next is not there yet."""
        waiting: deque[Future[Task]] = deque()
        rest = iter(labels)
        while True:
            while len(waiting) < self._pool.workers() + READERS and (label := next(rest, None)) is not None:
                waiting.append(readers.submit(self._instances.fetch, label, whole=self._whole))
            if not waiting:
                return
            if not waiting[0].done():
                yield None
                continue
            yield waiting.popleft().result()

    def _answer_all(self, tasks: Iterator[Task | None]) -> None:
        drained = False
        while True:
            stop = self._stopping()
            idle = False
            while self._pool.free() and not stop and not idle and not drained:
                try:
                    task = next(tasks)
                except StopIteration:
                    drained = True
                    break
                idle = task is None
                if task is not None:
                    self._take(task)
            while self._pool.free() and not stop and self._again:
                self._send(self._again.popleft())
            if not self._pool.working() and (stop or (drained and not self._again)):
                return
            self._wait(SOON_S if idle else LOOK_S)

    def _take(self, task: Task) -> None:
        """Send a task, unless its bytes have their answer, or will have."""
        key = task.sha256
        if key is not None and self._checkpoint.has_rows(key):
            self._keep(task, Answer((), key), "")
        elif key is not None and key in self._in_work:
            self._copies.setdefault(key, []).append(replace(task, content=None))
        else:
            if key is not None:
                self._in_work.add(key)
            self._send(task)

    def _send(self, task: Task) -> None:
        if not self._checked:
            self._checkpoint.check_backend(self._told().backend)
            self._checked = True
        self._pool.send(task)

    def _wait(self, seconds: float) -> None:
        for event in self._pool.wait(seconds):
            self._end(event)
        self._watch(self.counts, self._pool.workers())

    def _end(self, event: Event) -> None:
        """The first time that a task ends."""
        answer = event.answer
        if answer is not None and answer.failure is None:
            self._in_a_row = 0
            self._keep(replace(event.task, sha256=answer.sha256), answer, event.place)
            return
        why = event.lost or (answer.failure.code if answer is not None and answer.failure else "worker_died")
        self.counts.lost[why] = self.counts.lost.get(why, 0) + 1
        self.counts.resent += 1
        if event.blamed:
            self._suspects.append(replace(event.task, content=None))
            self._count_lost(why, answer)
        else:
            self._again.append(event.task)

    def _count_lost(self, why: str, answer: Answer | None) -> None:
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW:
            failure = answer.failure if answer is not None else None
            told = error_from_failure(failure) if failure else REASONS[why]
            raise BatchError(f"{IN_A_ROW} instances in a row took their worker down; the last one: {told}")

    def _keep(self, task: Task, answer: Answer, place: str) -> None:
        told = {"timings_ms": list(answer.timings), "worker": place}
        for each in chain([task], self._copies_of(task.sha256)):
            if not self._checkpoint.has(each.label, each.stamp):
                self._checkpoint.add(each, answer.rows, told)
                self.counts.done += 1

    def _copies_of(self, sha256: str | None) -> list[Task]:
        """The paths that wait for the answer to the same bytes."""
        if sha256 is None:
            return []
        self._in_work.discard(sha256)
        return [replace(copy, sha256=sha256) for copy in self._copies.pop(sha256, [])]

    def _answer_suspects(self) -> None:
        """Each of them once more, by a new worker that has the machine to itself."""
        for suspect in self._suspects:
            if self._stopping():
                return
            task = self._instances.fetch(suspect.label)
            if self._checkpoint.has_rows(task.sha256):
                self._keep(task, Answer((), task.sha256), "")
                continue
            self._pool.alone()
            event = self._alone(task)
            if event.answer is not None and event.answer.failure is None:
                self._end(event)
            else:
                self._set_aside(task, event)

    def _alone(self, task: Task) -> Event:
        while not self._pool.free():
            self._wait(LOOK_S)
        self._send(task)
        while True:
            events = self._pool.wait(LOOK_S)
            self._watch(self.counts, self._pool.workers())
            for event in events:
                if event.blamed:
                    return event
                return self._alone(task)

    def _set_aside(self, task: Task, event: Event) -> None:
        failure = event.answer.failure if event.answer is not None else None
        code = failure.code if failure else event.lost or "worker_died"
        reason = failure.what if failure else REASONS[code]
        row = row_set_aside(task.sha256, code, reason, self._told())
        told = {"timings_ms": [{}], "worker": event.place}
        for each in chain([task], self._copies_of(task.sha256)):
            self._checkpoint.add(each, [row], told, set_aside=True)
            self.counts.done += 1
            self.counts.set_aside += 1

    def _told(self) -> Told:
        told = self._pool.told
        if told is None:
            raise BatchError("no worker is ready")
        return told
