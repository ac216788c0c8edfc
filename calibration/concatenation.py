"""Concatenations of int8 tensors in the place of a Q behind a concatenation of float ones.

Both give the same levels: every part is quantised with the scale that the whole has. TensorRT moves the Q there by
itself. OpenVINO's CPU plug-in (2026.4.1) moves it too, but takes uint8 for the parts, and the convolution that follows
then sums other numbers: with random weights its output is off by a third of its spread.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper

from calibration.graph import consumers, producers


def concatenated_as_integers(model: Any) -> Any:
    """The graph with each quantised concatenation made of quantised parts; float users keep the float one.

    Args:
        model: a Q/DQ graph; left as it is.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    origin, nodes = producers(made), []
    for node in made.graph.node:
        before = origin.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
        if before is None or before.op_type != "Concat":
            nodes.append(node)
        else:
            nodes += _parts(node, before, node.output[0], origin)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    _unused_concatenations_out(made)
    onnx.checker.check_model(made)
    return made


def _parts(quantise: Any, concat: Any, output: str, origin: dict[str, Any]) -> list[Any]:
    """Q of each part with the whole's scale, and the concatenation of what they give; nested ones are taken apart."""
    nodes, names = [], []
    for index, part in enumerate(concat.input):
        name = f"{output}_{index}"
        inner = origin.get(part)
        if inner is not None and inner.op_type == "Concat":
            nodes += _parts(quantise, inner, name, origin)
        else:
            nodes.append(helper.make_node("QuantizeLinear", [part, *quantise.input[1:]], [name], f"{name}_Quantize"))
        names.append(name)
    joined = onnx.NodeProto()
    joined.CopyFrom(concat)
    del joined.input[:], joined.output[:]
    joined.input.extend(names)
    joined.output.append(output)
    joined.name = f"{output}_Concat"
    return [*nodes, joined]


def _unused_concatenations_out(model: Any) -> None:
    """Drop float concatenations that nothing takes any more, the outer ones first."""
    outputs = {value.name for value in model.graph.output}
    while True:
        taken = consumers(model)
        unused = [
            node
            for node in model.graph.node
            if node.op_type == "Concat" and not taken.get(node.output[0]) and node.output[0] not in outputs
        ]
        if not unused:
            return
        for node in unused:
            model.graph.node.remove(node)
