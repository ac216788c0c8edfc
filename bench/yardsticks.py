"""Yardsticks: fixed work of OpenCV, NumPy and ONNX Runtime, measured beside a stage so that machines cancel out.

A stage's time says little without the machine; its ratio to work of the same kind in the same minute says what of it is
ours. A yardstick does the kind of work of its stages on the same image, never the same work.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from edge_sacro.engine import open_engine
from edge_sacro.engine.base import Engine, NetworkSpec, TensorSpec

Image = npt.NDArray[np.uint16]

CHANNELS, SIDE, LAYERS = 32, 160, 6
GIGAMACS = LAYERS * 9 * CHANNELS**2 * SIDE**2 / 1e9
"""Of the convolutions: multiply-accumulates of one run, by 10^9."""

TOTAL = "all of them"
"""The sum of all yardsticks, for the whole assessment."""


class Yardsticks:
    """All yardsticks on one image. A context manager.

    Args:
        file: a DICOM file.
        stored: its stored values, rows x columns.
        threads: inside a network, as the runtime has them. OpenCV has its own, in yardsticks and stages alike.
    """

    def __init__(self, file: Path, stored: npt.NDArray[np.integer], threads: int) -> None:
        self._file, self._stored = file, np.ascontiguousarray(stored).astype(np.uint16)
        self._table = np.sqrt(np.arange(65536, dtype=np.float32))
        self._gray = cv2.convertScaleAbs(self._stored, alpha=255 / max(int(self._stored.max()), 1))
        rows, columns = (side // 4 for side in self._gray.shape)
        self._middle = np.ascontiguousarray(self._gray[rows : 3 * rows, columns : 3 * columns])
        self._engine: Engine = open_engine("onnxruntime", _SPEC, convolutions(), threads)
        self._input = {"image": np.random.default_rng(0).standard_normal(_SHAPE).astype(np.float32)}
        self._work: Mapping[str, Callable[[], object]] = {
            "hash and copy": self._hash_and_copy,
            "table": self._look_up,
            "convolutions": lambda: self._engine.run(self._input),
            "resize and label": self._resize_and_label,
            "resize": lambda: cv2.resize(self._middle, (320, 208), interpolation=cv2.INTER_AREA),
        }

    def __enter__(self) -> Yardsticks:
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.close()

    def measure(self) -> dict[str, float]:
        """Milliseconds of each once, and of ``TOTAL``."""
        taken = {}
        for name, work in self._work.items():
            start = time.perf_counter()
            work()
            taken[name] = 1e3 * (time.perf_counter() - start)
        return {**taken, TOTAL: sum(taken.values())}

    def _hash_and_copy(self) -> None:
        content = self._file.read_bytes()
        hashlib.sha256(content).hexdigest()
        np.frombuffer(content, np.uint8).astype(np.float32)

    def _look_up(self) -> None:
        values = self._table[self._stored]
        low, high = float(values.min()), float(values.max())
        np.clip((values - low) / max(high - low, 1.0) * 255, 0, 255).astype(np.uint8)

    def _resize_and_label(self) -> None:
        small = cv2.resize(self._gray, (768, 768), interpolation=cv2.INTER_AREA)
        for level in (64, 128, 192):
            cv2.connectedComponentsWithStats((small > level).astype(np.uint8))


NAMES = ("hash and copy", "table", "convolutions", "resize and label", "resize", TOTAL)
"""Every yardstick."""

_SHAPE = (1, CHANNELS, SIDE, SIDE)
_SPEC = NetworkSpec("yardstick", (TensorSpec("image", _SHAPE),), (TensorSpec("logits", _SHAPE),))


def convolutions() -> bytes:
    """``LAYERS`` convolutions of 3 x 3 with ReLU, ``GIGAMACS`` in all, as an ONNX file."""
    random, nodes, weights, given = np.random.default_rng(1), [], [], "image"
    scale = np.float32(np.sqrt(2 / (9 * CHANNELS)))
    for layer in range(LAYERS):
        weight = random.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32) * scale
        weights.append(numpy_helper.from_array(weight, f"weight{layer}"))
        made = "logits" if layer == LAYERS - 1 else f"x{layer}"
        nodes.append(helper.make_node("Conv", [given, f"weight{layer}"], [f"sum{layer}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"sum{layer}"], [made]))
        given = made
    graph = helper.make_graph(
        nodes,
        "yardstick",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, _SHAPE)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, _SHAPE)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content
