"""The INT8 file for ONNX Runtime alone: what its CPU provider cannot compute on integers stays in float.

It puts one integer kernel in the place of DQ, operator and Q. Where that pattern is not whole, it quantises,
dequantises, and computes in float what came of it: slower than float, and no more exact than int8. So an operator that
it does not fuse gets its float weight back, and Q/DQ that serve no fused operator go. Which those are is told from the
graph alone, so that the file does not depend on a version, and is then held to what this version of it does.

Activations are uint8 in this file: after a ReLU with zero point 0, so that the ReLU goes into the operator before it,
elsewhere with 128, which is int8 shifted. It fuses a convolution only where both sides have one type, and turns int8
into uint8 by itself on x86-64 alone and not everywhere.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from calibration.graph import WEIGHTED, consumers, initializers, producers, used_constants_only
from calibration.placement import placement_faults, quantised_nodes
from calibration.quantise import activations_as_uint8
from edge_sacro.errors import BudgetBroken

KERNELS = ("QLinear", "QGemm", "MatMulInteger", "ConvInteger", "DynamicQuantize")
"""How the names of its integer operators begin."""

TOLD = (*WEIGHTED, "Add", "QuantizeLinear", "DequantizeLinear")
"""Operators of the optimised graph that a record counts beside the integer ones."""


@dataclass(frozen=True)
class OwnFile:
    """The file for ONNX Runtime alone.

    Attributes:
        model: the graph; None where nothing in it would be quantised, so that the FP32 file serves.
        integer: operators that are computed on integers, in the graph's order.
        in_float: operators that the file for all has quantised and this one has not, and why.
        kernels: how many of what the optimised graph holds.
        unlike: operators of which this version of ONNX Runtime makes something else than is told here.
    """

    model: Any
    integer: tuple[str, ...]
    in_float: Mapping[str, str]
    kernels: Mapping[str, int]
    unlike: tuple[str, ...]

    def content(self) -> bytes | None:
        """The file's; None where the FP32 file serves."""
        made: bytes | None = None if self.model is None else self.model.SerializeToString()
        return made

    def record(self) -> dict[str, Any]:
        """For a record of calibration."""
        return {
            "integer": len(self.integer),
            "in_float": dict(self.in_float),
            "kernels": dict(sorted(self.kernels.items())),
            "unlike": list(self.unlike),
        }


def own_file(model: Any, source: Any) -> OwnFile:
    """ONNX Runtime's own file.

    Args:
        model: as :func:`calibration.quantise.qdq_from_float` gives it; left as it is.
        source: the float graph that it was made of; left as it is.

    Raises:
        BudgetBroken: Q/DQ do not stand as they should, in this file or in the one for all.
    """
    reasons = reasons_in_float(model)
    integer = tuple(name for name in quantised_nodes(model) if name not in reasons)
    made = activations_as_uint8(float_where_not_fused(model, source, reasons)) if integer else None
    broken = placement_faults(model) + ([] if made is None else placement_faults(made, onnxruntime=True))
    if broken:
        raise BudgetBroken("; ".join(broken))
    optimised = optimised_graph(source if made is None else made)
    fused = {node.name for node in optimised.graph.node if _integer(node.op_type)}
    counts = Counter(node.op_type for node in optimised.graph.node)
    kernels = {name: count for name, count in counts.items() if name.removeprefix("Fused") in TOLD or _integer(name)}
    return OwnFile(made, integer, reasons, kernels, tuple(sorted(fused ^ set(integer))))


def reasons_in_float(model: Any) -> dict[str, str]:
    """The operators of a Q/DQ graph that ONNX Runtime's CPU provider computes in float, and why."""
    names = set(quantised_nodes(model))
    taken, outputs = consumers(model), {value.name for value in model.graph.output}
    found = {}
    for node in model.graph.node:
        if node.name not in names or node.op_type == "MatMul":
            continue  # MatMul has a kernel that takes integers and gives float
        if node.op_type not in ("Conv", "Add"):
            found[node.name] = f"{node.op_type} has no integer kernel"
        elif after := _not_requantised(node.output[0], taken, outputs):
            found[node.name] = f"its output is not quantised: {after}"
    return found


def float_where_not_fused(model: Any, source: Any, unfused: Collection[str]) -> Any:
    """The Q/DQ graph with the float weights of some operators, and without the Q/DQ that nothing else needs.

    What a fused operator gives is on integers in any case, since it takes a Q to fuse; a float operator after it takes
    it from the DQ. What a float operator gives reaches a float operator as it is.

    Args:
        model: the Q/DQ graph; left as it is.
        source: the float graph that it was made of.
        unfused: names of the operators that are to be in float.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    origin, floats, weights = producers(source), {node.name: node for node in source.graph.node}, initializers(source)
    fused = set(quantised_nodes(model)) - set(unfused)
    needed: dict[str, Any] = {}
    for node in made.graph.node:
        if node.name not in unfused:
            continue
        before = floats[node.name].input
        if node.op_type in WEIGHTED:
            node.input[1] = before[1]
            needed[before[1]] = weights[before[1]]
        for slot in (0,) if node.op_type in WEIGHTED else (0, 1):
            if _maker(before[slot], origin) not in fused:
                node.input[slot] = before[slot]
    there = set(initializers(made))
    made.graph.initializer.extend(tensor for name, tensor in needed.items() if name not in there)
    _needed_nodes_only(made)
    used_constants_only(made)
    onnx.checker.check_model(made)
    return made


def optimised_graph(model: Any) -> Any:
    """What ONNX Runtime makes of a graph before it lays it out for one processor; nodes keep their names."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def _integer(operator: str) -> bool:
    return operator.startswith(KERNELS)


def _not_requantised(name: str, taken: Mapping[str, list[Any]], outputs: Collection[str]) -> str:
    """What else than one Q takes a tensor, behind ReLUs that fuse; empty where one Q does."""
    after = taken.get(name, [])
    if name in outputs:
        return "it is an output of the graph"
    if len(after) == 1 and after[0].op_type == "Relu":
        return _not_requantised(after[0].output[0], taken, outputs)
    if len(after) == 1 and after[0].op_type == "QuantizeLinear":
        return ""
    return "it goes to " + ", ".join(sorted({node.op_type for node in after if node.op_type != "QuantizeLinear"}))


def _maker(name: str, origin: Mapping[str, Any]) -> str | None:
    """Name of the node that makes a tensor, ReLUs left out."""
    node = origin.get(name)
    while node is not None and node.op_type == "Relu":
        node = origin.get(node.input[0])
    return None if node is None else str(node.name)


def _needed_nodes_only(model: Any) -> None:
    """Drop nodes that no output depends on."""
    needed = {value.name for value in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
