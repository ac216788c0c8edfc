"""Workers that die, hang, grow or fail over certain instances, known by their pixels' bytes: a decoder's worst day."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection

from edge_sacro.batch import local
from edge_sacro.batch.assess import Assessing
from edge_sacro.batch.on_ray import Remote
from edge_sacro.batch.tasks import Answer, Recipe, Task
from edge_sacro.errors import BackendFailed

DIES, HANGS, GROWS, FAILS, BREAKS = b"it-dies", b"it-hangs", b"it-grows", b"it-fails", b"it-breaks"
"""What an instance's bytes hold."""


class Deadly(Assessing):
    """Answers as the product does, but for those instances."""

    def answer(self, task: Task) -> Answer:
        content = task.content if isinstance(task.content, bytes) else b""
        if DIES in content:
            os.kill(os.getpid(), signal.SIGKILL)
        if HANGS in content:
            time.sleep(600)
        if GROWS in content:
            held = bytearray(1 << 30)
            held[::4096] = b"x" * len(held[::4096])
            time.sleep(600)
        return super().answer(task)

    def _results(self, task: Task) -> list:  # type: ignore[type-arg]
        content = task.content if isinstance(task.content, bytes) else b""
        if FAILS in content:
            raise BackendFailed("the device ran out of memory")
        if BREAKS in content:
            raise ZeroDivisionError
        return super()._results(task)


def run_deadly(pipe: Connection, recipe: Recipe) -> None:
    """As the product's worker."""
    local.Assessing = Deadly  # type: ignore[misc]
    local.run_worker(pipe, recipe)


def run_stillborn(pipe: Connection, recipe: Recipe) -> None:
    """A worker that dies before it has said a word."""
    os._exit(9)


class DeadlyRemote(Remote):
    """An actor that a certain instance kills."""

    def answer(self, task: Task) -> Answer:
        if isinstance(task.content, bytes) and DIES in task.content:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(task)


class SlowRemote(Remote):
    """An actor that takes its time, so that a node can be killed in the middle of it."""

    def answer(self, task: Task) -> Answer:
        time.sleep(0.05)
        return super().answer(task)
