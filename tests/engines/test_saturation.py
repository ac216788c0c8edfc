"""INT8 is refused where a processor's sums are cut off: shown on one whose newer instructions are switched off."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_sacro.engine import Engine, NetworkSpec, open_engine, saturation
from edge_sacro.engine.base import Array
from edge_sacro.engine.device import processor_features
from edge_sacro.engine.saturation import (
    CHANNELS,
    SHAPE,
    SPEC,
    STEP,
    VALUES,
    WEIGHT,
    check_engines,
    check_int8,
    saturation_model,
)
from edge_sacro.errors import Int8Inexact

DOT_PRODUCT = {"avx_vnni", "avx512_vnni", "amx_int8", "asimddp"}
KINDS = {"u8": np.uint8, "s8": np.int8}


def built() -> bytes:
    """The graph as it was made for the package."""
    nodes, constants = [], []
    for name, kind in KINDS.items():
        values = {
            "one": np.float32(1),
            "zero": kind(0),
            "w": np.full((CHANNELS, CHANNELS, 1, 1), WEIGHT, np.int8),
            "wscale": np.ones(CHANNELS, np.float32),
            "wzero": np.zeros(CHANNELS, np.int8),
            "step": np.float32(STEP),
            "ozero": np.int8(0),
        }
        constants += [numpy_helper.from_array(np.asarray(value), f"{name}_{key}") for key, value in values.items()]
        one, zero, step = f"{name}_one", f"{name}_zero", (f"{name}_step", f"{name}_ozero")
        nodes += [
            helper.make_node("QuantizeLinear", ["image", one, zero], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", one, zero], [f"{name}_dq"]),
            helper.make_node(
                "DequantizeLinear", [f"{name}_w", f"{name}_wscale", f"{name}_wzero"], [f"{name}_wdq"], axis=0
            ),
            helper.make_node("Conv", [f"{name}_dq", f"{name}_wdq"], [f"{name}_conv"], kernel_shape=[1, 1]),
            helper.make_node("QuantizeLinear", [f"{name}_conv", *step], [f"{name}_oq"]),
            helper.make_node("DequantizeLinear", [f"{name}_oq", *step], [name]),
        ]
    graph = helper.make_graph(
        nodes,
        "saturation",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in KINDS],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def test_the_packaged_graph_is_this_one() -> None:
    assert onnx.load_from_string(saturation_model()) == onnx.load_from_string(built())


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_processor_with_dot_products_is_exact(backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="pip install openvino")
    if not DOT_PRODUCT & set(processor_features()):
        pytest.skip("this processor has no 8-bit dot products")
    check_int8(backend)


def test_a_processor_without_them_is_refused() -> None:
    """oneDNN, which OpenVINO computes with, leaves out instructions on request: then its sums are cut off."""
    pytest.importorskip("openvino", reason="pip install openvino")
    if "avx2" not in processor_features():
        pytest.skip("instructions can be left out on x86-64 with AVX2 alone")
    code = (
        "from edge_sacro.engine.saturation import check_int8\n"
        "from edge_sacro.errors import Int8Inexact\n"
        "try: check_int8('openvino')\n"
        "except Int8Inexact as error: print(error)\n"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert "openvino: a sum of " in found.stdout
    assert "[int8_inexact] Use --precision fp32 or fp16" in found.stdout


@pytest.mark.heavy
@pytest.mark.parametrize(("left_out", "refused"), [({"ONEDNN_MAX_CPU_ISA": "AVX2"}, True), ({}, False)])
def test_a_stores_int8_engine_is_held_to_it_when_it_qualifies(
    tmp_path: Path, left_out: dict[str, str], refused: bool
) -> None:
    """Golden inputs alone need not find it; nobody asks again when the engine serves."""
    pytest.importorskip("openvino", reason="pip install openvino")
    if not DOT_PRODUCT & set(processor_features()):
        pytest.skip("this processor has no 8-bit dot products to leave out")
    if "avx2" not in processor_features():
        pytest.skip("instructions can be left out on x86-64 with AVX2 alone")
    options = ["--precision=int8", "--profile=x86-cpu-openvino", "--phantoms=0", f"--store={tmp_path}"]
    command = [sys.executable, "-m", "edge_sacro.cli", "engine", "build", *options]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **left_out})
    assert ("[int8_inexact]" in found.stderr, found.returncode == Int8Inexact.exit_code) == (refused, refused)
    assert (list(tmp_path.glob("*.qualified.json")) == []) == refused


class _Cut(Engine):
    """An engine whose sums of pairs are cut off at 16 bits, as ``pmaddubsw`` has it."""

    backend = "cut"

    def _run(self, inputs: Mapping[str, Array], _deadline: float | None) -> dict[str, Array]:
        value = float(inputs["image"].flat[0])
        pair = min(2 * min(max(value, 0), 255) * WEIGHT, 32767)
        signed = min(max(value, -128), 127) * WEIGHT * CHANNELS
        return {
            "u8": np.full(SHAPE, pair * CHANNELS / 2, np.float32),
            "s8": np.full(SHAPE, signed, np.float32),
        }

    def close(self) -> None:
        pass


def _cut(_backend: str, spec: NetworkSpec, _model: bytes, _threads: int) -> Engine:
    return _Cut(spec)


def test_sums_that_are_cut_off_in_16_bits_are_found() -> None:
    assert max(VALUES) == 255
    with pytest.raises(Int8Inexact, match="a sum of u8 products is 262136 and not 518160"):
        check_int8("cut", _cut)
    check_int8("null", open_engine)


def test_only_what_computes_on_this_processor_is_held_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_backend: str) -> None:
        raise Int8Inexact("a sum is wrong")

    monkeypatch.setattr(saturation, "check_int8", refused)
    check_engines([_Cut(SPEC)])  # stands for a GPU's: no backend of the processor has its name
    with pytest.raises(Int8Inexact):
        check_engines([_Cut(SPEC), open_engine("null", SPEC, saturation_model(), 1)])
