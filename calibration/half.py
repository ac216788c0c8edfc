"""From a float graph to one that computes in half precision, baked in: TensorRT 11 has no precision flags any more.

Inputs and outputs stay float32, with casts inside. What sums many values or grows fast stays in float32: statistics of
normalisations, global means, exponentials; so do the classifier's head, its explanation, and tensors that come near the
largest half. Every operator gets one float type on all its inputs, as TensorRT's strong typing asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from calibration.graph import float_shapes, head_nodes, initializers, used_constants_only
from edge_sacro.errors import GraphRefused

LARGEST = 32752.0
"""Half of the largest half: a tensor that goes beyond it on calibration images stays in float32."""

FLOAT_OPERATORS = frozenset(
    {
        *("InstanceNormalization", "LayerNormalization", "GroupNormalization", "LpNormalization", "GlobalAveragePool"),
        *("Softmax", "LogSoftmax", "Exp", "Pow", "ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare", "CumSum"),
        *("TopK", "NonMaxSuppression", "Cast", "Constant", "ConstantOfShape", "EyeLike"),
        *("QuantizeLinear", "DequantizeLinear"),
    }
)
"""Operators that stay in float32: their sums or powers leave half's range or digits, or they name a type."""

FLOAT_INPUTS = {"Resize": (1, 2)}
"""Inputs that ONNX wants in float32 whatever the type of the others."""


def half_from_float(model: Any, limits: Mapping[str, float], kept: Collection[str] = ()) -> Any:
    """Convert a graph.

    Args:
        model: as :func:`calibration.graph.prepared` gives it; left as it is.
        limits: largest magnitudes, by tensor.
        kept: names of nodes that stay in float32, beside the head and ``FLOAT_OPERATORS``.

    Raises:
        GraphRefused: a constant is beyond half's range in a node that is converted.
    """
    large = {name for name, limit in limits.items() if limit > LARGEST}
    staying = head_nodes(model) | set(kept)
    graph = _HalfGraph(model)
    for node in model.graph.node:
        touches = large & {*node.input, *node.output}
        in_float = node.name in staying or node.op_type in FLOAT_OPERATORS or touches
        graph.add(node, half=not in_float)
    made = graph.finished()
    onnx.checker.check_model(made)
    found = mixed_type_faults(made)
    if found:
        raise GraphRefused("; ".join(found))
    return made


def mixed_type_faults(model: Any) -> list[str]:
    """Operators whose inputs have different types where ONNX's schema has one; empty where there are none."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*inferred.input, *inferred.value_info)}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    opset = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    found = []
    for node in model.graph.node:
        formal = onnx.defs.get_schema(node.op_type, opset).inputs
        seen: dict[str, set[int]] = {}
        for index, name in enumerate(node.input):
            if name in types:
                seen.setdefault(formal[min(index, len(formal) - 1)].type_str, set()).add(types[name])
        found += [f"{node.name}: {node.op_type} of types {sorted(each)}" for each in seen.values() if len(each) > 1]
    return found


class _HalfGraph:
    """The new graph as it grows: each tensor's type, and casts that are made once."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.floats = set(float_shapes(model))
        self.constants = initializers(model)
        self.outputs = {value.name for value in model.graph.output}
        self.halves: dict[str, str] = {}
        """Tensors that are half, by their name in the float graph."""
        self.casts: dict[tuple[str, int], str] = {}
        self.nodes: list[Any] = []
        self.added: list[Any] = []

    def add(self, node: Any, *, half: bool) -> None:
        """Append a node in half or in float32, with the casts that its inputs need."""
        made = onnx.NodeProto()
        made.CopyFrom(node)
        for index, name in enumerate(node.input):
            as_half = half and index not in FLOAT_INPUTS.get(node.op_type, ())
            made.input[index] = self._input(name, half=as_half)
        self.nodes.append(made)
        for index, name in enumerate(node.output):
            if half and name in self.floats:
                made.output[index] = self.halves[name] = f"{name}_half"
                if name in self.outputs:
                    self._cast(self.halves[name], name, TensorProto.FLOAT)

    def finished(self) -> Any:
        """The model with the new nodes."""
        made = onnx.ModelProto()
        made.CopyFrom(self.model)
        del made.graph.node[:]
        made.graph.node.extend(self.nodes)
        del made.graph.value_info[:]
        made.graph.initializer.extend(self.added)
        used_constants_only(made)
        return made

    def _input(self, name: str, *, half: bool) -> str:
        constant = self.constants.get(name)
        if constant is not None:
            return self._half_constant(name) if half and constant.data_type == TensorProto.FLOAT else name
        if name not in self.floats or half == (name in self.halves):
            return self.halves.get(name, name) if half else name
        if not half and name in self.outputs:
            return name
        to = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        if (name, to) not in self.casts:
            made = f"{name}_as_half" if half else f"{name}_as_float"
            self._cast(self.halves.get(name, name), made, to)
            self.casts[name, to] = made
        return self.casts[name, to]

    def _half_constant(self, name: str) -> str:
        made = f"{name}_half"
        if (name, TensorProto.FLOAT16) not in self.casts:
            values = numpy_helper.to_array(self.constants[name])
            if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
                raise GraphRefused(f"the constant {name!r} is beyond half's range; keep its node in float")
            self.added.append(numpy_helper.from_array(values.astype(np.float16), made))
            self.casts[name, TensorProto.FLOAT16] = made
        return made

    def _cast(self, source: str, target: str, to: int) -> None:
        self.nodes.append(helper.make_node("Cast", [source], [target], f"{target}_Cast", to=to))
