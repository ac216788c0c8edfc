"""What any graph must be before it may enter a bundle: one that every backend takes, under the names of the contract.

The backends are ONNX Runtime, OpenVINO, TensorRT 10.3 to 11 and TensorRT-RTX. The operators are those that all of them
take with static shapes; onnx-tensorrt's ``docs/operators.md`` is the narrowest of their tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx.checker
import onnx.helper
import onnx.shape_inference

from edge_sacro.engine.base import TensorSpec
from edge_sacro.errors import GraphRefused

OPSET = 18
NEWEST_IR = 10
"""Of the file format; TensorRT 10.3's and ONNX Runtime 1.23's readers take it."""

CONTRACT = "1"
EXPLANATION = "explanation"
PRECISIONS = ("fp32", "fp16", "int8")

# fmt: off
OPERATORS = frozenset({
    "Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "InstanceNormalization", "AveragePool",
    "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "Relu", "PRelu", "LeakyRelu", "Elu", "Clip", "Sigmoid",
    "HardSigmoid", "HardSwish", "Softmax", "Softplus", "Tanh", "Erf", "Add", "Sub", "Mul", "Div", "Pow",
    "Sqrt", "Exp", "Log", "Abs", "Neg", "Min", "Max", "Sum", "Floor", "Ceil", "Greater", "GreaterOrEqual",
    "Less", "LessOrEqual", "Equal", "And", "Or", "Not", "Where", "Cast", "Identity", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "TopK", "Concat", "Constant", "ConstantOfShape",
    "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Pad", "Reshape", "Resize",
    "Shape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "QuantizeLinear",
    "DequantizeLinear",
})
# fmt: on
"""Not on it, among others: NonMaxSuppression, NonZero, Loop, If, Scan, RoiAlign, Dropout, and all that handles text."""

ARITHMETIC = frozenset(
    {
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Min",
        "Max",
        "Sum",
        "Neg",
        "Abs",
        "MatMul",
        "Gemm",
        "ReduceSum",
        "ReduceProd",
        "ReduceMax",
    }
)
"""In int64 for sizes and for TopK's indices alone: TensorRT casts down what it can, and refuses the rest."""

RESIZE: Mapping[str, set[str | int]] = {
    "mode": {"nearest", "linear"},
    "coordinate_transformation_mode": {"half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"},
    "antialias": {0},
}
RESIZE_DEFAULTS = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "antialias": 0}


@dataclass(frozen=True)
class Contract:
    """What the runtime expects of a graph.

    Attributes:
        system, network: as manifests have them.
        inputs, outputs: names and static shapes, all float32. A classifier may have an output ``explanation`` besides.
        classes: meaning of the outputs' classes, in order.
    """

    system: str
    network: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    classes: tuple[str, ...]

    def metadata(self, source_sha256: str, precision: str = "fp32") -> dict[str, str]:
        """What a graph under this contract says of itself.

        Args:
            source_sha256: of the checkpoint that the weights come from.
            precision: one of :data:`PRECISIONS`.
        """
        return {
            "edge_sacro.contract": CONTRACT,
            "edge_sacro.system": self.system,
            "edge_sacro.network": self.network,
            "edge_sacro.source_sha256": source_sha256,
            "edge_sacro.classes": json.dumps(self.classes, ensure_ascii=False),
            "edge_sacro.precision": precision,
        }


def describe(model: onnx.ModelProto, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Write metadata into a graph, in place of any of the same keys."""
    kept = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {**kept, **metadata})
    return model


def check_graph(model: onnx.ModelProto, contract: Contract, source: str) -> onnx.ModelProto:
    """Hold a graph to all rules.

    Returns:
        the graph with the shape of every tensor inferred.

    Raises:
        GraphRefused: every rule that it breaks is named; shapes are looked at where all else is right.
    """
    faults = [
        *_format_faults(model),
        *_tensor_faults("input", model.graph.input, contract.inputs),
        *_tensor_faults("output", model.graph.output, _outputs(model, contract)),
        *_operator_faults(model),
        *_metadata_faults(model, contract),
    ]
    if faults:
        raise GraphRefused("; ".join(faults), source=source)
    try:
        onnx.checker.check_model(model)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphRefused(f"it is no valid ONNX graph: {error}", source=source) from error
    faults = [*_shape_faults(inferred), *_integer_faults(inferred)]
    if faults:
        raise GraphRefused("; ".join(faults), source=source)
    return inferred


def read_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file.

    Raises:
        GraphRefused: it is none.
    """
    try:
        return onnx.load(path)
    except OSError as error:
        raise GraphRefused(f"it cannot be read: {error.strerror}", source=str(path)) from error
    except Exception as error:  # protobuf's DecodeError has no stable home to import it from
        if type(error).__name__ != "DecodeError":
            raise
        raise GraphRefused("no ONNX graph can be read: it is no protocol buffer", source=str(path)) from error


def specs(values: Iterable[onnx.ValueInfoProto]) -> tuple[TensorSpec, ...]:
    """Names and shapes of a graph's inputs or outputs; -1 is a dimension that is not static."""
    return tuple(TensorSpec(value.name, _shape(value)) for value in values)


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value if dim.dim_value > 0 else -1 for dim in value.type.tensor_type.shape.dim)


