"""Watching a runtime's networks through its opener: what each was given and what it answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_sacro.engine import Engine, NetworkSpec, Opener, open_engine
from edge_sacro.engine.base import Array


@dataclass(frozen=True, eq=False)
class Call:
    """One run of a network: copies of what went in and what came out, by tensor name."""

    network: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


class AroundEngine(Engine):
    """An engine that passes everything to another one; the base of those that watch or disturb."""

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner.spec)
        self.inner = inner
        self.vendor_version = inner.vendor_version
        self.backend = inner.backend  # type: ignore[misc] # a result names what computes and not what watches
        self.computes = inner.computes  # type: ignore[misc]

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        return self.inner.run(inputs, deadline=deadline)

    def close(self) -> None:
        """Close the other one."""
        self.inner.close()


class Watch:
    """An opener whose engines note their calls.

    Args:
        opener: opens what is watched.

    Attributes:
        engines: what was opened, by network, unwatched.
        calls: of the present assessment, in the order made; :meth:`taken` empties it.
    """

    def __init__(self, opener: Opener = open_engine) -> None:
        self._opener = opener
        self.engines: dict[str, Engine] = {}
        self.calls: list[Call] = []

    def open(self, backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        """Open a network and watch it; as :func:`edge_sacro.engine.open_engine`."""
        self.engines[spec.name] = self._opener(backend, spec, model, threads)
        return _WatchedEngine(self.engines[spec.name], self.calls)

    def taken(self) -> list[Call]:
        """The calls since the last time, which are forgotten here."""
        calls = list(self.calls)
        self.calls.clear()
        return calls


class _WatchedEngine(AroundEngine):
    backend = "watched"

    def __init__(self, inner: Engine, calls: list[Call]) -> None:
        super().__init__(inner)
        self._calls = calls

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        given = {name: np.array(array) for name, array in inputs.items()}
        outputs = self.inner.run(inputs, deadline=deadline)
        self._calls.append(Call(self.spec.name, given, {name: np.array(array) for name, array in outputs.items()}))
        return outputs
