"""The real TensorRT-RTX opens plans as far as it does with no GPU, and the backend tells what it says."""

from __future__ import annotations

import ctypes

import pytest

from edge_sacro.engine.build import engine_from_onnx
from edge_sacro.engine.profiles import PROFILES
from edge_sacro.engine.trt import TensorRtRtxEngine
from edge_sacro.engine.trt_build import PlanOrder
from edge_sacro.engine.trt_plan import ERROR_FROM_DIAGNOSTIC, OpenedPlan
from edge_sacro.errors import BackendFailed, BackendUnavailable, EngineStale
from tests.engines.graphs import residual, spec

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")


@pytest.fixture(scope="module")
def plan() -> bytes:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return engine_from_onnx(PlanOrder("tiny", residual("fp16")[1], "fp16", PROFILES["rtx-any"])).engine
    pytest.skip("this machine has a CUDA driver; tests/gpu runs the engines")


def test_a_plan_without_a_driver_is_refused_in_the_vendors_words(plan: bytes) -> None:
    with pytest.raises(BackendFailed, match=r"the plan does not run here: diagnostics 0 \(.*cudaError 35"):
        OpenedPlan("tensorrt-rtx", plan, "tiny")


def test_bytes_that_are_no_plan_are_stale(plan: bytes) -> None:
    with pytest.raises(EngineStale, match="MALFORMED_ENGINE"):
        OpenedPlan("tensorrt-rtx", b"no plan" + plan, "tiny")
    with pytest.raises(EngineStale, match="MALFORMED_ENGINE"):
        OpenedPlan("tensorrt-rtx", b"", "tiny")


def test_the_vendors_none_is_an_error_with_what_it_logged(plan: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenedPlan, "_check_validity", lambda _, __: None)
    with pytest.raises(BackendFailed, match=r"opening the plan failed \(.*cudaError 35"):
        OpenedPlan("tensorrt-rtx", plan, "tiny")


def test_the_engine_itself_is_refused_for_want_of_a_gpu(plan: bytes) -> None:
    with pytest.raises(BackendUnavailable, match=r"pycuda cannot be used|there is no CUDA device"):
        TensorRtRtxEngine(spec(residual("fp16")[1]), plan, 1)


def test_every_diagnostic_that_the_vendor_knows_is_mapped() -> None:
    assert set(trt.EngineInvalidityDiagnostics.__members__) == set(ERROR_FROM_DIAGNOSTIC)
    values = [int(value) for value in trt.EngineInvalidityDiagnostics.__members__.values()]
    assert sorted(values) == [1 << bit for bit in range(len(values))], "they are bits of one number"
