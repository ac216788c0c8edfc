"""Fixed work of NumPy and the hash, measured beside assessments so that machines and their load cancel out.

One thread and no BLAS: on a busy machine the time of threads that wait for one another says nothing of the machine.
"""

from __future__ import annotations

import hashlib
import time

import numpy as np

SIDE = 1536
"""Rows and columns of the image: the work takes about as long as an assessment by the demonstration's networks."""


class Yardstick:
    """A table, a square root, a sum along rows, a sort and a hash: none of an assessment's own work."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self._image = random.integers(0, 4096, (SIDE, SIDE), dtype=np.uint16)
        self._table = np.sqrt(np.arange(4096, dtype=np.float32))

    def measure(self) -> float:
        """Milliseconds of the work, once."""
        start = time.perf_counter()
        values = self._table[self._image]
        np.cumsum(np.sqrt(values), axis=0)
        np.sort(values[:: SIDE // 256].ravel())
        hashlib.sha256(values.tobytes()).hexdigest()
        return 1e3 * (time.perf_counter() - start)
