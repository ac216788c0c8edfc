"""Tiny networks with the building blocks of the published ones, each in fp32, fp16 and int8 (Q/DQ by hand)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sacro.engine import NetworkSpec, TensorSpec

Precision = Literal["fp32", "fp16", "int8"]
SIDE = 32
STEP = 8 / 127
"""Of every activation in int8: random weights keep values within 8."""


class Net:
    """A graph that grows node by node. Tensors are named by what made them."""

    def __init__(self, precision: Precision, seed: int = 0) -> None:
        self.precision = precision
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, npt.NDArray[np.generic]] = {}
        self.weighted_in_int8 = 0
        self._random = np.random.default_rng(seed)

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        """Add a node; the name of its one output."""
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: npt.ArrayLike, *, exact: bool = False) -> str:
        """Add a weight, in the network's type of numbers unless it is exact."""
        name = f"w{len(self.weights)}"
        array = np.asarray(value)
        self.weights[name] = array if exact else array.astype(np.float16 if self.precision == "fp16" else np.float32)
        return name

    def conv(self, x: str, inner: int, outer: int, kernel: int = 3, stride: int = 1) -> str:
        """A convolution with bias, its input and weight quantised where the network is int8."""
        weight = self._random.normal(0, (1.5 / (inner * kernel**2)) ** 0.5, (outer, inner, kernel, kernel))
        given = [self._quantised(x), self._weight(weight), self.constant(self._random.normal(0, 0.1, outer))]
        self.weighted_in_int8 += self.precision == "int8"
        return self.op("Conv", *given, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4)

    def up(self, x: str, inner: int, outer: int) -> str:
        """A transposed convolution that doubles the size; it stays in float."""
        weight = self.constant(self._random.normal(0, (1 / inner) ** 0.5, (inner, outer, 2, 2)))
        return self.op("ConvTranspose", x, weight, kernel_shape=[2, 2], strides=[2, 2])

    def norm(self, x: str, channels: int) -> str:
        """An instance norm and a PReLU, as MONAI's U-Net has them."""
        scale, shift = self.constant(np.ones(channels)), self.constant(np.zeros(channels))
        y = self.op("InstanceNormalization", x, scale, shift)
        return self.op("PRelu", y, self.constant(np.full((1, 1, 1), 0.25)))

    def swish(self, x: str) -> str:
        """x times its sigmoid."""
        return self.op("Mul", x, self.op("Sigmoid", x))

    def model(self, output: str, shape: list[int], channels: int = 1, batch: int | str = 1) -> bytes:
        """The file: float32 outside, whatever it is inside."""
        inside = TensorProto.FLOAT16 if self.precision == "fp16" else TensorProto.FLOAT
        first = helper.make_node("Cast", ["image"], ["x"], to=inside)
        last = helper.make_node("Cast", [output], ["logits"], to=TensorProto.FLOAT)
        graph = helper.make_graph(
            [first, *self.nodes, last],
            "tiny",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, channels, SIDE, SIDE])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
        return content

    def _quantised(self, x: str) -> str:
        if self.precision != "int8":
            return x
        step, zero = self.constant(np.float32(STEP)), self.constant(np.int8(0), exact=True)
        return self.op("DequantizeLinear", self.op("QuantizeLinear", x, step, zero), step, zero)

    def _weight(self, weight: npt.NDArray[np.float64]) -> str:
        if self.precision != "int8":
            return self.constant(weight)
        steps = np.abs(weight).max(axis=(1, 2, 3)) / 127
        whole = self.constant(np.rint(weight / steps[:, None, None, None]).astype(np.int8), exact=True)
        zeros = self.constant(np.zeros(len(steps), np.int8), exact=True)
        return self.op("DequantizeLinear", whole, self.constant(steps), zeros, axis=0)


def residual(precision: Precision, seed: int = 0, batch: int | str = 1) -> tuple[Net, bytes]:
    """Two convolutions with a way around them, pooled to two logits: a ResNet's block."""
    net = Net(precision, seed)
    x = net.op("Relu", net.conv("x", 1, 16))
    y = net.conv(net.op("Relu", net.conv(x, 16, 16)), 16, 16)
    return _classified(net, net.op("Relu", net.op("Add", x, y)), 16, batch)


def unet(precision: Precision, seed: int = 0) -> tuple[Net, bytes]:
    """One level of a U-Net with instance norms, PReLUs and a transposed convolution."""
    net = Net(precision, seed)
    top = net.norm(net.conv("x", 1, 8), 8)
    low = net.norm(net.conv(top, 8, 16, stride=2), 16)
    y = net.norm(net.conv(net.op("Concat", top, net.up(low, 16, 8), axis=1), 16, 8), 8)
    return net, net.model(net.conv(y, 8, 4, kernel=1), [1, 4, SIDE, SIDE])


def swish_block(precision: Precision, seed: int = 0) -> tuple[Net, bytes]:
    """A swish and a squeeze-and-excitation, as in EfficientNet."""
    net = Net(precision, seed)
    x = net.swish(net.conv("x", 1, 16, stride=2))
    gate = net.op("GlobalAveragePool", x)
    gate = net.op("Sigmoid", net.conv(net.swish(net.conv(gate, 16, 4, kernel=1)), 4, 16, kernel=1))
    return _classified(net, net.op("Mul", x, gate), 16, 1)


def dense(precision: Precision, seed: int = 0) -> tuple[Net, bytes]:
    """Layers that see all before them, as in DenseNet."""
    net = Net(precision, seed)
    x = net.op("Relu", net.conv("x", 1, 16))
    for inner in (16, 32):
        x = net.op("Concat", x, net.op("Relu", net.conv(x, inner, 16)), axis=1)
    return _classified(net, net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), 48, 1)


def detector(precision: Precision, seed: int = 0) -> tuple[Net, bytes]:
    """The ten best of all positions' scores, in order: what stands in the graph of a detector before NMS."""
    net = Net(precision, seed)
    x = net.conv(net.op("Relu", net.conv("x", 1, 16, stride=2)), 16, 2, kernel=1)
    flat = net.op("Reshape", x, net.constant(np.array([1, -1], np.int64), exact=True))
    best = helper.make_node(
        "TopK", [flat, net.constant(np.array([10], np.int64), exact=True)], ["best", "places"], axis=1
    )
    net.nodes.append(best)
    return net, net.model(net.op("Sigmoid", "best"), [1, 10])


GRAPHS: dict[str, Callable[[Precision], tuple[Net, bytes]]] = {
    "residual": residual,
    "unet": unet,
    "swish": swish_block,
    "dense": dense,
    "detector": detector,
}


def spec(model: bytes, name: str = "classifier") -> NetworkSpec:
    """Names and shapes of a model's tensors."""
    graph = onnx.load_from_string(model).graph

    def tensors(values: object) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(v.name, tuple(d.dim_value for d in v.type.tensor_type.shape.dim))
            for v in values  # type: ignore[attr-defined]
        )

    return NetworkSpec(name, tensors(graph.input), tensors(graph.output))


def _classified(net: Net, x: str, channels: int, batch: int | str) -> tuple[Net, bytes]:
    flat = net.op("Flatten", net.op("GlobalAveragePool", x))
    weight = net.constant(np.random.default_rng(5).normal(0, 1, (channels, 2)))
    return net, net.model(net.op("Gemm", flat, weight, net.constant(np.zeros(2))), [batch, 2], batch=batch)  # type: ignore[list-item]
