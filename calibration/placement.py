"""Whether Q/DQ stand where TensorRT takes them, told from the graph alone and not from how it was made.

TensorRT reads a wrong placement too: it leaves the operator in float, or halves a range, and says so at most in a
warning. So every rule is checked here, before a backend sees the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import numpy_helper

from calibration.graph import WEIGHTED, consumers, initializers, producers
from calibration.quantise import UINT8_MIDDLE, weight_axis

QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
FORBIDDEN = ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear")


def placement_faults(model: Any, *, onnxruntime: bool = False) -> list[str]:
    """What is wrong with a graph's Q/DQ; empty where nothing is.

    Args:
        model: an ONNX graph.
        onnxruntime: whether it is the file for ONNX Runtime alone: activations are uint8, with zero point 0 after a
            ReLU and 128 elsewhere, and an operator in float may take what a DQ gives.
    """
    view = _View(model, onnxruntime)
    faults = [
        f"{node.name}: operator {node.op_type} is no explicit Q/DQ"
        for node in model.graph.node
        if node.op_type in FORBIDDEN or node.domain not in ("", "ai.onnx")
    ]
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            faults += [f"{node.name}: {what}" for what in view.quantise_faults(node)]
        elif node.op_type == "DequantizeLinear":
            of_weight = node.input[0] in view.constants
            found = view.weight_faults(node) if of_weight else view.dequantise_faults(node)
            faults += [f"{node.name}: {what}" for what in found]
        else:
            faults += [f"{node.name}: {what}" for what in view.operator_faults(node)]
    return faults


def quantised_nodes(model: Any) -> tuple[str, ...]:
    """Names of the operators that compute on int8: those whose first input comes from a DQ."""
    made = producers(model)
    return tuple(
        node.name
        for node in model.graph.node
        if node.op_type not in QUANTISERS and node.input and _is(made.get(node.input[0]), "DequantizeLinear")
    )


class _View:
    """A graph with what is asked of it again and again."""

    def __init__(self, model: Any, onnxruntime: bool) -> None:
        self.constants = {name: numpy_helper.to_array(tensor) for name, tensor in initializers(model).items()}
        self.made = producers(model)
        self.taken = consumers(model)
        self.outputs = {value.name for value in model.graph.output}
        self.onnxruntime = onnxruntime

    def quantise_faults(self, node: Any) -> Iterator[str]:
        """Of a Q: an activation, one positive scale, zero point 0, and a DQ of the same scale after it.

        A concatenation of levels may stand between the two; all of its parts have that scale.
        """
        if node.input[0] in self.constants:
            yield "a constant is quantised in the graph"
        yield from self._scale_faults(node, per_tensor=True)
        after = self._behind_concatenations(node.output[0])
        if node.output[0] in self.outputs or not after:
            yield "no DQ follows"
        for each in after:
            if each.op_type != "DequantizeLinear" or list(each.input[1:]) != list(node.input[1:]):
                yield f"{each.name} follows, which is no DQ of the same scale and zero point"

    def dequantise_faults(self, node: Any) -> Iterator[str]:
        """Of a DQ of an activation: a Q before it, weighted operators or residual additions after it."""
        if not self._quantised(node.input[0]):
            yield "no Q stands before it"
        if node.output[0] in self.outputs:
            yield "it gives an output of the graph"
        for each in self.taken.get(node.output[0], []):
            slots = [index for index, name in enumerate(each.input) if name == node.output[0]]
            fits = each.op_type == "Add" or (each.op_type in WEIGHTED and slots == [0])
            if not fits:
                yield f"it feeds {each.name} ({each.op_type}) at input {slots}"

    def weight_faults(self, node: Any) -> Iterator[str]:
        """Of a DQ of a constant: int8 levels, one scale for each output channel, a weighted operator after it."""
        levels = self.constants[node.input[0]]
        if levels.dtype != np.int8:
            yield f"the constant is {levels.dtype}: biases and int32 constants are not quantised"
            return
        if levels.min(initial=0) < -127:
            yield "level -128 is not symmetric"
        yield from self._scale_faults(node, per_tensor=False)
        axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
        for each in self.taken.get(node.output[0], []):
            slots = [index for index, name in enumerate(each.input) if name == node.output[0]]
            if each.op_type not in WEIGHTED or slots != [1]:
                yield f"a constant's DQ feeds {each.name} ({each.op_type}) at input {slots}"
            elif axis % levels.ndim != weight_axis(each) % levels.ndim:
                yield f"its scales lie along axis {axis}, the output channels of {each.name} along {weight_axis(each)}"
        scale = self.constants.get(node.input[1])
        if scale is not None and scale.shape != (levels.shape[axis],):
            yield f"{scale.shape} scales for {levels.shape[axis]} channels"

    def operator_faults(self, node: Any) -> Iterator[str]:
        """Of any other operator: both factors, or both addends, are quantised or none is."""
        quantised = [_is(self.made.get(name), "DequantizeLinear") for name in node.input]
        pair = quantised[:2]
        fits = len(set(pair)) < 2 or (self.onnxruntime and (node.op_type == "Add" or pair == [True, False]))
        if (node.op_type in WEIGHTED or node.op_type == "Add") and not fits:
            yield "one of its two inputs is quantised and the other is not"
        if node.op_type in WEIGHTED and any(quantised[2:]):
            yield "its bias is quantised"

    def _scale_faults(self, node: Any, *, per_tensor: bool) -> Iterator[str]:
        if len(node.input) < 3 or any(name not in self.constants for name in node.input[1:3]):
            yield "scale and zero point are not both constants"
            return
        scale, zero = (self.constants[name] for name in node.input[1:3])
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            yield "a scale is not positive"
        if per_tensor and scale.ndim:
            yield f"an activation has {scale.size} scales"
        of_uint8 = self.onnxruntime and per_tensor
        middle = UINT8_MIDDLE if of_uint8 and not self._after_relu(node) else 0
        if (zero != middle).any():
            yield f"a zero point is not {middle}"
        expected = np.uint8 if of_uint8 else np.int8
        if zero.dtype != expected:
            yield f"the type is {zero.dtype}, not {np.dtype(expected)}"

    def _behind_concatenations(self, name: str) -> list[Any]:
        """What takes a tensor, or takes what a concatenation makes of it."""
        found = []
        for node in self.taken.get(name, []):
            found += self._behind_concatenations(node.output[0]) if node.op_type == "Concat" else [node]
        return found

    def _quantised(self, name: str) -> bool:
        """Whether a Q makes a tensor, or a concatenation of what Q make."""
        node = self.made.get(name)
        if node is not None and node.op_type == "Concat":
            return all(map(self._quantised, node.input))
        return _is(node, "QuantizeLinear")

    def _after_relu(self, node: Any) -> bool:
        """Whether a Q takes what a ReLU gives."""
        return _is(self.made.get(node.input[0]), "Relu")


def _is(node: Any, op_type: str) -> bool:
    return node is not None and node.op_type == op_type
