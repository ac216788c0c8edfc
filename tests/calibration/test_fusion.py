"""ONNX Runtime's own file: integer is what it fuses, by its own account, and all else is the float network's."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from calibration.fusion import OwnFile, float_where_not_fused, optimised_graph, own_file, reasons_in_float
from calibration.graph import initializers, outputs_of, prepared
from calibration.placement import placement_faults, quantised_nodes
from calibration.quantise import activations_as_uint8, qdq_from_float
from calibration.ranges import observe
from calibration.sensitivity import relative_error
from edge_sacro.errors import BudgetBroken
from tests.calibration.nets import model_from, random_inputs, residual_net

SHAPE = (1, 1, 8, 8)
INPUTS = random_inputs(SHAPE)
WEIGHTS = {
    "w1": (3, 1, 3, 3),
    "b1": (3,),
    "w2": (3, 3, 1, 1),
    "w3": (2, 3, 1, 1),
    "w4": (3, 3, 1, 1),
    "wt": (3, 3, 2, 2),
    "w6": (2, 6, 1, 1),
}
FIRST = helper.make_node("Conv", ["image", "w1", "b1"], ["a"], "first", pads=[1] * 4)
RELU = helper.make_node("Relu", ["a"], ["b"], "relu")


def node(kind: str, inputs: str, output: str, name: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], name, **attributes)


NETS: dict[str, tuple[list[Any], set[str], dict[str, str]]] = {
    "a chain": (
        [FIRST, RELU, node("Conv", "b w2", "c", "second"), node("Conv", "c w3", "logits", "last")],
        {"first", "second"},
        {"last": "it is an output of the graph"},
    ),
    "a normalisation between": (
        [
            FIRST,
            node("InstanceNormalization", "a one nil", "n", "norm"),
            node("LeakyRelu", "n", "b", "leaky"),
            node("Conv", "b w3", "logits", "last"),
        ],
        set(),
        {"first": "it goes to InstanceNormalization", "last": "it is an output of the graph"},
    ),
    "a residual addition": (
        [
            FIRST,
            RELU,
            node("Conv", "b w2", "c", "second"),
            node("Add", "c b", "s", "add"),
            node("Relu", "s", "r", "relu_s"),
            node("Conv", "r w3", "logits", "last"),
        ],
        {"first", "second", "add"},
        {"last": "it is an output of the graph"},
    ),
    "a residual addition whose sum is not requantised": (
        [
            FIRST,
            RELU,
            node("Conv", "b w2", "c", "second"),
            node("Add", "c b", "s", "add"),
            node("Sigmoid", "s", "g", "sigmoid"),
            node("Conv", "g w3", "logits", "last"),
        ],
        {"first", "second"},
        {"add": "it goes to Sigmoid", "last": "it is an output of the graph"},
    ),
    "a skip beside an upsampling": (
        [
            FIRST,
            RELU,
            node("MaxPool", "b", "p", "pool", kernel_shape=[2, 2], strides=[2, 2]),
            node("Conv", "p w2", "d", "down"),
            node("Relu", "d", "e", "relu_d"),
            node("ConvTranspose", "e wt", "u", "up", kernel_shape=[2, 2], strides=[2, 2]),
            node("Concat", "u b", "both", "concat", axis=1),
            node("Conv", "both w6", "logits", "last"),
        ],
        {"down"},
        {"first": "it goes to Concat, MaxPool", "up": "no integer kernel", "last": "it is an output of the graph"},
    ),
    "types that differ on the two sides of a convolution": (
        [
            FIRST,
            node("Conv", "a w2", "c", "left"),
            node("Relu", "c", "cr", "relu_c"),
            node("Conv", "a w4", "d", "right"),
            node("Relu", "d", "dr", "relu_d"),
            node("Add", "cr dr", "s", "add"),
            node("Conv", "s w3", "logits", "last"),
        ],
        {"first", "left", "right", "add"},
        {"last": "it is an output of the graph"},
    ),
}


def float_net(name: str) -> Any:
    nodes, _, _ = NETS[name]
    random = np.random.default_rng(5)
    needed = {each for one in nodes for each in one.input}
    drawn = {each: random.normal(0, 0.5, shape).astype(np.float32) for each, shape in WEIGHTS.items()}
    constants = {**drawn, "one": np.ones(3, np.float32), "nil": np.zeros(3, np.float32)}
    used = {each: value for each, value in constants.items() if each in needed}
    return prepared(model_from(nodes, used, SHAPE, {"logits": (1, 2, 8, 8)}))


def made(model: Any) -> tuple[Any, OwnFile]:
    int8 = qdq_from_float(model, observe(model, INPUTS).limits("minmax"))
    return int8, own_file(int8, model)


@pytest.mark.parametrize("name", NETS)
def test_what_is_told_of_a_net_is_what_onnxruntime_makes_of_it(name: str) -> None:
    _, integer, in_float = NETS[name]
    model = float_net(name)
    int8, own = made(model)
    assert set(own.integer) == integer
    assert set(own.in_float) == set(in_float)
    assert all(part in own.in_float[each] for each, part in in_float.items())
    assert set(own.integer) | set(own.in_float) == set(quantised_nodes(int8))
    assert own.unlike == ()
    if not integer:
        assert own.content() is None, "the FP32 file serves"
        return
    after = {each.name: each.op_type for each in optimised_graph(own.model).graph.node}
    assert all(after[each] in ("QLinearConv", "QLinearAdd") for each in integer)
    assert {after[each].removeprefix("Fused") for each in in_float} <= {"Conv", "ConvTranspose", "Add"}
    weights = initializers(own.model)
    for each in own.model.graph.node:
        if each.name in in_float and each.op_type != "Add":
            assert weights[each.input[1]].data_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize("name", [name for name in NETS if NETS[name][1]])
def test_it_is_nearer_to_float_than_the_file_for_all_or_as_near(name: str) -> None:
    model = float_net(name)
    int8, own = made(model)
    true = outputs_of(model, INPUTS)
    for_all, alone = (relative_error(true, outputs_of(each, INPUTS)) for each in (int8, own.model))
    assert 0 < alone <= for_all + 1e-3
    assert for_all < 0.1
    spoilt = onnx.ModelProto()
    spoilt.CopyFrom(own.model)
    for tensor in spoilt.graph.initializer:
        if tensor.name.endswith("_scale"):
            values = onnx.numpy_helper.to_array(tensor) * np.float32(64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    assert relative_error(true, outputs_of(spoilt, INPUTS)) > 0.1, "negative control"


def test_no_pair_is_left_that_no_integer_kernel_needs() -> None:
    """Only the way into and out of integers is left beside the kernels."""
    _, own = made(float_net("a chain"))
    assert own.kernels == {"QuantizeLinear": 1, "QLinearConv": 2, "DequantizeLinear": 1, "Conv": 1}
    int8, _ = made(float_net("a chain"))
    before = optimised_graph(activations_as_uint8(int8))
    assert sum(each.op_type == "DequantizeLinear" for each in before.graph.node) == 2, "its last weight, at each run"


def test_int8_beside_uint8_would_not_fuse() -> None:
    """Negative control of the one type: the same graph with uint8 after ReLUs alone."""
    model = float_net("types that differ on the two sides of a convolution")
    _, own = made(model)
    mixed = onnx.ModelProto()
    mixed.CopyFrom(own.model)
    shifted = {tensor.name for tensor in mixed.graph.initializer if tensor.name.startswith("uint8_zero_point_128")}
    zero = onnx.numpy_helper.from_array(np.int8(0), "int8_zero_point")
    mixed.graph.initializer.append(zero)
    for each in mixed.graph.node:
        if each.op_type in ("QuantizeLinear", "DequantizeLinear") and each.input[2] in shifted:
            each.input[2] = zero.name
    fused = [each.name for each in optimised_graph(mixed).graph.node if each.op_type.startswith("QLinear")]
    assert not {"left", "right"} & set(fused)
    assert set(own.integer) > set(fused)


def test_a_version_that_does_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = float_net("a chain")
    int8, _ = made(model)
    monkeypatch.setattr("calibration.fusion.optimised_graph", lambda _: model)
    assert own_file(int8, model).unlike == ("first", "second")


def test_the_same_graph_gives_the_same_bytes_and_leaves_what_it_was_made_of() -> None:
    model = prepared(residual_net())
    inputs = random_inputs()
    int8 = qdq_from_float(model, observe(model, inputs).limits("minmax"))
    before = model.SerializeToString(), int8.SerializeToString()
    first, second = (own_file(int8, model) for _ in range(2))
    assert first.content() == second.content()
    assert first.record() == second.record()
    assert (model.SerializeToString(), int8.SerializeToString()) == before
    assert set(first.in_float) == {"stem", "conv_a", "residual", "up", "last"}
    assert first.content() is None


def test_a_graph_with_everything_in_float_is_the_float_graph() -> None:
    model = float_net("a residual addition")
    int8, _ = made(model)
    bare = float_where_not_fused(int8, model, quantised_nodes(int8))
    assert quantised_nodes(bare) == ()
    assert relative_error(outputs_of(model, INPUTS), outputs_of(bare, INPUTS)) < 1e-6


def test_a_matrix_product_needs_no_quantised_output() -> None:
    nodes = [node("MatMul", "image w", "m", "one"), node("Sigmoid", "m", "logits", "sigmoid")]
    random = np.random.default_rng(2)
    content = model_from(nodes, {"w": random.normal(0, 1, (8, 5)).astype(np.float32)}, SHAPE, {"logits": (1, 1, 8, 5)})
    _, own = made(prepared(content))
    assert own.integer == ("one",)
    assert own.unlike == ()
    assert own.kernels["MatMulIntegerToFloat"] == 1


def test_wrong_placement_is_refused() -> None:
    model = float_net("a chain")
    int8, own = made(model)
    next(each for each in int8.graph.node if each.name == "second").input[0] = "b"
    assert placement_faults(int8)
    with pytest.raises(BudgetBroken, match="one of its two inputs"):
        own_file(int8, model)
    half = onnx.ModelProto()
    half.CopyFrom(own.model)
    second = next(each for each in half.graph.node if each.name == "second")
    second.input[0] = "b"
    assert placement_faults(half, onnxruntime=True), "an int8 weight beside a float activation"


def test_reasons_name_only_what_is_quantised() -> None:
    assert reasons_in_float(float_net("a chain")) == {}
