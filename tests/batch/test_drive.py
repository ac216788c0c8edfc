"""The driver alone, with workers that do what a cluster may do: vanish, come back late, fail."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sacro.batch.checkpoint import Checkpoint, keys_of
from edge_sacro.batch.drive import IN_A_ROW, Driver
from edge_sacro.batch.tasks import Answer, Event, Failure, Recipe, Row, Task, Told
from edge_sacro.errors import BatchError, BatchStopped, InputNotFound
from edge_sacro.report import Ignored

RECIPE = Recipe("bundle", "f" * 64, "onnxruntime", "fp32", "accuracy", 1)
TOLD = Told("1", "f" * 64, {"name": "onnxruntime", "version": "1", "precision": "fp32"}, "here/1")


Fate = Callable[[Task, int, bool], list[Event] | None]
"""What becomes of a task, by its try and whether it is alone; None for an answer."""


class Given:
    """Instances whose bytes are known here."""

    ignored: tuple[Ignored, ...] = ()

    def __init__(self, content: dict[str, bytes | None]) -> None:
        self.content = content
        self.labels = list(content)

    def stamp(self, _label: str) -> tuple[int, int] | None:
        return None

    def fetch(self, label: str, *, whole: bool = True) -> Task:  # noqa: ARG002
        data = self.content[label]
        if data is None:
            return Task(label, InputNotFound("it is not there"), None)
        return Task(label, data, hashlib.sha256(data).hexdigest())

    def close(self) -> None:
        pass


class Scripted:
    """Workers that answer at once, but where ``fate`` has other events for a task, by its label and its try."""

    told: Told | None = TOLD

    def __init__(self, fate: Fate = lambda *_: None, workers: int = 2) -> None:
        self._fate, self._workers, self._alone = fate, workers, False
        self._sent: deque[Task] = deque()
        self.tries: dict[str, int] = {}
        self.raw: list[Row] = []

    def free(self) -> int:
        return self._workers - len(self._sent)

    def working(self) -> int:
        return len(self._sent)

    def workers(self) -> int:
        return self._workers

    def send(self, task: Task) -> None:
        self._sent.append(task)
        self.tries[task.label] = self.tries.get(task.label, 0) + 1

    def wait(self, _seconds: float) -> list[Event]:
        if not self._sent:
            return []
        task = self._sent.popleft()
        events = self._fate(task, self.tries[task.label], self._alone) or [answered(task)]
        self.raw += [row for event in events if event.answer for row in event.answer.rows]
        return events

    def alone(self) -> None:
        self._alone, self._workers = True, 1

    def close(self) -> None:
        self._sent.clear()


def answered(task: Task) -> Event:
    row = {"state": "negative", "sha256": task.sha256, "frame": None}
    return Event(task, Answer([row], task.sha256, [{}]))


def drive(tmp_path: Path, instances: Given, pool: Scripted, **more: Callable[[], bool]) -> tuple[Driver, list[str]]:
    """The driver after its run, and the state of each row of the table, by its first path."""
    with Checkpoint(tmp_path, RECIPE.identity()) as checkpoint:
        driver = Driver(instances=instances, pool=pool, checkpoint=checkpoint, **more)
        driver.run()
        found = [
            f"{'='.join(paths)} {row['state']}"
            for key, paths in keys_of(checkpoint, instances.labels)
            for row in checkpoint.rows(key)[0]
        ]
    return driver, found


ABC: dict[str, bytes | None] = {"a": b"1", "b": b"2", "c": b"3"}


def test_an_answer_that_comes_twice_is_one_row(tmp_path: Path) -> None:
    def late(task: Task, tries: int, alone: bool) -> list[Event] | None:
        # b's node is given up, and its answer arrives all the same, before and after the second one
        if task.label != "b":
            return None
        return [Event(task, None, "worker_died", blamed=False), answered(task)] if tries == 1 else [answered(task)] * 2

    pool = Scripted(late)
    driver, found = drive(tmp_path, Given(ABC), pool)
    assert found == ["a negative", "b negative", "c negative"]
    assert driver.counts.done == 3
    assert len(pool.raw) == 5, "answers as they came, without regard to their key, are two rows too many"


def test_a_task_whose_node_went_away_is_sent_again_and_not_blamed(tmp_path: Path) -> None:
    def away(task: Task, tries: int, alone: bool) -> list[Event] | None:
        return [Event(task, None, "worker_died", blamed=False)] if tries <= 3 else None

    pool = Scripted(away)
    _, found = drive(tmp_path, Given(ABC), pool)
    assert found == ["a negative", "b negative", "c negative"]
    assert pool.tries == {"a": 4, "b": 4, "c": 4}
    assert not pool._alone


def test_a_blamed_task_is_tried_last_and_alone_and_once(tmp_path: Path) -> None:
    order: list[str] = []

    def poison(task: Task, tries: int, alone: bool) -> list[Event] | None:
        order.append(f"{task.label}{' alone' if alone else ''}")
        return [Event(task, None, "worker_died")] if task.label == "a" else None

    driver, found = drive(tmp_path, Given(ABC), Scripted(poison))
    assert order == ["a", "b", "c", "a alone"]
    assert found == ["a set_aside", "b negative", "c negative"]
    assert driver.counts.set_aside == 1


def test_an_innocent_task_gets_its_answer_alone(tmp_path: Path) -> None:
    def crowded(task: Task, tries: int, alone: bool) -> list[Event] | None:
        return None if alone or task.label != "a" else [Event(task, None, "worker_died")]

    _, found = drive(tmp_path, Given(ABC), Scripted(crowded))
    assert found == ["a negative", "b negative", "c negative"]


def test_copies_of_one_instance_are_assessed_once(tmp_path: Path) -> None:
    pool = Scripted()
    driver, found = drive(tmp_path, Given({"c": b"1", "a": b"1", "b": b"2", "d": b"1"}), pool)
    assert found == ["a=c=d negative", "b negative"]
    assert len(pool.raw) == 2
    assert driver.counts.done == 4


def test_copies_of_an_instance_that_is_set_aside_are_set_aside_with_it(tmp_path: Path) -> None:
    def poison(task: Task, tries: int, alone: bool) -> list[Event] | None:
        return [Event(task, None, "worker_died")] if task.content == b"1" else None

    driver, found = drive(tmp_path, Given({"a": b"1", "b": b"1", "c": b"2"}), Scripted(poison))
    assert found == ["a=b set_aside", "c negative"]
    assert driver.counts.done == 3


def test_an_instance_without_bytes_has_a_row_of_its_own(tmp_path: Path) -> None:
    _, found = drive(tmp_path, Given({"a": None, "b": None}), Scripted())
    assert found == ["a negative", "b negative"]


def test_a_batch_that_is_stopped_keeps_what_it_has_and_goes_on(tmp_path: Path) -> None:
    asked = [0]

    def stopping() -> bool:
        asked[0] += 1
        return asked[0] > 2

    many = Given({f"{index:02}": bytes([index]) for index in range(20)})
    with pytest.raises(BatchStopped, match="of 20 instances have their answer"):
        drive(tmp_path, many, Scripted(), stopping=stopping)
    pool = Scripted()
    driver, found = drive(tmp_path, many, pool)
    assert len(found) == 20
    assert 0 < driver.counts.resumed == 20 - len(pool.tries)


def test_workers_that_are_lost_one_after_another_end_the_batch(tmp_path: Path) -> None:
    def broken(task: Task, tries: int, alone: bool) -> list[Event] | None:
        return [Event(task, Answer((), task.sha256, (), Failure("backend_failed", "no device", None, "Look.")))]

    many = Given({f"{index:02}": bytes([index]) for index in range(IN_A_ROW + 5)})
    with pytest.raises(BatchError, match="no device"):
        drive(tmp_path, many, Scripted(broken))
    _, found = drive(tmp_path, many, Scripted())
    assert len(found) == IN_A_ROW + 5, "none of them was set aside for it"


def test_as_many_losses_with_answers_between_them_do_not(tmp_path: Path) -> None:
    def every_other(task: Task, tries: int, alone: bool) -> list[Event] | None:
        return [Event(task, None, "worker_died")] if int(task.label) % 2 else None

    many = Given({f"{index:02}": bytes([index]) for index in range(2 * IN_A_ROW + 4)})
    driver, _ = drive(tmp_path, many, Scripted(every_other))
    assert driver.counts.set_aside == IN_A_ROW + 2


def test_a_file_that_changes_between_its_tries_leaves_no_copy_of_it_unsaid(tmp_path: Path) -> None:
    content: dict[str, bytes | None] = {"a": b"1", "b": b"1"}

    def poison(task: Task, tries: int, alone: bool) -> list[Event] | None:
        content["a"] = b"2"
        return None if alone else [Event(task, None, "worker_died")]

    with pytest.raises(BatchError, match="1 of 2 instances have their answer; the files of others changed"):
        drive(tmp_path, Given(content), Scripted(poison))
    _, found = drive(tmp_path, Given(content), Scripted())
    assert found == ["a negative", "b negative"]
