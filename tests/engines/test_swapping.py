"""Engines of several networks change places at once: no assessment has some from before and some from after."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from edge_sacro.bundle import load_bundle
from edge_sacro.engine import Engine, NetworkSpec, TensorSpec
from edge_sacro.engine.base import Array, pinned_together
from edge_sacro.engine.serve import QualifiedEngines
from edge_sacro.engine.store import EngineStore
from edge_sacro.engine.swapping import SwappingEngine
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


@pytest.fixture(autouse=True)
def often_another_thread() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def _mixed(engines: QualifiedEngines, serving: dict[str, Engine]) -> int:
    """Of some thousand assessments, while engines are exchanged all the time, how many got two generations."""
    stop, mixed = threading.Event(), 0

    def exchange() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            engines._exchange(
                dict.fromkeys(("segmenter", "classifier"), str(number)),
                {"segmenter": Numbered(SPECS[0], number), "classifier": Numbered(SPECS[1], number)},
            )

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for _ in range(4000):
            with pinned_together(serving) as pinned:
                numbers = {each.number for each in pinned.values() if isinstance(each, Numbered)}
                mixed += len(numbers) > 1
    finally:
        stop.set()
        thread.join()
    return mixed


@pytest.mark.parametrize("together", [True, False])
def test_all_networks_of_an_assessment_are_of_one_generation(tmp_path: Path, together: bool) -> None:
    bundle = load_bundle(write_bundle(tmp_path / "tiny"))
    engines = QualifiedEngines(EngineStore(tmp_path / "store"), bundle, "fp32")
    serving: dict[str, Engine] = {}
    for spec in SPECS:
        engine = SwappingEngine(spec, "0", Numbered(spec, 0), engines._turn)
        engines._opened["segmenter" if spec.name == "segmenter" else "classifier"] = (engine, 1)
        serving[spec.name] = engine
        if not together:
            engine.turn = nullcontext()
    mixed = _mixed(engines, serving)
    assert mixed == 0 if together else mixed > 0
