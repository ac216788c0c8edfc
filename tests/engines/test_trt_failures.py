"""What the TensorRT backend makes of every failure of the driver and of the vendor, on a made-up GPU."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from edge_sacro.engine import NetworkSpec, TensorSpec, trt_build
from edge_sacro.engine.compiled import open_compiled
from edge_sacro.errors import (
    BackendFailed,
    BackendUnavailable,
    BundleContractBroken,
    EdgeSacroError,
    EngineStale,
)
from tests.engines import fake_gpu
from tests.engines.fake_runtime import DIAGNOSTICS, SPEC
from tests.engines.gpu_place import RTX, Workplace, check, inputs


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Workplace:
    return Workplace(monkeypatch)


def test_a_failure_of_the_driver_in_a_capture_is_no_refusal(place: Workplace) -> None:
    place.gpu.fails["instantiate"] = 2
    with pytest.raises(BackendFailed, match="cuGraphInstantiateWithFlags: status 2: told to fail"):
        place.open()
    assert place.left() == {}


@pytest.mark.parametrize(
    "call",
    ["retain", "Stream", "mem_alloc", "pagelocked_empty", "htod", "synchronize", "event_create", "graph_launch"],
)
def test_every_status_while_opening_is_an_error_and_leaves_nothing(place: Workplace, call: str) -> None:
    raw = call in {"event_create", "graph_launch"}
    place.gpu.fails[call] = 719 if raw else fake_gpu.MemoryError("cuMem: out of memory")
    with pytest.raises(BackendFailed, match="told to fail" if raw else "out of memory") as caught:
        place.open()
    assert caught.value.source == "classifier"
    assert caught.value.remedy
    del caught
    assert place.left() == {}


@pytest.mark.parametrize("call", ["htod", "dtoh", "graph_launch", "synchronize", "push"])
def test_every_status_of_a_run_is_an_error_and_the_next_run_is_right(place: Workplace, call: str) -> None:
    engine = place.open()
    place.gpu.fails[call] = 719 if call == "graph_launch" else fake_gpu.LaunchError("launch failed")
    with pytest.raises(BackendFailed, match=r"running the engine on made-up GPU 8\.7: ") as caught:
        engine.run(inputs())
    assert caught.value.remedy
    place.gpu.fails.clear()
    check(engine.run(inputs(4.0)), inputs(4.0))
    engine.close()
    assert place.left() == {}


@pytest.mark.parametrize("call", ["synchronize", "mem_free", "free_host", "event_destroy", "destroy executable graph"])
def test_a_close_that_fails_says_so_and_gives_back_what_it_can(place: Workplace, call: str) -> None:
    engine = place.open()
    raw = call in {"event_destroy", "destroy executable graph"}
    place.gpu.fails[call] = 719 if raw else fake_gpu.LogicError("context is lost")
    with pytest.raises(BackendFailed, match="closing the engine"):
        engine.close()
    freed = {"mem_free": "device memory", "free_host": "page-locked memory"}
    assert set(place.left()) <= {freed.get(call, "nothing")}
    engine.close()


@pytest.mark.parametrize("call", ["init", "Device"])
def test_without_a_gpu_the_backend_is_unavailable(place: Workplace, call: str) -> None:
    place.gpu.fails[call] = fake_gpu.LogicError("no CUDA-capable device is detected")
    with pytest.raises(BackendUnavailable, match="there is no CUDA device: no CUDA-capable device"):
        place.open()
    assert place.left() == {}


def test_without_pycuda_the_error_names_the_extra(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(BackendUnavailable, match="pycuda cannot be used") as caught:
        place.open()
    assert "tensorrt" in caught.value.remedy


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ModuleNotFoundError("no", name="tensorrt"), BackendUnavailable, "need the package 'tensorrt'"),
        (ImportError("libnvdla_compiler.so: cannot open"), BackendUnavailable, "cannot be loaded: libnvdla_compiler"),
    ],
)
def test_without_the_vendors_libraries_the_backend_is_unavailable(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[EdgeSacroError], message: str
) -> None:
    def absent(_: str) -> None:
        raise error

    monkeypatch.setattr(trt_build, "vendor_from_builder", absent)
    with pytest.raises(kind, match=message):
        open_compiled("tensorrt", SPEC, b"plan", 1)
    assert place.left() == {}


@pytest.mark.parametrize(
    ("running", "message"),
    [
        ({"refuses": frozenset({"deserialize_cuda_engine"})}, "opening the plan failed .deserialize_cuda_engine told"),
        ({"refuses": frozenset({"create_execution_context"})}, "making a context failed .create_execution_context"),
        ({"refuses": frozenset({"set_tensor_address"})}, "placing image failed"),
        ({"refuses": frozenset({"execute_async_v3"})}, "queueing a run failed .execute_async_v3 told to fail"),
        ({"raises": {"deserialize_cuda_engine": RuntimeError("bad plan")}}, "opening the plan: RuntimeError: bad plan"),
        ({"raises": {"get_tensor_dtype": TypeError("no such tensor")}}, "reading the tensors: TypeError"),
    ],
)
@pytest.mark.parametrize("version", ["tensorrt 10.3", RTX])
def test_every_refusal_of_the_vendor_is_an_error_with_its_own_words(
    place: Workplace, version: str, running: dict[str, Any], message: str
) -> None:
    place.install(version, **running)
    with pytest.raises(BackendFailed, match=message):
        place.open()
    assert place.left() == {}


def test_a_run_that_the_vendor_refuses_is_an_error_and_the_next_one_is_right(place: Workplace) -> None:
    place.install(RTX, refuses=frozenset({"is_stream_capturable"}))
    engine = place.open()
    place.trt.running.refuses = frozenset({"execute_async_v3"})
    with pytest.raises(BackendFailed, match="execute_async_v3 told to fail"):
        engine.run(inputs())
    place.trt.running.refuses = frozenset()
    check(engine.run(inputs()), inputs())
    engine.close()


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        (["UNSUPPORTED_CC"], EngineStale),
        (["OLD_CUDA_DRIVER", "VERSION_MISMATCH"], EngineStale),
        (["MALFORMED_ENGINE"], EngineStale),
        (["OLD_CUDA_DRIVER"], BackendUnavailable),
        (["OLD_CUDA_RUNTIME", "CUDA_ERROR"], BackendUnavailable),
        (["INSUFFICIENT_GPU_MEMORY"], BackendFailed),
        ([], BackendFailed),
    ],
)
def test_a_plan_that_tensorrt_rtx_does_not_run_here_says_why(
    place: Workplace, reasons: list[str], kind: type[EdgeSacroError]
) -> None:
    place.install(RTX, validity="INVALID", diagnostics=sum(DIAGNOSTICS[each] for each in reasons))
    with pytest.raises(kind, match="the plan does not run here: ") as caught:
        place.open()
    assert type(caught.value) is kind
    assert all(reason in str(caught.value) for reason in reasons)
    assert place.left() == {}


def test_a_plan_for_a_like_gpu_runs_and_says_so(place: Workplace) -> None:
    place.install(RTX, validity="SUBOPTIMAL")
    engine = place.open()
    assert engine.state()["validity"] == "SUBOPTIMAL"
    graphs = [repr(value) for value in place.trt.set_values("cuda_graph_strategy")]
    assert graphs == ["CudaGraphStrategy.DISABLED"], "the capture is ours"
    engine.close()


@pytest.mark.parametrize(
    ("running", "message"),
    [
        ({"names": ("image", "more", "first")}, "the contract says"),
        ({"names": ("image", "more", "first", "second", "third")}, "third"),
        ({"shapes": {"first": (1, 3, 2)}}, r"\(1, 3, 2\)"),
        ({"types": {"image": "HALF"}}, "image: type HALF"),
        ({"layouts": {"image": "CHW32"}}, "image: layout CHW32"),
        ({"places": {"second": "HOST"}}, "second: place HOST"),
    ],
)
def test_an_engine_of_other_tensors_than_the_contracts_is_refused(
    place: Workplace, running: dict[str, Any], message: str
) -> None:
    place.install(**running)
    with pytest.raises(BundleContractBroken, match=message):
        place.open()
    assert place.left() == {}


def test_a_batch_that_was_left_open_is_fixed_to_the_contracts(place: Workplace) -> None:
    place.install("tensorrt 10.16", varies=True)
    engine = place.open()
    check(engine.run(inputs()), inputs())
    engine.close()
    wrong = NetworkSpec(SPEC.name, tuple(TensorSpec(s.name, (2, 2, 3)) for s in SPEC.inputs), SPEC.outputs)
    with pytest.raises(BundleContractBroken, match="-1"):
        place.open(wrong)
