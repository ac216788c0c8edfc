"""Engines of several networks change places at once: no assessment has some from before and some from after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine import Engine, NetworkSpec, TensorSpec
from edge_sacro.engine.base import Array, pinned_together
from edge_sacro.engine.serve import QualifiedEngines
from edge_sacro.engine.store import EngineStore
from edge_sacro.engine.swapping import SwappingEngine
from edge_sacro.manifest import NetworkName
from tests.tiny import write_bundle

SPECS = [NetworkSpec(name, (TensorSpec("x", (1,)),), (TensorSpec("y", (1,)),)) for name in ("segmenter", "classifier")]


class Numbered(Engine):
    """An engine of some generation."""

    backend = "numbered"
    vendor_version = "1"

    def __init__(self, spec: NetworkSpec, number: int) -> None:
        super().__init__(spec)
        self.number = number

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        del inputs, deadline
        return {"y": np.zeros(1, np.float32)}


class Interrupted(SwappingEngine):
    """One before whose first exchange, or before whose first assessment, something else gets a chance to happen."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.before_pinned: Callable[[], None] | None = None
        self.before_swap: Callable[[], None] | None = None

    @contextmanager
    def pinned(self) -> Iterator[Engine]:
        if self.before_pinned is not None:
            self.before_pinned, act = None, self.before_pinned
            act()
        with super().pinned() as engine:
            yield engine

    def swap(self, key: str, engine: Engine) -> None:
        if self.before_swap is not None:
            self.before_swap, act = None, self.before_swap
            act()
        super().swap(key, engine)


class Network:
    """Two engines of generation 0 that are exchanged for generation 1, and what assessments got.

    Args:
        store: folder of engines, left empty.
        bundle: that has both networks.
        together: False takes away the turn that exchanges and assessments have.
    """

    def __init__(self, store: Path, bundle: Bundle, together: bool) -> None:
        self.engines = QualifiedEngines(EngineStore(store), bundle, "fp32")
        self.serving: dict[str, Engine] = {}
        self.got: list[set[int]] = []
        self.threads: list[threading.Thread] = []
        for spec in SPECS:
            engine = Interrupted(spec, "0", Numbered(spec, 0), self.engines._turn)
            self.engines._opened["segmenter" if spec.name == "segmenter" else "classifier"] = (engine, 1)
            self.serving[spec.name] = engine
            if not together:
                engine.turn = nullcontext()
            self.second = engine
        if not together:
            self.engines._turn = nullcontext()

    def exchange(self) -> None:
        """Exchange both."""
        fresh: dict[NetworkName, Engine] = {"segmenter": Numbered(SPECS[0], 1), "classifier": Numbered(SPECS[1], 1)}
        self.engines._exchange({"segmenter": "1", "classifier": "1"}, fresh)

    def assess(self) -> None:
        """Begin an assessment, and keep which generations it got."""
        with pinned_together(self.serving) as pinned:
            self.got.append({each.number for each in pinned.values() if isinstance(each, Numbered)})

    def meanwhile(self, act: Callable[[], None]) -> Callable[[], None]:
        """Another thread does it: at once, or as soon as it may."""

        def begin() -> None:
            thread = threading.Thread(target=act)
            self.threads.append(thread)
            thread.start()
            thread.join(0.5)

        return begin

    def ended(self) -> list[set[int]]:
        """What assessments got, once all that was begun has ended."""
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        return self.got


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny"))


@pytest.mark.parametrize(("together", "got"), [(True, {0}), (False, {0, 1})])
def test_an_exchange_in_the_middle_of_a_beginning_waits_for_it(
    tmp_path: Path, bundle: Bundle, together: bool, got: set[int]
) -> None:
    network = Network(tmp_path / "store", bundle, together)
    network.second.before_pinned = network.meanwhile(network.exchange)
    network.assess()
    assert network.ended() == [got]
    network.assess()
    assert network.ended() == [got, {1}]


@pytest.mark.parametrize(("together", "got"), [(True, {1}), (False, {0, 1})])
def test_an_assessment_in_the_middle_of_an_exchange_waits_for_it(
    tmp_path: Path, bundle: Bundle, together: bool, got: set[int]
) -> None:
    network = Network(tmp_path / "store", bundle, together)
    network.second.before_swap = network.meanwhile(network.assess)
    network.exchange()
    assert network.ended() == [got]
