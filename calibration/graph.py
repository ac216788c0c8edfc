"""What the other modules need to know of an ONNX graph: its nodes by name, its activations, where its head begins."""

from __future__ import annotations

import math
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.numpy_helper
import onnxruntime

from edge_sacro.errors import GraphRefused

Array = npt.NDArray[np.float32]

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that multiply by a constant weight, which is their input 1."""

OLDEST_OPSET = 13
"""The first in which Q/DQ take an axis, so that weights may be quantised by channel."""

SMALL = 1024
"""Elements up to which a constant may hold a shape that others depend on."""

EXPLANATION = "explanation"
"""Name of a classifier's second output; its nodes stay in float."""


def prepared(content: bytes) -> Any:
    """A float graph with batch norms folded into convolutions, constants folded, and a name for every node.

    Weights that are stored as float16 behind a cast come out as float32. ONNX Runtime's basic level does it: it keeps
    to standard operators and to the names of tensors.

    Args:
        content: of an ONNX file in float32.

    Raises:
        GraphRefused: the graph's opset is older than ``OLDEST_OPSET``.
    """
    given = onnx.load_from_string(content)
    opset = next(each.version for each in given.opset_import if each.domain in ("", "ai.onnx"))
    if opset < OLDEST_OPSET:
        raise GraphRefused(f"the graph's opset is {opset}, and {OLDEST_OPSET} at least is needed: export it again")
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        model = onnx.load(options.optimized_model_filepath)
    used = {node.domain for node in model.graph.node}
    kept = [each for each in model.opset_import if each.domain in ("", "ai.onnx") or each.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.ir_version = given.ir_version
    model.producer_name = given.producer_name
    model.producer_version = given.producer_version
    del model.metadata_props[:]
    model.metadata_props.extend(given.metadata_props)
    name_nodes(model)
    return model


def name_nodes(model: Any) -> None:
    """Give every node a name of its own; those that have one keep it, but for a second of the same name."""
    taken: set[str] = set()
    for index, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{index}"
        taken.add(node.name)


def initializers(model: Any) -> dict[str, Any]:
    """Constant tensors by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def producers(model: Any) -> dict[str, Any]:
    """The node that makes each tensor."""
    return {name: node for node in model.graph.node for name in node.output if name}


def consumers(model: Any) -> dict[str, list[Any]]:
    """The nodes that take each tensor."""
    found: dict[str, list[Any]] = defaultdict(list)
    for node in model.graph.node:
        for name in dict.fromkeys(node.input):
            if name:
                found[name].append(node)
    return found


def float_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Shape of every float32 tensor that is no constant, the graph's inputs and outputs among them.

    Raises:
        GraphRefused: a shape is not static.
    """
    inferred = onnx.shape_inference.infer_shapes(_without_weights(model), strict_mode=True).graph
    made = {name for node in model.graph.node if node.op_type != "Constant" for name in node.output}
    made |= {value.name for value in model.graph.input}
    shapes = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor = value.type.tensor_type
        if tensor.elem_type != onnx.TensorProto.FLOAT or value.name not in made:
            continue
        if any(not dim.HasField("dim_value") for dim in tensor.shape.dim):
            raise GraphRefused(f"the shape of {value.name!r} is not static")
        shapes[value.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    return shapes


def _without_weights(model: Any) -> Any:
    """The same graph, its large constants being inputs: shapes do not depend on them, and they take long to copy."""
    graph = model.graph
    large = [each for each in graph.initializer if math.prod(each.dims) > SMALL]
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.graph.name = graph.name
    light.graph.node.extend(graph.node)
    light.graph.input.extend(graph.input)
    light.graph.input.extend(onnx.helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in large)
    light.graph.output.extend(graph.output)
    light.graph.value_info.extend(graph.value_info)
    light.graph.initializer.extend(each for each in graph.initializer if math.prod(each.dims) <= SMALL)
    return light


def head_nodes(model: Any) -> frozenset[str]:
    """Names of the nodes that stay in float whatever they cost: the classifier's head and the explanation.

    The head begins where a matrix is multiplied that has no rows and columns of an image any more, and holds all that
    depends on it. The explanation is what only the output of that name needs.
    """
    shapes = float_shapes(model)
    flat = [
        node
        for node in model.graph.node
        if node.op_type in ("Gemm", "MatMul") and any(len(shapes.get(name, (0,) * 4)) < 3 for name in node.input)
    ]
    head = {node.name for node in flat}
    reached = {name for node in flat for name in node.output}
    for node in model.graph.node:
        if reached & set(node.input):
            head.add(node.name)
            reached |= set(node.output)
    outputs = {value.name for value in model.graph.output}
    if EXPLANATION in outputs:
        head |= _ancestors(model, {EXPLANATION}) - _ancestors(model, outputs - {EXPLANATION})
    return frozenset(head)


def quantisable_nodes(model: Any) -> tuple[str, ...]:
    """Names, in the graph's order, of the weighted operators and residual additions outside the head."""
    head = head_nodes(model)
    shapes = float_shapes(model)
    constant = initializers(model)
    return tuple(
        node.name
        for node in model.graph.node
        if node.name not in head and (_is_weighted(node, shapes, constant) or _is_residual(node, shapes))
    )


def outputs_of(model: Any, inputs: Iterable[Mapping[str, Array]], threads: int = 1) -> list[dict[str, Array]]:
    """Run the graph on each of several inputs with ONNX Runtime on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return [dict(zip(names, session.run(names, dict(each)), strict=True)) for each in inputs]


def used_constants_only(model: Any) -> None:
    """Drop constants that no node takes any more."""
    needed = {name for node in model.graph.node for name in node.input} | {v.name for v in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _is_weighted(node: Any, shapes: Mapping[str, tuple[int, ...]], constant: Mapping[str, Any]) -> bool:
    if node.op_type not in WEIGHTED or node.input[0] not in shapes or node.input[1] not in constant:
        return False
    return bool(constant[node.input[1]].data_type == onnx.TensorProto.FLOAT)


def _is_residual(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """An addition of two feature maps of one shape."""
    if node.op_type != "Add" or not all(name in shapes for name in node.input):
        return False
    first, second = (shapes[name] for name in node.input)
    return first == second and len(first) >= 3


def _ancestors(model: Any, tensors: set[str]) -> set[str]:
    """Names of the nodes that the tensors depend on."""
    needed, found = set(tensors), set()
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            found.add(node.name)
            needed |= set(node.input)
    return found
