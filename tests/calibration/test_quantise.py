"""The recipe: the numbers of Q/DQ, where they stand, and that every wrong placement is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from calibration.graph import head_nodes, initializers, outputs_of, prepared, producers, quantisable_nodes
from calibration.placement import placement_faults, quantised_nodes
from calibration.quantise import activations_as_uint8, int8_from_weight, qdq_from_float
from calibration.ranges import METHODS, Observation, observe
from calibration.sensitivity import relative_error
from edge_sacro.errors import CalibrationRefused, GraphRefused
from tests.calibration.nets import classifier_with_explanation, model_from, random_inputs, residual_net

INPUTS = random_inputs()
LAYERS = ("stem", "conv_a", "residual", "up", "last")


def quantised(kept: tuple[str, ...] = ()) -> Any:
    model = prepared(residual_net())
    return qdq_from_float(model, observe(model, INPUTS).limits("minmax"), kept)


def test_weighted_operators_and_residual_additions_are_quantised_and_no_others() -> None:
    assert quantisable_nodes(prepared(residual_net())) == LAYERS
    model = quantised()
    assert placement_faults(model) == []
    assert quantised_nodes(model) == LAYERS
    assert quantised_nodes(prepared(residual_net())) == ()


def test_head_and_explanation_stay_in_float() -> None:
    model = prepared(classifier_with_explanation())
    assert head_nodes(model) == {"head", "cam", "cam_relu"}
    assert quantisable_nodes(model) == ("shift", "fragile", "easy")


@pytest.mark.parametrize("method", METHODS)
def test_int8_is_near_float_and_a_layer_put_back_brings_it_nearer(method: Any) -> None:
    model = prepared(residual_net())
    limits = observe(model, INPUTS).limits(method)
    true = outputs_of(model, INPUTS)
    errors = [
        relative_error(true, outputs_of(qdq_from_float(model, limits, kept), INPUTS)) for kept in ((), LAYERS[:3])
    ]
    assert 0 < errors[1] < errors[0] < 0.06
    assert relative_error(true, outputs_of(qdq_from_float(model, limits, LAYERS), INPUTS)) < 1e-6
    wrong = {name: limit / 4 for name, limit in limits.items()}
    assert relative_error(true, outputs_of(qdq_from_float(model, wrong), INPUTS)) > 0.2, "negative control"


def test_a_tensor_that_a_float_operator_shares_reaches_it_unquantised() -> None:
    concat = next(node for node in quantised().graph.node if node.name == "concat")
    assert list(concat.input) == ["sum", "stem_out"]


def test_a_layer_that_is_kept_has_its_float_weight_and_no_int8_one() -> None:
    names = set(initializers(quantised(("up",))))
    assert "w_up" in names
    assert not any(name.startswith("w_up_axis") for name in names)
    with pytest.raises(ValueError, match="no such nodes"):
        quantised(("norm",))


def test_scales_and_levels_are_those_of_onnxruntimes_own_tool(tmp_path: Path) -> None:
    """On a chain, where both place Q/DQ alike; its tool also quantises for takers that stay float, ours does not."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    random = np.random.default_rng(3)
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "c1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "r1"),
        helper.make_node("Conv", ["r1", "w2"], ["logits"], "c2"),
    ]
    weights = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in
               {"w1": (5, 1, 3, 3), "b1": (5,), "w2": (3, 5, 1, 1)}.items()}  # fmt: skip
    content = model_from(nodes, weights, (1, 1, 16, 16), {"logits": (1, 3, 16, 16)})
    (tmp_path / "float.onnx").write_bytes(content)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.rest = iter(INPUTS)

        def get_next(self) -> Any:
            return next(self.rest, None)

    quantization.quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "int8.onnx",
        Reader(),
        per_channel=True,
        op_types_to_quantize=["Conv"],
        extra_options={
            "ActivationSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": ["Conv"],
        },
    )
    theirs = {name: numpy_helper.to_array(t) for name, t in initializers(onnx.load(tmp_path / "int8.onnx")).items()}
    model = prepared(content)
    ours = qdq_from_float(model, observe(model, INPUTS).limits("minmax"))
    own = {name: numpy_helper.to_array(tensor) for name, tensor in initializers(ours).items()}
    np.testing.assert_allclose(own["r1_scale"], theirs["r1_scale"], rtol=1e-6)
    np.testing.assert_allclose(own["image_scale"], theirs["image_scale"], rtol=1e-6)
    for name in ("w1", "w2"):
        np.testing.assert_array_equal(own[f"{name}_axis0_quantized"], theirs[f"{name}_quantized"])
        np.testing.assert_allclose(own[f"{name}_axis0_scale"], theirs[f"{name}_scale"], rtol=1e-6)


