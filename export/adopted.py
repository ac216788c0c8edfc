"""An ONNX file of another exporter made to fit the contract: what Keras' ``model.export(file, format="onnx")`` writes.

Keras' graphs differ from the contract in four ways, each told apart by what the graph says, never guessed:

- input and output have the layers' names: renamed;
- the batch is open: made 1;
- images are rows x columns x channels (NHWC): the graph gets an input of channels first and one transpose;
- the last layer is a softmax or a sigmoid: it is taken off, because the runtime takes logits. One sigmoid unit becomes
  two logits, 0 and its own: their softmax is the sigmoid.

What cannot be told apart is refused. Scaling layers inside the model stay; the image that comes in is the runtime's,
and already normalised (docs/export.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.shape_inference
import onnx.version_converter

from edge_sacro.classify import softmax
from edge_sacro.errors import GraphRefused
from export.gate import NEWEST_IR, OPSET, Contract, read_graph, specs

OLDEST_OPSET = 13
LINEAR = frozenset({"Gemm", "MatMul", "Add"})
"""What a layer without activation ends with."""

_REMEDY = "Export a model of one float32 image and one output of {classes} units, with softmax or no activation."


def adopted(path: Path, contract: Contract) -> onnx.ModelProto:
    """Read a foreign graph and fit it to a classifier's contract, without metadata.

    Raises:
        GraphRefused: it is no ONNX graph, or not one of the forms above.
    """
    source, remedy = str(path), _REMEDY.format(classes=len(contract.classes))
    model = read_graph(path)
    try:
        onnx.checker.check_model(model)
    except (ValueError, onnx.checker.ValidationError) as error:
        raise GraphRefused(f"it is no valid ONNX graph: {error}", source=source) from error
    try:
        model = _modernised(model)
        _one_image(model, contract)
        _logits(model, contract)
    except ValueError as error:
        raise GraphRefused(str(error), source=source, remedy=remedy) from error
    return model


def answer_of_given(path: Path, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """What the file as given answers, as probabilities (1, classes): softmax where it gives logits.

    Args:
        path: of a graph that :func:`adopted` takes.
        image: (1, channels, rows, columns); turned to channels last where the graph has them so.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    fits = list(given.shape[1:]) == list(image.shape[1:])
    (answer,) = session.run(None, {given.name: image if fits else np.ascontiguousarray(image.transpose(0, 2, 3, 1))})
    values = np.asarray(answer, np.float64)
    ends_with = _last_operator(path)
    if ends_with in LINEAR:
        return softmax(values if values.shape[1] > 1 else np.concatenate([np.zeros_like(values), values], axis=1))
    return values if values.shape[1] > 1 else np.concatenate([1 - values, values], axis=1)


def _last_operator(path: Path) -> str:
    model = onnx.load(path)
    last = _producer(model, model.graph.output[0].name)
    while last.op_type == "Identity":
        last = _producer(model, last.input[0])
    return str(last.op_type)


def _modernised(model: onnx.ModelProto) -> onnx.ModelProto:
    """Opset 18. ``ai.onnx.ml`` and others are dropped where no node is theirs."""
    used = {node.domain for node in model.graph.node} | {""}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    opset = next((entry.version for entry in kept if not entry.domain), 0)
    if opset < OLDEST_OPSET or opset > OPSET:
        raise ValueError(f"its operator set is {opset}, and {OLDEST_OPSET} to {OPSET} are taken")
    if opset < OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    model.ir_version = min(model.ir_version, NEWEST_IR)
    return model


def _one_image(model: onnx.ModelProto, contract: Contract) -> None:
    """One input of the contract's name and shape; a graph of channels last gets a transpose behind it."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ValueError(f"it takes {len(inputs)} inputs, the contract says 1")
    (wanted,) = contract.inputs
    shape = (1, *specs(inputs)[0].shape[1:])
    _, channels, rows, columns = wanted.shape
    if shape not in {wanted.shape, (1, rows, columns, channels)}:
        forms = f"{wanted.shape} or channels last, {(1, rows, columns, channels)}"
        raise ValueError(f"its input is {shape}, the contract says {forms}")
    if inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise ValueError("its input is not float32")
    if shape == wanted.shape:
        _rename(model, inputs[0].name, wanted.name)
    else:
        _rename(model, inputs[0].name, wanted.name)  # so that no other tensor has that name
        _rename(model, wanted.name, f"{wanted.name}_channels_last")
        transpose = onnx.helper.make_node(
            "Transpose", [wanted.name], [f"{wanted.name}_channels_last"], "channels_last", perm=[0, 2, 3, 1]
        )
        model.graph.node.insert(0, transpose)
    del model.graph.input[:]
    model.graph.input.append(onnx.helper.make_tensor_value_info(wanted.name, onnx.TensorProto.FLOAT, wanted.shape))


def _logits(model: onnx.ModelProto, contract: Contract) -> None:
    """One output of the contract's name and shape, before any softmax or sigmoid."""
    if len(model.graph.output) != 1:
        raise ValueError(f"it gives {len(model.graph.output)} outputs, the contract says 1")
    (wanted,) = contract.outputs
    name = model.graph.output[0].name
    units = _units(model)
    last = _producer(model, name)
    while last.op_type == "Identity":
        model.graph.node.remove(last)
        name = last.input[0]
        last = _producer(model, name)
    if last.op_type in {"Softmax", "Sigmoid"}:
        if last.op_type == ("Softmax" if units == 1 else "Sigmoid"):
            raise ValueError(f"it ends with {last.op_type} over {units} units")
        model.graph.node.remove(last)
        name = last.input[0]
    elif last.op_type not in LINEAR:
        raise ValueError(f"it ends with {last.op_type}, so that it is not known whether it gives logits")
    if units == 1 and wanted.shape == (1, 2):
        _rename(model, name, f"{wanted.name}_of_disease")
        name = f"{wanted.name}_of_disease"
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 1, 0, 0], np.int64), "one_before"))
        pad = onnx.helper.make_node("Pad", [name, "one_before"], [wanted.name], "two_logits", mode="constant")
        model.graph.node.append(pad)
    elif units == wanted.shape[1]:
        _rename(model, name, wanted.name)
    else:
        raise ValueError(f"it has {units} output units, the contract says {wanted.shape[1]}")
    # Shapes that were written for an open batch would contradict the static ones.
    del model.graph.value_info[:]
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(wanted.name, onnx.TensorProto.FLOAT, wanted.shape))


def _units(model: onnx.ModelProto) -> int:
    shape = specs(model.graph.output)[0].shape
    if len(shape) != 2 or shape[1] < 1:
        raise ValueError(f"its output is {shape}, the contract says one row of units")
    return shape[1]


def _producer(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    found = [node for node in model.graph.node if name in node.output]
    if not found:
        raise ValueError(f"nothing gives its output {name}")
    return found[0]


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Give a tensor another name; one that has that name already is moved aside."""
    if old == new:
        return
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    if new in taken:
        _rename(model, new, f"{new}_inner")
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for weight in model.graph.initializer:
        weight.name = new if weight.name == old else weight.name
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
