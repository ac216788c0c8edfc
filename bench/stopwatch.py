"""Timing a runtime's networks through its opener."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping

from edge_sacro.engine import Engine, NetworkSpec, Opener, open_engine
from edge_sacro.engine.base import Array
from edge_sacro.parity.watch import AroundEngine


class Stopwatch:
    """An opener whose engines note how long each of their runs took, in seconds.

    Args:
        opener: opens the engines that are timed.
    """

    def __init__(self, opener: Opener = open_engine) -> None:
        self._opener = opener
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def open(self, backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        """As :func:`edge_sacro.engine.open_engine`."""
        return _TimedEngine(self._opener(backend, spec, model, threads), self._seconds[spec.name])

    def taken(self) -> dict[str, list[float]]:
        """Seconds of each run since the last time, by network; they are forgotten here."""
        taken = {name: list(each) for name, each in self._seconds.items()}
        for each in self._seconds.values():
            each.clear()
        return taken


class _TimedEngine(AroundEngine):
    backend = "timed"

    def __init__(self, inner: Engine, seconds: list[float]) -> None:
        super().__init__(inner)
        self._taken = seconds

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        start = time.perf_counter()
        outputs = self.inner.run(inputs, deadline=deadline)
        self._taken.append(time.perf_counter() - start)
        return outputs
