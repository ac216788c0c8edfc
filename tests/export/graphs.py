"""Small ONNX graphs by hand: one that keeps a contract, and such as Keras writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sacro.engine.base import TensorSpec
from export.gate import Contract, describe

CONTRACT = Contract(
    system="bressem2021",
    network="classifier",
    inputs=(TensorSpec("image", (1, 3, 8, 12)),),
    outputs=(TensorSpec("logits", (1, 2)),),
    classes=("healthy", "ill"),
)
SOURCE = "0123456789abcdef" * 4

_RANDOM = np.random.default_rng(11)
KERNEL = _RANDOM.normal(size=(4, 3, 3, 3)).astype(np.float32)
DENSE = _RANDOM.normal(scale=0.2, size=(4, 2)).astype(np.float32)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: dict[str, npt.NDArray[Any]],
    opset: int = 18,
) -> onnx.ModelProto:
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def tensor(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def good() -> onnx.ModelProto:
    """Convolution, ReLU, mean, linear layer: logits of the contract."""
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["maps"], "convolution", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["rectified"], "rectifier"),
        helper.make_node("GlobalAveragePool", ["rectified"], ["means"], "pool"),
        helper.make_node("Flatten", ["means"], ["vector"], "flatten"),
        helper.make_node("Gemm", ["vector", "dense"], ["logits"], "linear"),
    ]
    made = model(
        nodes, [tensor("image", (1, 3, 8, 12))], [tensor("logits", (1, 2))], {"kernel": KERNEL, "dense": DENSE}
    )
    return describe(made, CONTRACT.metadata(SOURCE))


def keras(
    ending: str = "Softmax", units: int = 2, *, first: str = "nhwc", opset: int = 15, batch: int | str = "unk__6"
) -> onnx.ModelProto:
    """What ``model.export(file, format="onnx")`` makes of Conv2D, GlobalAveragePooling2D and Dense.

    Keras' converter (tf2onnx) keeps the layers' names, an open batch and channels last, with a transpose on either side
    of the convolution.
    """
    shape = (batch, 8, 12, 3) if first == "nhwc" else (batch, 3, 8, 12)
    entrance = [helper.make_node("Transpose", ["keras_tensor"], ["nchw"], "Conv2D__5", perm=[0, 3, 1, 2])]
    nodes = [
        *(entrance if first == "nhwc" else [helper.make_node("Identity", ["keras_tensor"], ["nchw"], "same")]),
        helper.make_node(
            "Conv", ["nchw", "functional/conv2d/kernel"], ["maps"], "functional/conv2d", pads=[1, 1, 1, 1]
        ),
        helper.make_node("Relu", ["maps"], ["rectified"], "functional/relu"),
        helper.make_node("ReduceMean", ["rectified"], ["means"], "functional/pooling", axes=[2, 3], keepdims=0)
        if opset < 18
        else helper.make_node("ReduceMean", ["rectified", "axes"], ["means"], "functional/pooling", keepdims=0),
        helper.make_node("MatMul", ["means", "functional/dense/kernel"], ["product"], "functional/dense/MatMul"),
        helper.make_node("Add", ["product", "functional/dense/bias"], ["dense"], "functional/dense/Add"),
        helper.make_node(ending, ["dense"], ["activated"], "functional/dense/activation"),
        helper.make_node("Identity", ["activated"], ["output_0"], "Identity"),
    ]
    if ending == "none":
        nodes[-2:] = [helper.make_node("Identity", ["dense"], ["output_0"], "Identity")]
    weights: dict[str, npt.NDArray[Any]] = {
        "functional/conv2d/kernel": KERNEL,
        "functional/dense/kernel": DENSE[:, :units] if units < 3 else np.repeat(DENSE, 2, axis=1)[:, :units],
        "functional/dense/bias": np.linspace(0.1, 0.2, units, dtype=np.float32),
    }
    if opset >= 18:
        weights["axes"] = np.array([2, 3], np.int64)
    return model(nodes, [tensor("keras_tensor", shape)], [tensor("output_0", (batch, units))], weights, opset)
