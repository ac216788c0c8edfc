"""OpenVINO's compiled networks: the same bits as a network that is compiled anew, and nothing that is not one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("openvino", reason="pip install openvino")

from calibration.concatenation import concatenated_as_integers
from edge_sacro.engine.base import NetworkSpec, TensorSpec
from edge_sacro.engine.build import engine_from_onnx
from edge_sacro.engine.compiled import open_compiled
from edge_sacro.engine.ov import OpenVinoEngine
from edge_sacro.engine.ov_concat import concatenates_wrongly
from edge_sacro.engine.profiles import PROFILES
from edge_sacro.engine.trt_build import PlanOrder
from edge_sacro.errors import BackendFailed, BundleContractBroken, EngineBuildFailed, Int8Inexact
from tests.engines.graphs import GRAPHS, Precision
from tests.engines.test_profiles import HERE

PROFILE = PROFILES[f"{HERE}-openvino"]


def _spec(model: bytes) -> NetworkSpec:
    graph = onnx.load_from_string(model).graph

    def tensors(values: Any) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(each.name, tuple(dim.dim_value for dim in each.type.tensor_type.shape.dim)) for each in values
        )

    return NetworkSpec("tiny", tensors(graph.input), tensors(graph.output))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_compiled_network_answers_with_the_bits_of_one_compiled_anew(name: str, precision: Precision) -> None:
    _, model = GRAPHS[name](precision)
    if precision == "int8":
        model = concatenated_as_integers(onnx.load_from_string(model)).SerializeToString()
    spec = _spec(model)
    built = engine_from_onnx(PlanOrder("tiny", model, precision, PROFILE))
    assert (built.seal.builder, built.seal.profile) == ("openvino", PROFILE.name)
    given = {each.name: np.random.default_rng(4).standard_normal(each.shape).astype(np.float32) for each in spec.inputs}
    answers = []
    for engine in (OpenVinoEngine(spec, model, 2), open_compiled("openvino", spec, built.engine, 2)):
        assert engine.backend == "openvino"
        answers.append(engine.run(given))
        engine.close()
    for output in spec.outputs:
        np.testing.assert_array_equal(answers[0][output.name], answers[1][output.name])
        assert np.ptp(answers[0][output.name]) > 0, "negative control: the answer depends on the input"


@pytest.mark.parametrize("name", ["unet", "dense"])
def test_int8_that_this_version_would_sum_wrongly_is_not_built(name: str) -> None:
    if not concatenates_wrongly():
        pytest.skip("this version of OpenVINO has no such defect")
    _, model = GRAPHS[name]("int8")
    with pytest.raises(Int8Inexact, match="concatenation"):
        engine_from_onnx(PlanOrder("tiny", model, "int8", PROFILE))


def test_another_contract_and_other_bytes_are_refused() -> None:
    _, model = next(iter(GRAPHS.values()))("fp32")
    spec = _spec(model)
    blob = engine_from_onnx(PlanOrder("tiny", model, "fp32", PROFILE)).engine
    other = NetworkSpec("tiny", spec.inputs, (TensorSpec("other", spec.outputs[0].shape),))
    with pytest.raises(BundleContractBroken):
        open_compiled("openvino", other, blob, 1)
    with pytest.raises(BackendFailed, match="OpenVINO"):
        open_compiled("openvino", spec, b"no network" * 100, 1)
    with pytest.raises(EngineBuildFailed, match="OpenVINO"):
        engine_from_onnx(PlanOrder("tiny", b"no network", "fp32", PROFILE))
