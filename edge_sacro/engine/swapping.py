"""A network whose engine is another one from some assessment on, without a pause."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from edge_sacro.engine.base import Array, Engine, NetworkSpec


@dataclass
class _Lease:
    """An opened engine, with the assessments that run on it."""

    key: str
    engine: Engine
    users: int = 0
    retired: bool = False


class SwappingEngine(Engine):
    """Delegates to the engine in service. An assessment that began on one ends on it, and it is closed after that."""

    backend = "store"

    def __init__(self, spec: NetworkSpec, key: str, engine: Engine, turn: threading.Lock | None = None) -> None:
        super().__init__(spec)
        self.turn = turn or threading.Lock()
        self.vendor_version = engine.vendor_version
        self._lock = threading.Lock()
        self._current = _Lease(key, engine)

    @property
    def engine(self) -> Engine:
        """The engine that serves new assessments."""
        return self._current.engine

    @property
    def key(self) -> str:
        """Of the engine that serves new assessments."""
        return self._current.key

    @contextmanager
    def pinned(self) -> Iterator[Engine]:
        """The engine that serves now, kept open for the whole block."""
        with self._lock:
            lease = self._current
            lease.users += 1
        try:
            yield lease.engine
        finally:
            with self._lock:
                lease.users -= 1
                unused = lease.retired and lease.users == 0
            if unused:
                lease.engine.close()

    def swap(self, key: str, engine: Engine) -> None:
        """Let another engine serve from the next assessment on."""
        with self._lock:
            old, self._current = self._current, _Lease(key, engine)
            self.vendor_version = engine.vendor_version
            old.retired = True
            unused = old.users == 0
        if unused:
            old.engine.close()

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        with self.pinned() as engine:
            return engine.run(inputs, deadline=deadline)

    def state(self) -> dict[str, str]:
        """Of the engine that serves."""
        return self._current.engine.state()

    def close(self) -> None:
        """Close the engine that serves."""
        self._current.engine.close()