def test_weights_have_a_scale_for_each_output_channel() -> None:
    weight = np.array([[1.0, -127.0], [0.0, 12.7]], np.float32)
    levels, scales = int8_from_weight(weight, 1)
    np.testing.assert_allclose(scales, [1 / 127, 1.0])
    np.testing.assert_array_equal(levels, [[127, -127], [0, 13]])
    levels, scales = int8_from_weight(np.zeros((2, 1), np.float32), 0)
    assert scales.tolist() == [1, 1]
    assert not levels.any()


def test_methods_differ_as_they_say() -> None:
    counts = np.zeros(4096, np.int64)
    counts[:400] = 1000
    counts[-1] = 1
    observation = Observation({"x": 10.0, "still": 0.0}, {"x": counts, "still": np.zeros(4096, np.int64)}, 1)
    largest, percentile, least = (observation.limits(method)["x"] for method in METHODS)
    assert largest == 10.0
    assert percentile == pytest.approx(400 / 4096 * 10, rel=1e-3)
    assert percentile < least < largest
    assert observation.limits("mse")["still"] == 0.0


def test_observing_nothing_or_what_is_not_finite_is_refused() -> None:
    model = prepared(residual_net())
    with pytest.raises(CalibrationRefused, match="no input"):
        observe(model, [])
    with pytest.raises(GraphRefused, match="not finite"):
        observe(model, [{"image": np.full((1, 1, 16, 16), np.inf, np.float32)}])


def test_uint8_is_int8_shifted_and_after_relu_goes_on_past_127_steps() -> None:
    model = quantised()
    own = activations_as_uint8(model)
    zeros = {name: int(numpy_helper.to_array(tensor)) for name, tensor in initializers(own).items() if "uint8" in name}
    assert sorted(zeros.values()) == [0, 128]
    of_relu = [
        node.input[0] for node in own.graph.node if node.op_type == "QuantizeLinear" and not zeros[node.input[2]]
    ]
    assert of_relu == ["stem_out"]
    assert placement_faults(own, onnxruntime=True) == []
    assert any("uint8" in fault for fault in placement_faults(own)), "negative control: it is no file for TensorRT"
    assert any("int8, not uint8" in fault for fault in placement_faults(model, onnxruntime=True))
    same = zip(outputs_of(model, INPUTS), outputs_of(own, INPUTS), strict=True)
    assert max(float(np.abs(one["logits"] - two["logits"]).max()) for one, two in same) < 1e-5
    far = [{"image": 3 * INPUTS[0]["image"]}]
    assert np.abs(outputs_of(model, far)[0]["logits"] - outputs_of(own, far)[0]["logits"]).max() > 1e-3


@pytest.mark.parametrize("name", ["relu", "uint8", "uint8_zero_point_0"])
def test_a_tensor_whose_constants_have_the_zero_points_name_keeps_them(name: str) -> None:
    """Torchvision's DenseNet has a tensor called relu."""
    model = prepared(residual_net())
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name if each == "stem_out" else each for each in names]
    int8 = qdq_from_float(model, observe(model, INPUTS).limits("minmax"))
    assert placement_faults(activations_as_uint8(int8), onnxruntime=True) == []


