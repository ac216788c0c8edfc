"""From a float graph to explicit Q/DQ: one graph that every backend reads.

Activations are symmetric int8 with one scale a tensor, weights symmetric int8 with one scale an output channel, biases
stay in float. Q/DQ stand on the inputs of weighted operators and on both inputs of residual additions and nowhere else,
which is where TensorRT looks for them. A tensor that a quantised and a float operator share stays float for the latter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from calibration.graph import WEIGHTED, initializers, producers, quantisable_nodes, used_constants_only
from calibration.ranges import LEVELS, scale_from_limit

UINT8_MIDDLE = 128
"""The uint8 level that stands for zero where activations have both signs."""


def weight_axis(node: Any) -> int:
    """The axis of a weighted operator's weight that its output channels lie along.

    ONNX, operators Conv (M x C/group x ...), ConvTranspose (C x M/group x ...), Gemm (transB) and MatMul (... x N).
    """
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm":
        return 0 if any(each.name == "transB" and each.i for each in node.attribute) else 1
    return 1


def qdq_from_float(model: Any, limits: Mapping[str, float], kept: Collection[str] = ()) -> Any:
    """Quantise a graph.

    Args:
        model: as :func:`calibration.graph.prepared` gives it; left as it is.
        limits: the magnitude that is level 127, by tensor.
        kept: names of nodes that stay in float, beside the head.

    Returns:
        a graph of the same inputs and outputs, float32.

    Raises:
        ValueError: a name in ``kept`` is none of the graph's quantisable nodes.
        KeyError: a tensor that is to be quantised has no limit.
    """
    names = quantisable_nodes(model)
    unknown = sorted(set(kept) - set(names))
    if unknown:
        raise ValueError(f"the graph has no such nodes to keep in float: {unknown}")
    chosen = set(names) - set(kept)
    pairs = _Pairs(initializers(model), limits)
    nodes = []
    for node in model.graph.node:
        if node.name not in chosen:
            nodes.append(node)
            continue
        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        changed.input[0] = pairs.activation(node.input[0], nodes)
        if node.op_type in WEIGHTED:
            changed.input[1] = pairs.weight(node.input[1], weight_axis(node), nodes)
        else:
            changed.input[1] = pairs.activation(node.input[1], nodes)
        nodes.append(changed)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    del made.graph.value_info[:]
    made.graph.initializer.extend(pairs.constants)
    used_constants_only(made)
    onnx.checker.check_model(made)
    return made


def activations_as_uint8(model: Any) -> Any:
    """The same graph with uint8 activations of the same scales, for ONNX Runtime alone.

    After a ReLU the zero point is 0. Levels 0 to 127 stay what they are, so that results are equal unless a value
    exceeds 127 steps: there int8 saturates and uint8 goes on. Elsewhere it is 128, and results are equal throughout.

    Args:
        model: a Q/DQ graph with int8 activations; left as it is.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    origin = producers(made)
    zeros = {
        value: numpy_helper.from_array(np.uint8(value), _unused_name(made, f"uint8_zero_point_{value}"))
        for value in (0, UINT8_MIDDLE)
    }
    changed = {}
    for node in made.graph.node:
        if node.op_type == "QuantizeLinear":
            source = origin.get(node.input[0])
            after_relu = source is not None and source.op_type == "Relu"
            node.input[2] = changed[node.output[0]] = zeros[0 if after_relu else UINT8_MIDDLE].name
    for node in made.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in changed:
            node.input[2] = changed[node.input[0]]
    made.graph.initializer.extend(zeros.values())
    used_constants_only(made)
    onnx.checker.check_model(made)
    return made


def _unused_name(model: Any, name: str) -> str:
    """The name, with as many underscores behind it as make it differ from every constant's and tensor's."""
    used = {each.name for each in model.graph.initializer} | set(producers(model))
    while name in used:
        name += "_"
    return name


@dataclass
class _Pairs:
    """Makes each tensor's Q/DQ once, however many operators take it."""

    weights: Mapping[str, Any]
    limits: Mapping[str, float]
    constants: list[Any] = field(default_factory=list)
    made: dict[tuple[str, int], str] = field(default_factory=dict)

    def activation(self, name: str, nodes: list[Any]) -> str:
        """Append Q and DQ of a tensor where they are not there yet; the name of what DQ gives."""
        if (name, -1) not in self.made:
            scale = scale_from_limit(self.limits[name])
            scale_name, zero_name = self._constants(name, np.asarray(scale), np.asarray(np.int8(0)))
            quantised, back = f"{name}_quantized", f"{name}_dequantized"
            nodes.append(
                helper.make_node("QuantizeLinear", [name, scale_name, zero_name], [quantised], f"{name}_Quantize")
            )
            nodes.append(
                helper.make_node("DequantizeLinear", [quantised, scale_name, zero_name], [back], f"{name}_Dequantize")
            )
            self.made[name, -1] = back
        return self.made[name, -1]

    def weight(self, name: str, axis: int, nodes: list[Any]) -> str:
        """Put an int8 constant and its DQ in the place of a float weight; the name of what DQ gives."""
        if (name, axis) not in self.made:
            values, scales = int8_from_weight(numpy_helper.to_array(self.weights[name]), axis)
            base = f"{name}_axis{axis}"
            scale_name, zero_name = self._constants(base, scales, np.zeros(scales.shape, np.int8))
            quantised, back = f"{base}_quantized", f"{base}_dequantized"
            self.constants.append(numpy_helper.from_array(values, quantised))
            nodes.append(
                helper.make_node(
                    "DequantizeLinear", [quantised, scale_name, zero_name], [back], f"{base}_Dequantize", axis=axis
                )
            )
            self.made[name, axis] = back
        return self.made[name, axis]

    def _constants(self, name: str, scale: Any, zero: Any) -> tuple[str, str]:
        names = f"{name}_scale", f"{name}_zero_point"
        self.constants += [numpy_helper.from_array(scale, names[0]), numpy_helper.from_array(zero, names[1])]
        return names


def int8_from_weight(
    weight: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Levels -127 to 127 of a weight, and the step of each channel along ``axis``; a channel of zeros has step 1."""
    others = tuple(index for index in range(weight.ndim) if index != axis)
    largest = np.abs(weight).max(axis=others)
    scales = np.where(largest > 0, largest / np.float32(LEVELS), np.float32(1.0)).astype(np.float32)
    shape = [-1 if index == axis else 1 for index in range(weight.ndim)]
    levels = np.clip(np.rint(weight / scales.reshape(shape)), -LEVELS, LEVELS)
    return levels.astype(np.int8), scales
