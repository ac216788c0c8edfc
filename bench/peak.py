"""The peak of this machine's units: operations a second that wide convolutions reach, in FP32 and in INT8."""

from __future__ import annotations

import time

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from calibration.graph import prepared
from calibration.quantise import qdq_from_float
from calibration.ranges import observe
from edge_sacro.engine import open_engine
from edge_sacro.engine.base import NetworkSpec, TensorSpec
from edge_sacro.manifest import Precision

CHANNELS, SIDE, LAYERS = 256, 64, 4
OPERATIONS = 2 * LAYERS * 9 * CHANNELS**2 * SIDE**2
"""Of one run: twice the multiply-accumulates."""

SHAPE = (1, CHANNELS, SIDE, SIDE)


def peak_operations(backend: str, precision: Precision, threads: int, seconds: float = 2.0) -> float:
    """Operations a second of the fastest run within ``seconds``."""
    spec = NetworkSpec("peak", (TensorSpec("image", SHAPE),), (TensorSpec("logits", SHAPE),))
    given = {"image": np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)}
    content = _convolutions()
    if precision == "int8":
        model = prepared(content)
        content = qdq_from_float(model, observe(model, [given]).limits("minmax")).SerializeToString()
    engine = open_engine(backend, spec, content, threads)
    try:
        engine.run(given)
        best, until = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < until:
            start = time.perf_counter()
            engine.run(given)
            best = min(best, time.perf_counter() - start)
    finally:
        engine.close()
    return OPERATIONS / best


def _convolutions() -> bytes:
    random = np.random.default_rng(1)
    names = ["image", *(f"x{layer}" for layer in range(LAYERS - 1)), "logits"]
    scale = np.float32(1 / np.sqrt(9 * CHANNELS))
    weights = [
        numpy_helper.from_array(
            random.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32) * scale, f"weight{layer}"
        )
        for layer in range(LAYERS)
    ]
    nodes = [
        helper.make_node("Conv", [names[layer], f"weight{layer}"], [names[layer + 1]], pads=[1] * 4)
        for layer in range(LAYERS)
    ]
    graph = helper.make_graph(
        nodes,
        "peak",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, SHAPE)],
        weights,
    )
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()
    return content