def _node(model: Any, name: str) -> Any:
    return next(node for node in model.graph.node if node.name == name)


def _constant(model: Any, name: str, value: Any) -> None:
    initializers(model)[name].CopyFrom(numpy_helper.from_array(np.asarray(value), name))


def _asymmetric(model: Any) -> None:
    _constant(model, "image_zero_point", np.int8(3))


def _unsigned(model: Any) -> None:
    _constant(model, "image_zero_point", np.uint8(0))


def _negative_scale(model: Any) -> None:
    _constant(model, "image_scale", np.float32(-1))


def _scales_by_channel(model: Any) -> None:
    _constant(model, "image_scale", np.ones(1, np.float32))


def _wrong_axis(model: Any) -> None:
    _node(model, "w_up_axis1_Dequantize").attribute[0].i = 0


def _one_addend(model: Any) -> None:
    _node(model, "residual").input[1] = "stem_out"


def _float_weight(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((4, 4, 3, 3), np.float32), "again"))
    _node(model, "conv_a").input[1] = "again"


def _bias(model: Any) -> None:
    _node(model, "conv_a").input[2] = "stem_out_dequantized"


def _into_norm(model: Any) -> None:
    _node(model, "norm").input[0] = "stem_out_dequantized"


def _int32(model: Any) -> None:
    _constant(model, "w_a_axis0_quantized", np.zeros((4, 4, 3, 3), np.int32))


def _lowest_level(model: Any) -> None:
    _constant(model, "w_a_axis0_quantized", np.full((4, 4, 3, 3), -128, np.int8))


def _in_graph_weight(model: Any) -> None:
    _node(model, "image_Quantize").input[0] = "b_stem"


def _open_end(model: Any) -> None:
    _node(model, "sigmoid").input[0] = "swish_quantized"


def _other_operator(model: Any) -> None:
    _node(model, "stem").op_type = "ConvInteger"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_asymmetric, "zero point is not 0"),
        (_unsigned, "uint8, not int8"),
        (_negative_scale, "not positive"),
        (_scales_by_channel, "1 scales"),
        (_wrong_axis, "output channels"),
        (_one_addend, "one of its two inputs"),
        (_float_weight, "one of its two inputs"),
        (_bias, "bias is quantised"),
        (_into_norm, "feeds norm"),
        (_int32, "biases and int32"),
        (_lowest_level, "-128"),
        (_in_graph_weight, "constant is quantised in the graph"),
        (_open_end, "no DQ of the same scale"),
        (_other_operator, "no explicit Q/DQ"),
    ],
)
def test_every_wrong_placement_is_told(spoil: Callable[[Any], None], told: str) -> None:
    model = quantised()
    spoil(model)
    assert any(told in fault for fault in placement_faults(model)), placement_faults(model)


def test_weights_in_half_behind_a_cast_and_batch_norms_are_folded() -> None:
    nodes = [
        helper.make_node("Cast", ["w_half"], ["w"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Conv", ["image", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["logits"]),
    ]
    weights = {
        "w_half": np.ones((2, 1, 1, 1), np.float16),
        **{name: np.full(2, value, np.float32) for name, value in (("s", 2), ("b", 1), ("m", 0), ("v", 1))},
    }
    content = model_from(nodes, weights, (1, 1, 4, 4), {"logits": (1, 2, 4, 4)})
    model = prepared(content)
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    assert len(quantisable_nodes(model)) == 1
    assert set(producers(model)) == {"logits"}


def test_a_graph_older_than_channel_axes_is_refused() -> None:
    model = onnx.load_from_string(residual_net())
    model.opset_import[0].version = 12
    with pytest.raises(GraphRefused, match="opset is 12"):
        prepared(model.SerializeToString())
