"""How far a batch is: a bar on a terminal, elsewhere a line of JSON every few seconds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from edge_sacro.batch.tasks import Counts

if TYPE_CHECKING:
    from rich.progress import Progress


class Watcher:
    """Called with the counts, often; tells them seldom. A context manager.

    Args:
        every_s: seconds between lines where standard error is no terminal; 0 for none but the last.
        say: takes a line.
        terminal: whether to draw a bar instead; None asks standard error.
    """

    def __init__(self, every_s: float, say: Callable[[str], None], *, terminal: bool | None = None) -> None:
        self._every_s, self._say = every_s, say
        self._terminal = sys.stderr.isatty() if terminal is None else terminal
        self._began = self._told = time.monotonic()
        self._last: tuple[Counts, int] | None = None
        self._bar: Progress | None = None
        self._open = ExitStack()

    def __enter__(self) -> Watcher:
        if self._terminal:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar = self._open.enter_context(bar)
            self._bar.add_task("instances", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()
        if self._last is not None and not self._terminal:
            self._say(self._line(*self._last))

    def __call__(self, counts: Counts, workers: int) -> None:
        """Take note of the counts."""
        self._last = counts, workers
        if self._bar is not None:
            aside = f", {counts.set_aside} set aside" if counts.set_aside else ""
            told = f"instances, {workers} workers{aside}"
            self._bar.update(self._bar.task_ids[0], total=counts.listed, completed=counts.done, description=told)
        elif self._every_s and time.monotonic() - self._told >= self._every_s:
            self._told = time.monotonic()
            self._say(self._line(counts, workers))

    def _line(self, counts: Counts, workers: int) -> str:
        seconds = time.monotonic() - self._began
        rate = (counts.done - counts.resumed) / seconds if seconds else 0.0
        left = (counts.listed - counts.done) / rate if rate else None
        line = {
            "done": counts.done,
            "of": counts.listed,
            "set_aside": counts.set_aside,
            "workers": workers,
            "workers_lost": sum(counts.lost.values()),
            "seconds": round(seconds, 1),
            "per_second": round(rate, 3),
            "seconds_left": None if left is None else round(left),
        }
        return json.dumps(line)
