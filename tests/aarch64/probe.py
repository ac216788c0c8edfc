"""What every network was given and gave for each radiograph of a folder, one file a precision; run on both processors.

``python probe.py STUDY OUT PRECISION...``. A precision such as ``control-int8`` has a classifier whose weights are a
twentieth off, which a comparison must notice.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge_sacro.engine import Engine, NetworkSpec, open_engine
from edge_sacro.engine.base import Array
from edge_sacro.parity.control import perturbed_weights
from edge_sacro.runtime import Runtime

CONTROL = "control-"
DEVIATION = 0.05


class Recording(Engine):
    """An engine whose inputs and outputs are kept, in the order of its runs."""

    backend = "onnxruntime"

    def __init__(self, inner: Engine, seen: dict[str, Array]) -> None:
        super().__init__(inner.spec)
        self.vendor_version = inner.vendor_version
        self._inner, self._seen, self._runs = inner, seen, 0

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        outputs = self._inner.run(inputs, deadline=deadline)
        for side, arrays in (("in", inputs), ("out", outputs)):
            for name, array in arrays.items():
                self._seen[f"{self.spec.name}/{self._runs:03d}/{side}/{name}"] = array.copy()
        self._runs += 1
        return outputs

    def close(self) -> None:
        self._inner.close()


def record(study: Path, precision: str) -> dict[str, Array]:
    """Every array that crossed a network's border, by ``network/run/in or out/name``."""
    seen: dict[str, Array] = {}

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        if precision.startswith(CONTROL) and spec.name == "classifier":
            model = perturbed_weights(model, spec.name, DEVIATION)
        return Recording(open_engine(backend, spec, model, threads), seen)

    with Runtime(precision=precision.removeprefix(CONTROL), threads=1, opener=opener) as runtime:
        for file in sorted(study.glob("*.dcm")):
            runtime.infer(file)
    return seen


def main(study: str, out: str, *precisions: str) -> None:
    """Write ``OUT/<precision>.npz``."""
    for precision in precisions:
        np.savez(Path(out) / f"{precision}.npz", **record(Path(study), precision))


if __name__ == "__main__":
    main(*sys.argv[1:])
