"""What a graph costs: parameters and multiplications, counted from its shapes."""

from __future__ import annotations

import math

import onnx
import onnx.helper


def parameters(model: onnx.ModelProto) -> int:
    """Elements of all float weights; batch norms that the exporter folded are gone."""
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
    return sum(math.prod(weight.dims) for weight in model.graph.initializer if weight.data_type in floats)


def multiply_accumulates(inferred: onnx.ModelProto) -> int:
    """Multiply-accumulates of convolutions and matrix products in one run; twice as many floating-point operations.

    Args:
        inferred: a graph with the shape of every tensor, as :func:`export.gate.check_graph` returns it.
    """
    shapes = {weight.name: list(weight.dims) for weight in inferred.graph.initializer}
    for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
        shapes[value.name] = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return sum(_node(node, shapes) for node in inferred.graph.node)


def _node(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    if node.op_type == "Conv":  # each output element takes one kernel of its group
        return math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":  # each input element is spread by one kernel
        return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type in {"MatMul", "Gemm"}:
        first = shapes[node.input[0]]
        transposed = any(each.name == "transA" and each.i for each in node.attribute)
        return math.prod(shapes[node.output[0]]) * (first[0] if transposed else first[-1])
    return 0
