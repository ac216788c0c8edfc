"""FP16 in the graph: float32 outside, one type for each operator, nothing beyond half's range."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calibration.graph import outputs_of, prepared
from calibration.half import half_from_float, mixed_type_faults
from calibration.ranges import observe
from calibration.sensitivity import relative_error
from edge_sacro.errors import GraphRefused
from tests.calibration.nets import classifier_with_explanation, model_from, random_inputs, residual_net
from tests.tiny import CLASSIFIER

INPUTS = random_inputs()


def types_of(model: Any) -> dict[str, set[int]]:
    """Types of each node's inputs, by its name."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*inferred.input, *inferred.value_info)}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {node.name: {types[name] for name in node.input if name in types} for node in model.graph.node}


def halved(kept: tuple[str, ...] = ()) -> Any:
    model = prepared(residual_net())
    return half_from_float(model, observe(model, INPUTS).limits("minmax"), kept)


def test_it_computes_in_half_with_statistics_in_float_and_float32_outside() -> None:
    model = halved()
    assert {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)} == {
        TensorProto.FLOAT
    }
    types = types_of(model)
    assert types["stem"] == types["residual"] == types["up"] == {TensorProto.FLOAT16}
    assert types["norm"] == {TensorProto.FLOAT}
    error = relative_error(outputs_of(prepared(residual_net()), INPUTS), outputs_of(model, INPUTS))
    assert 0 < error < 2e-3


def test_a_layer_that_is_kept_stays_in_float() -> None:
    assert types_of(halved(("up",)))["up"] == {TensorProto.FLOAT}


def test_head_and_explanation_stay_in_float() -> None:
    model = prepared(classifier_with_explanation())
    inputs = random_inputs((1, 1, *CLASSIFIER), 1)
    made = half_from_float(model, observe(model, inputs).limits("minmax"))
    types = types_of(made)
    assert types["head"] == types["cam"] == {TensorProto.FLOAT}
    assert types["easy"] == {TensorProto.FLOAT16}
    assert outputs_of(made, inputs)[0]["explanation"].dtype == np.float32


def test_a_tensor_beyond_halfs_range_keeps_its_nodes_in_float() -> None:
    content = classifier_with_explanation(offset=100_000.0)
    model = prepared(content)
    inputs = random_inputs((1, 1, *CLASSIFIER), 2)
    made = half_from_float(model, observe(model, inputs).limits("minmax"))
    assert types_of(made)["fragile"] == {TensorProto.FLOAT}
    assert all(np.isfinite(value).all() for each in outputs_of(made, inputs) for value in each.values())
    with pytest.raises(GraphRefused, match="beyond half's range"):
        half_from_float(model, {})


def test_an_operator_of_two_types_is_told() -> None:
    assert mixed_type_faults(halved()) == []
    nodes = [
        helper.make_node("Cast", ["image"], ["low"], "cast", to=TensorProto.FLOAT16),
        helper.make_node("Div", ["low", "two"], ["logits"], "divide"),
    ]
    content = model_from(
        [helper.make_node("Div", ["image", "two"], ["logits"], "divide")],
        {"two": np.float32(2)},
        (1, 1, 4, 4),
        {"logits": (1, 1, 4, 4)},
    )
    model = onnx.load_from_string(content)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT16, (1, 1, 4, 4)))
    (fault,) = mixed_type_faults(model)
    assert fault.startswith("divide: Div")


def test_scales_of_a_resize_stay_float() -> None:
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "conv"),
        helper.make_node("Resize", ["c", "", "scales"], ["r"], "resize", mode="linear"),
        helper.make_node("Relu", ["r"], ["logits"], "relu"),
    ]
    weights = {"w": np.ones((1, 1, 1, 1), np.float32), "scales": np.array([1, 1, 2, 2], np.float32)}
    model = prepared(model_from(nodes, weights, (1, 1, 4, 4), {"logits": (1, 1, 8, 8)}))
    made = half_from_float(model, {})
    (resize,) = [node for node in made.graph.node if node.op_type == "Resize"]
    assert resize.input[2] == "scales"
    constants = {tensor.name: numpy_helper.to_array(tensor).dtype for tensor in made.graph.initializer}
    assert constants["scales"] == np.float32
    assert constants["w_half"] == np.float16
