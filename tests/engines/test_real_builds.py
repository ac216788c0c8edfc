"""TensorRT-RTX builds real engines here, with no GPU: every kind of network in every precision, and what they run."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edge_sacro.engine.audit import Audit, audit_from_plan
from edge_sacro.engine.build import Built, engine_from_onnx
from edge_sacro.engine.profiles import PROFILES, DeviceProfile
from edge_sacro.engine.trt_build import PlanOrder, plan_from_onnx
from edge_sacro.errors import EngineBuildFailed
from tests.engines.graphs import GRAPHS, Net, Precision, residual

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX builds on x86-64 and aarch64 Linux: pip install tensorrt-rtx")

pytestmark = pytest.mark.heavy

ANY = PROFILES["rtx-any"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
TYPES = {"fp32": "float", "fp16": "half", "int8": "int8"}


def _order(model: bytes, precision: Precision, profile: DeviceProfile = ANY) -> PlanOrder:
    return PlanOrder("tiny", model, precision, profile)


@pytest.fixture(scope="module")
def built() -> dict[tuple[str, Precision], tuple[Net, Built, Audit]]:
    found = {}
    for name, graph in GRAPHS.items():
        for precision in PRECISIONS:
            net, model = graph(precision)
            engine = engine_from_onnx(_order(model, precision))
            found[name, precision] = (net, engine, audit_from_plan(engine.engine))
    return found


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", GRAPHS)
def test_every_kind_of_network_builds_and_multiplies_in_the_precision_asked_for(
    built: Any, name: str, precision: Precision
) -> None:
    net, _, audit = built[name, precision]
    types = [kernel.inputs for kernel in audit.kernels if kernel.kind == "corrltn"]
    assert types
    if precision == "int8":
        assert audit.in_int8 + audit.inlined == net.weighted_in_int8
        assert audit.inlined == (name == "swish"), "a gate of four channels is no kernel of its own"
        assert all(kernel.outputs == ("float",) for kernel in audit.kernels if kernel.in_int8), (
            "TensorRT-RTX fuses nothing behind an int8 convolution; where this fails, its INT8 has become fast"
        )
    else:
        assert audit.in_int8 == 0
        assert all(set(each) == {TYPES[precision]} for each in types)


def test_a_float_convolution_has_its_bias_and_residual_fused(built: Any) -> None:
    _, _, audit = built["residual", "fp16"]
    fused = {epilogue for kernel in audit.kernels if kernel.weighted for epilogue in kernel.epilogues}
    assert {"bias", "accu", "relu"} <= fused


def test_transposed_convolutions_stay_in_float(built: Any) -> None:
    _, _, audit = built["unet", "int8"]
    up = [kernel for kernel in audit.kernels if kernel.kind == "deconvolution"]
    assert len(up) == 1
    assert set(up[0].inputs) == {"float"}


def test_activations_and_targets_are_told(built: Any) -> None:
    for _, engine, audit in built.values():
        assert audit.size == len(engine.engine)
        assert audit.targets == ("sm80",)
        assert audit.device_bytes > 0


def test_the_same_order_gives_the_same_bytes_and_key(built: Any) -> None:
    _, model = residual("fp16")
    again = engine_from_onnx(_order(model, "fp16"))
    _, first, _ = built["residual", "fp16"]
    assert again.seal == first.seal
    assert again.seal.engine_sha256 == hashlib.sha256(again.engine).hexdigest()
    _, other = residual("fp16", seed=1)
    changed = engine_from_onnx(_order(other, "fp16")).seal
    assert changed.engine_sha256 != first.seal.engine_sha256
    assert changed.key != first.seal.key


@pytest.mark.parametrize("name", sorted(n for n, p in PROFILES.items() if p.builder == "tensorrt-rtx"))
def test_every_profile_builds_for_its_own_targets(name: str) -> None:
    _, model = residual("fp16")
    engine = engine_from_onnx(_order(model, "fp16", PROFILES[name]))
    expected = tuple(target.lower() for target in PROFILES[name].targets) or ("sm80",)
    assert audit_from_plan(engine.engine).targets == expected


def test_turing_has_no_fp32_and_its_profile_offers_none() -> None:
    _, model = residual("fp32")
    turing = PROFILES["rtx-20"]
    with pytest.raises(EngineBuildFailed, match="it takes fp16, int8, not fp32"):
        engine_from_onnx(_order(model, "fp32", turing))
    with pytest.raises(EngineBuildFailed, match="FP32 GEMM is not supported"):
        plan_from_onnx(_order(model, "fp32", turing))


def test_a_target_that_is_unknown_is_refused_by_name() -> None:
    _, model = residual("fp16")
    with pytest.raises(EngineBuildFailed, match="does not compile for SM90"):
        plan_from_onnx(_order(model, "fp16", replace(ANY, targets=("SM90",))))


def test_progress_goes_from_nothing_to_all_in_every_phase() -> None:
    _, model = residual("fp32")
    said: list[tuple[str, float]] = []
    plan_from_onnx(_order(model, "fp32"), lambda phase, part: said.append((phase, part)))
    phases = {phase for phase, _ in said}
    assert phases
    for phase in phases:
        parts = [part for each, part in said if each == phase]
        assert parts[0] == 0.0
        assert parts[-1] == 1.0
        assert all(0 <= part <= 1 for part in parts)


def test_a_dynamic_batch_is_fixed_to_the_profiles() -> None:
    _, model = residual("fp32", batch="n")
    one = plan_from_onnx(_order(model, "fp32")).content
    four = plan_from_onnx(_order(model, "fp32", replace(ANY, batch=4))).content
    assert (b"dims={ 4 16" in one, b"dims={ 4 16" in four) == (False, True)


def test_any_other_dynamic_axis_is_refused() -> None:
    model = onnx.load_from_string(residual("fp32")[1])
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "rows"
    with pytest.raises(EngineBuildFailed, match="only a batch may vary"):
        plan_from_onnx(_order(model.SerializeToString(), "fp32"))


def test_bytes_that_are_no_network_are_refused_with_the_parsers_message() -> None:
    with pytest.raises(EngineBuildFailed, match="the parser refuses the file"):
        plan_from_onnx(_order(b"not a network", "fp32"))


def test_an_operator_without_a_kernel_is_refused_with_the_builders_message() -> None:
    values = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 8, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, 8]),
    ]
    kept = helper.make_tensor_value_info("kept", TensorProto.INT64, [None, 3])
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores"], ["kept"])
    graph = helper.make_graph([node], "nms", values, [kept])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    with pytest.raises(EngineBuildFailed, match=r"tensorrt-rtx, profile rtx-any: .+\(.+\)"):
        plan_from_onnx(_order(model.SerializeToString(), "fp32"))
