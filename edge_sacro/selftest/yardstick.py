"""Fixed work of NumPy, OpenCV and the hash, measured beside assessments so that machines and their load cancel out."""

from __future__ import annotations

import hashlib
import time

import cv2
import numpy as np

SIDE, PRODUCTS, IMAGE = 384, 24, 2048
"""Rows of the matrices, how many products, and rows of the image."""


class Yardstick:
    """Matrix products, a table, a resize and a hash: the kinds of work that an assessment does, none of its own."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self._matrix = random.standard_normal((SIDE, SIDE)).astype(np.float32) / np.float32(SIDE)
        self._image = random.integers(0, 4096, (IMAGE, IMAGE), dtype=np.uint16)
        self._table = np.sqrt(np.arange(4096, dtype=np.float32))

    def measure(self) -> float:
        """Milliseconds of the work, once."""
        start = time.perf_counter()
        found = self._matrix
        for _ in range(PRODUCTS):
            found = found @ self._matrix
        cv2.resize(self._table[self._image], (320, 320), interpolation=cv2.INTER_AREA)
        hashlib.sha256(self._image.data).hexdigest()
        return 1e3 * (time.perf_counter() - start)