def _outputs(model: onnx.ModelProto, contract: Contract) -> tuple[TensorSpec, ...]:
    """The contract's outputs, and the explanation with its own height and width where the graph has one."""
    found = {spec.name: spec.shape for spec in specs(model.graph.output)}
    shape = found.get(EXPLANATION, ())
    if contract.network != "classifier" or len(shape) != 4 or min(shape) < 1:
        return contract.outputs
    return (*contract.outputs, TensorSpec(EXPLANATION, (1, len(contract.classes), *shape[2:])))


def _format_faults(model: onnx.ModelProto) -> Iterator[str]:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    if opsets != {"ai.onnx": OPSET}:
        yield f"operator sets are {opsets}, not ai.onnx {OPSET} alone"
    if model.ir_version > NEWEST_IR:
        yield f"the file's format is IR {model.ir_version}, later than {NEWEST_IR}"
    if model.functions:
        yield f"it defines functions: {', '.join(function.name for function in model.functions)}"
    if model.graph.sparse_initializer:
        yield "it holds sparse weights"
    outside = [weight.name for weight in model.graph.initializer if weight.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        yield f"{len(outside)} weights stand in another file, such as {outside[0]}"


def _tensor_faults(kind: str, values: Iterable[onnx.ValueInfoProto], expected: tuple[TensorSpec, ...]) -> Iterator[str]:
    found = specs(values)
    if found != expected:
        yield f"{kind}s are {_listed(found)}, the contract says {_listed(expected)}"
    for value in values:
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            yield f"{kind} {value.name} is {_type_name(value.type.tensor_type.elem_type)}, not float32"


def _listed(tensors: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{tensor.name} {tensor.shape}" for tensor in tensors) or "none"


def _operator_faults(model: onnx.ModelProto) -> Iterator[str]:
    constants = {weight.name for weight in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    outside: dict[str, list[str]] = {}
    for node in model.graph.node:
        where = node.name or (node.output[0] if node.output else "?")
        if node.op_type not in OPERATORS or node.domain:
            outside.setdefault(f"{node.domain}{'.' if node.domain else ''}{node.op_type}", []).append(where)
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        yield from (f"{where}: {fault}" for fault in _node_faults(node, attributes, constants))
    for operator, places in outside.items():
        yield f"operator {operator} is not taken by every backend ({len(places)}, such as {places[0]})"


def _node_faults(node: onnx.NodeProto, attributes: Mapping[str, Any], constants: set[str]) -> Iterator[str]:
    if node.op_type == "Resize":
        for name, allowed in RESIZE.items():
            value = attributes.get(name, RESIZE_DEFAULTS[name])
            value = value.decode() if isinstance(value, bytes) else value
            if value not in allowed:
                yield f"Resize with {name} {value}"
    if node.op_type == "TopK" and node.input[1] not in constants:
        yield "TopK whose count is no constant"
    if node.op_type == "MaxPool" and len(node.output) > 1:
        yield "MaxPool with indices"
    if node.op_type == "BatchNormalization" and attributes.get("training_mode", 0):
        yield "BatchNormalization in training form"


def _shape_faults(inferred: onnx.ModelProto) -> Iterator[str]:
    known = {value.name: _shape(value) for value in (*inferred.graph.value_info, *inferred.graph.output)}
    open_ended = [
        name
        for node in inferred.graph.node
        for name in node.output
        if name and (name not in known or -1 in known[name])
    ]
    if open_ended:
        yield f"{len(open_ended)} tensors have no static shape, such as {open_ended[0]}"


def _integer_faults(inferred: onnx.ModelProto) -> Iterator[str]:
    """Arithmetic in int64 that starts from anything but sizes, constants and TopK's indices."""
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    traceable = {weight.name for weight in inferred.graph.initializer}
    for node in inferred.graph.node:
        if node.op_type in {"Shape", "Constant"} or (
            node.op_type != "TopK" and all(name in traceable for name in node.input if name)
        ):
            traceable.update(node.output)
        elif node.op_type == "TopK":
            traceable.update(node.output[1:])
        elif node.op_type in ARITHMETIC and types.get(node.output[0]) == onnx.TensorProto.INT64:
            yield f"{node.name or node.output[0]}: {node.op_type} in int64"


def _metadata_faults(model: onnx.ModelProto, contract: Contract) -> Iterator[str]:
    found = {entry.key: entry.value for entry in model.metadata_props}
    source, precision = found.get("edge_sacro.source_sha256", ""), found.get("edge_sacro.precision", "")
    if len(source) != 64 or set(source) - set("0123456789abcdef"):
        yield f"metadata edge_sacro.source_sha256 is {source!r}, no SHA-256"
    if precision not in PRECISIONS:
        yield f"metadata edge_sacro.precision is {precision!r}, none of {', '.join(PRECISIONS)}"
    for key, value in contract.metadata(source, precision).items():
        if found.get(key, "") != value:
            yield f"metadata {key} is {found.get(key)!r}, the contract says {value!r}"


def _type_name(number: int) -> str:
    return str(onnx.TensorProto.DataType.Name(number)).lower()
