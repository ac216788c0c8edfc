"""Why and when the node stops: one place, which every part of it asks and tells."""

from __future__ import annotations

import threading

from edge_sacro.errors import EdgeSacroError


class Halt:
    """Set once, and for good. Safe to call from several threads.

    Attributes:
        error: why the node cannot go on; None where it was asked to stop, or runs.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self.error: EdgeSacroError | None = None

    @property
    def asked(self) -> bool:
        """Whether everything has to come to an end."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Stop: somebody wants it."""
        self._asked.set()

    def fail(self, error: EdgeSacroError) -> None:
        """Stop: the node cannot go on, and must say so. Of several errors the first is kept."""
        with self._lock:
            if self.error is None:
                self.error = error
        self._asked.set()

    def wait(self, seconds: float) -> bool:
        """Wait, until the node stops at the longest; whether it does."""
        return self._asked.wait(seconds)
