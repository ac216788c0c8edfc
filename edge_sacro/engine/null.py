"""The null backend: runs the whole pipeline with no vendor installed. Its answers are made up and never a finding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge_sacro.engine.base import Array, Engine, NetworkSpec


class NullEngine(Engine):
    """Gives a drawn pelvis where four label maps are due, and zeros anywhere else."""

    backend = "null"
    computes = False

    def __init__(self, spec: NetworkSpec, model: bytes, threads: int) -> None:
        super().__init__(spec)
        del model, threads
        self.vendor_version = "1"

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        del inputs, deadline
        return {spec.name: _made_up(spec.shape) for spec in self.spec.outputs}


def _made_up(shape: tuple[int, ...]) -> Array:
    """Zeros; for four label maps, logits of a trapezoid between two upright bars that touch it."""
    out = np.zeros(shape, np.float32)
    if len(shape) == 4 and shape[1] == 4:
        rows, columns = np.meshgrid(
            (np.arange(shape[2]) + 0.5) / shape[2], (np.arange(shape[3]) + 0.5) / shape[3], indexing="ij"
        )
        band = (rows > 0.3) & (rows < 0.7)
        offset = columns - 0.5
        out[:, 1] = 4.0 * (band & (np.abs(offset) < 0.12))
        out[:, 2] = 4.0 * (band & (offset <= -0.12) & (offset > -0.3))
        out[:, 3] = 4.0 * (band & (offset >= 0.12) & (offset < 0.3))
    return out
