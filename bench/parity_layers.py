"""Error inside a network: every activation of a quantised graph beside the FP32 graph's of the same name.

Both graphs get all their activations as outputs and run in ONNX Runtime with its own fusions switched off, since those
would merge what is to be told apart. Quantisation keeps the names of what it does not replace; half precision adds a
suffix to the name of what it computes so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt
import onnx
import onnxruntime

from edge_sacro.bundle import Bundle
from edge_sacro.errors import GraphRefused
from edge_sacro.manifest import NetworkName, Precision
from edge_sacro.parity.document import Layer
from edge_sacro.parity.tensors import Difference
from edge_sacro.parity.watch import Call

BACKEND = "onnxruntime"
HALF = "_half"
"""What ``calibration.half`` adds to the name of an activation in half precision. Both talk by files alone."""

_AT_ONCE = 32
"""Activations that are asked for in one run: all of them would not fit into memory at a published network's size."""

Arrays = Mapping[str, npt.NDArray[Any]]


def layers_from_calls(bundle: Bundle, calls: Sequence[Call]) -> list[Layer]:
    """Compare every activation that each precision shares with FP32.

    Args:
        bundle: whose networks have FP32 and other precisions.
        calls: what the networks were given; see :func:`edge_sacro.parity.measure.recorded_calls`.

    Raises:
        GraphRefused: two graphs share no activation, so that nothing was compared.
    """
    layers = []
    for name in bundle.manifest.networks:
        inputs = [call.inputs for call in calls if call.network == name]
        for precision in sorted(bundle.manifest.precisions - {"fp32"}):
            layers += _layers_of_network(bundle, name, precision, inputs)
    return layers


def _layers_of_network(bundle: Bundle, name: NetworkName, precision: Precision, inputs: list[Arrays]) -> list[Layer]:
    reference, contender = (onnx.load_from_string(bundle.model(name, each, BACKEND)) for each in ("fp32", precision))
    makers = [(node, output) for node in reference.graph.node for output in node.output if output]
    there = {output for node in contender.graph.node for output in node.output}
    names = {output: output if output in there else f"{output}{HALF}" for _, output in makers}
    shared = [output for _, output in makers if names[output] in there]
    if not shared:
        raise GraphRefused(f"no activation of FP32 has its name in {precision}", source=name)
    differences = {output: Difference() for output in shared}
    elements: dict[str, int] = {}
    ours = _session_with_outputs(reference, shared)
    theirs = _session_with_outputs(contender, [names[output] for output in shared])
    for each in inputs:
        for asked in _chunks(shared):
            answers = (ours.run(asked, dict(each)), theirs.run([names[output] for output in asked], dict(each)))
            for tensor, before, after in zip(asked, *answers, strict=True):
                if before.dtype.kind == "f" and before.shape == after.shape:
                    differences[tensor].add(before, after)
                    elements[tensor] = before.size
    return [
        Layer(
            network=name,
            precision=precision,
            tensor=output,
            operator=node.op_type,
            position=position,
            elements=elements[output],
            max_abs=differences[output].max_abs,
            relative_rms=differences[output].relative_rms,
            cosine=differences[output].cosine,
        )
        for position, (node, output) in enumerate(makers)
        if output in elements
    ]


def _session_with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> Any:
    """A session that gives these activations; their types are left to be inferred."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    already = {value.name for value in opened.graph.output}
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in already)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _chunks(names: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield list(names[start : start + _AT_ONCE])


def worst_layers(layers: Sequence[Layer], count: int = 10) -> list[str]:
    """The activations with the largest error, a line each."""
    worst = sorted(layers, key=lambda layer: -layer.relative_rms)[:count]
    return [
        f"{layer.network} {layer.precision} #{layer.position} {layer.operator} {layer.tensor}: "
        f"relative RMS {layer.relative_rms:.3g}, largest {layer.max_abs:.3g}, cosine {layer.cosine:.6f}"
        for layer in worst
    ]
