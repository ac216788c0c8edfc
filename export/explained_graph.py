"""Grad-CAM added to a classifier's ONNX graph, where the network itself is not at hand any more.

The same closed form as in :mod:`export.explanation`, read off the graph: from the logits back through linear layers,
batch norms and ReLUs to the mean over positions, whose operand is the feature map. Nothing that computes the logits is
touched, so they stay what they were, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.shape_inference

from edge_sacro.errors import GraphRefused
from export.gate import EXPLANATION

LOGITS = "logits"
PREFIX = "explain"
"""Of every name that is added, but the output's."""

SAME_VALUES = frozenset({"Flatten", "Reshape", "Squeeze", "Identity", "Cast"})
"""Operators that hand their values on; casts stand between the float types of a graph in half precision."""

_REMEDY = "Give a classifier of one mean over rows and columns, then Gemm, BatchNormalization and Relu alone."


def explained_from_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a classifier's graph with a second output ``explanation`` (1, classes, h, w), at least 0.

    Args:
        model: of one image and ``logits`` (1, classes), with static shapes; float32, or float16 weights behind casts.

    Raises:
        GraphRefused: it has an explanation already, or its head is of another form; the operator is named.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    if [output.name for output in made.graph.output] != [LOGITS]:
        found = [output.name for output in made.graph.output]
        raise GraphRefused(f"its outputs are {found}, and must be {[LOGITS]}", source=PREFIX)
    _Head(made).walk_back()
    try:
        onnx.checker.check_model(made)
        onnx.shape_inference.infer_shapes(made, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphRefused(f"no explanation can be added: {error}", source=PREFIX, remedy=_REMEDY) from error
    return made


@dataclass
class _Head:
    """The walk from the logits to the feature map, and the nodes that it leaves behind."""

    model: onnx.ModelProto
    added: int = 0
    producers: Mapping[str, Any] = field(init=False)
    constants: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.producers = {name: node for node in graph.node for name in node.output}
        self.constants = {weight.name: weight for weight in graph.initializer}

    def walk_back(self) -> None:
        """Append the explanation."""
        rows, tensor = "", LOGITS
        while True:
            node = self._producer(tensor)
            if node.op_type in {"ReduceMean", "GlobalAveragePool"} and rows:
                return self._map(rows, node)
            if node.op_type in SAME_VALUES:
                tensor = node.input[0]
                continue
            if node.op_type == "Gemm":
                rows = self._through_gemm(rows, node)
            elif node.op_type == "BatchNormalization" and rows:
                rows = self._node("Mul", rows, self._constant(self._normalised_by(node)))
            elif node.op_type == "Relu" and rows:
                open_gate = self._node("Greater", node.output[0], self._constant(np.zeros((), np.float32)))
                rows = self._node("Mul", rows, self._node("Cast", open_gate, to=onnx.TensorProto.FLOAT))
            else:
                raise GraphRefused(f"its head has a {node.op_type}", source=node.name or tensor, remedy=_REMEDY)
            tensor = node.input[0]

    def _through_gemm(self, rows: str, node: Any) -> str:
        """Gradients of a linear layer's outputs, (classes, outputs), to those of its inputs."""
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        if attributes.get("alpha", 1.0) != 1.0 or attributes.get("transA", 0):
            raise GraphRefused("its head has a Gemm with alpha or transA", source=node.name, remedy=_REMEDY)
        weight = node.input[1]
        if not attributes.get("transB", 0):
            weight = self._node("Transpose", weight, perm=[1, 0])
        return self._node("MatMul", rows, weight) if rows else weight

    def _normalised_by(self, node: Any) -> npt.NDArray[np.float32]:
        """What a batch norm multiplies each of its inputs by, (1, length)."""
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        scale, variance = (self._value(node.input[index]) for index in (1, 4))
        factor = scale / np.sqrt(variance + np.float32(attributes.get("epsilon", 1e-5)))
        return np.asarray(factor[None], np.float32)

    def _map(self, rows: str, pooling: Any) -> None:
        """The positive part of the channels' sum, each weighted by its mean gradient: (1, classes, h, w)."""
        features = pooling.input[0]
        inferred = onnx.shape_inference.infer_shapes(self.model, strict_mode=True).graph
        shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.value_info}
        shape = shapes.get(features, [])
        over = [2, 3] if pooling.op_type == "GlobalAveragePool" else self._axes(pooling)
        if len(shape) != 4 or over != [2, 3]:
            raise GraphRefused(f"its mean is over axes {over} of {shape}", source=pooling.name, remedy=_REMEDY)
        _, channels, height, width = shape
        flat = self._node("Reshape", features, self._constant(np.array([channels, height * width], np.int64)))
        weights = self._node("Mul", rows, self._constant(np.float32(1 / (height * width))))
        positive = self._node("Relu", self._node("MatMul", weights, flat))
        classes = self.model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
        size = [1, classes, height, width]
        self._node("Reshape", positive, self._constant(np.array(size, np.int64)), output=EXPLANATION)
        declared = onnx.helper.make_tensor_value_info(EXPLANATION, onnx.TensorProto.FLOAT, size)
        self.model.graph.output.append(declared)

    def _axes(self, node: Any) -> list[int]:
        return sorted(int(axis) % 4 for axis in self._value(node.input[1]).ravel())

    def _producer(self, tensor: str) -> Any:
        if tensor not in self.producers:
            raise GraphRefused("its head has no mean over rows and columns", source=tensor, remedy=_REMEDY)
        return self.producers[tensor]

    def _value(self, name: str) -> npt.NDArray[Any]:
        if name not in self.constants:
            raise GraphRefused(f"{name} is no constant of the graph", source=PREFIX, remedy=_REMEDY)
        return np.asarray(onnx.numpy_helper.to_array(self.constants[name]))

    def _constant(self, value: Any) -> str:
        name = f"{PREFIX}_{self.added}"
        self.added += 1
        self.model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{PREFIX}_{self.added}"
        self.added += 1
        node = onnx.helper.make_node(operator, list(inputs), [name], f"node_{name}", **attributes)
        self.model.graph.node.append(node)
        return name
