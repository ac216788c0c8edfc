"""Whether ONNX Runtime's INT8 sums are exact on this processor: prints its features and the sums, or ends with 1.

It is the check that ``edge-sacro infer --precision int8`` makes before it computes. ``python saturation.py cut`` is a
control: the same check with sums that are cut off at 16 bits, which must be refused.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np

from edge_sacro.engine import Engine, NetworkSpec, open_engine
from edge_sacro.engine.base import Array
from edge_sacro.engine.device import processor
from edge_sacro.engine.saturation import CHANNELS, RANGES, SHAPE, SPEC, VALUES, WEIGHT, check_int8, saturation_model
from edge_sacro.errors import Int8Inexact


class Cut(Engine):
    """Pairs of products are added in 16 bits, as by instructions from before dot products."""

    backend = "cut"

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        del deadline
        found = {}
        for name, (low, high) in RANGES.items():
            value = int(np.clip(inputs["image"].flat[0], low, high))
            pair = int(np.clip(2 * value * WEIGHT, -(2**15), 2**15 - 1))
            found[name] = np.full(SHAPE, pair * CHANNELS / 2, np.float32)
        return found

    def close(self) -> None:
        """Nothing is held."""


def _cut(_backend: str, spec: NetworkSpec, _model: bytes, _threads: int) -> Engine:
    return Cut(spec)


def main(kind: str = "onnxruntime") -> int:
    """Check, and print one line."""
    try:
        check_int8(kind, _cut if kind == "cut" else open_engine)
    except Int8Inexact as error:
        print(error)
        return 1
    engine = open_engine(kind, SPEC, saturation_model(), 1)
    sums = [engine.run({"image": np.full(SHAPE, value, np.float32)}) for value in VALUES]
    engine.close()
    told = ", ".join(f"{name} {' '.join(f'{found[name].flat[0]:.0f}' for found in sums)}" for name in RANGES)
    print(f"{processor()}: {told}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
