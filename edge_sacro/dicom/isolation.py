"""Reading in child processes: a bomb or a crash in a decoder is the refusal of one file, and no other file notices.

A child is started on first use, kept, and used for one file at a time; a few of them serve several threads. A child
that dies or passes its time is ended, the file that it had is refused, and the next file gets a new child.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from typing import Any

from edge_sacro.dicom.child import Child
from edge_sacro.dicom.limits import ReadLimits
from edge_sacro.dicom.wire import error_from_message
from edge_sacro.errors import DecodeFailed, DecodeLimitExceeded, InternalError
from edge_sacro.processors import usable_processors

CHILDREN = min(4, usable_processors())
"""Children at most; a thread beyond them waits for one to be free."""


class Children:
    """The children of this process: idle ones, and how many more may be started."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._busy: list[Child] = []
        self._warming: threading.Thread | None = None

    def warm(self) -> None:
        """Start a child while the caller goes on, so that the first file need not wait for all of its start."""
        if self._warming is None and not self.pids():
            self._warming = threading.Thread(target=self._start_idle, name="warm-up", daemon=True)
            self._warming.start()

    def _start_idle(self) -> None:
        with contextlib.suppress(InternalError):  # the first file will try again, and will tell
            child = Child()
            with self._lock:
                self._idle.append(child)

    def pids(self) -> list[int]:
        """Process ids of the children that are busy, then of the idle ones."""
        with self._lock:
            return [child.pid for child in (*self._busy, *self._idle)]

    def answer(
        self, header: dict[str, Any], data: bytes, limits: ReadLimits, source: str
    ) -> tuple[dict[str, Any], bytearray]:
        """Have one job done by a child that is free.

        Raises:
            EdgeSacroError: what the child answered, or how it died, told of ``source``.
        """
        with self._free:
            try:
                child = self._taken()
            except InternalError as error:
                raise error.with_source(source) from error.__cause__
            ending = True
            try:
                answer, payload = child.answer(header, data, limits)
                ending = bool(answer.get("ending"))
            except (DecodeFailed, DecodeLimitExceeded, InternalError) as error:
                raise error.with_source(source) from error.__cause__
            finally:
                # also where the caller was interrupted: the pipes then hold the rest of a message
                self._given_back(child, ending=ending)
        if "error" in answer:
            raise error_from_message(answer, source)
        return answer, payload

    def close(self) -> None:
        """End every idle child."""
        self._warmed()
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()

    def _taken(self) -> Child:
        """An idle child that is alive, or a new one."""
        self._warmed()
        child = None
        while child is None:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            if idle is None:
                child = Child()
            elif idle.alive():
                child = idle
            else:
                idle.close()
        with self._lock:
            self._busy.append(child)
        return child

    def _warmed(self) -> None:
        """Wait for the child that ``warm`` is starting, where there is one."""
        warming = self._warming
        if warming is not None:
            warming.join()
            self._warming = None

    def _given_back(self, child: Child, *, ending: bool) -> None:
        with self._lock:
            self._busy.remove(child)
            if not ending:
                self._idle.append(child)
        if ending:
            child.close()


_children = Children(CHILDREN)


def children() -> Children:
    """The children of this process."""
    return _children


def _after_fork() -> None:
    """A forked process has its parent's pipes and may not speak into them; it starts children of its own."""
    global _children  # noqa: PLW0603 - one pool a process is what this module is for
    _children = Children(CHILDREN)


def _at_exit() -> None:
    _children.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
