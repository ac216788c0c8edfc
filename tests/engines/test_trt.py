"""The TensorRT backend on a made-up GPU: order, copies, memory, graphs, deadlines, threads, and every failure."""

from __future__ import annotations

import gc
import sys
import threading
import time
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge_sacro.engine import NetworkSpec, TensorSpec, trt_build, trt_driver
from edge_sacro.engine.base import Array
from edge_sacro.engine.compiled import open_compiled
from edge_sacro.engine.trt import TensorRtEngine, TensorRtRtxEngine
from edge_sacro.errors import (
    BackendFailed,
    BackendUnavailable,
    BundleContractBroken,
    DeadlineExceeded,
    EdgeSacroError,
    EngineStale,
    InternalError,
)
from tests.engines import fake_gpu
from tests.engines.fake_gpu import FakeGpu
from tests.engines.fake_runtime import DIAGNOSTICS, SHAPE, SPEC, FakeRuntimes
from tests.engines.fake_trt import VERSIONS, members

RTX = "tensorrt-rtx 1.7"
Opened = Callable[..., TensorRtEngine]


class Workplace:
    """A made-up GPU with a vendor's module of one version, installed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.install()

    def install(self, version: str = "tensorrt 10.3", *, integrated: bool = False, **running: Any) -> None:
        self.version, self.gpu = version, FakeGpu(integrated=integrated)
        self.trt = FakeRuntimes(version, lambda stream, step: self.gpu.streams[stream].queue(step), **running)
        package = types.ModuleType("pycuda")
        package.driver = self.gpu.driver  # type: ignore[attr-defined]
        self._monkeypatch.setitem(sys.modules, "pycuda", package)
        self._monkeypatch.setitem(sys.modules, "pycuda.driver", self.gpu.driver)
        self._monkeypatch.setattr(trt_driver, "opened_library", lambda: self.gpu.library)
        self._monkeypatch.setattr(trt_build, "vendor_from_builder", lambda _: self.trt)

    def open(self, spec: NetworkSpec = SPEC) -> TensorRtEngine:
        kind = TensorRtRtxEngine if self.version == RTX else TensorRtEngine
        return kind(spec, b"plan of bytes", 1)

    def left(self) -> dict[str, int]:
        """What is not given back, of the GPU and of the vendor."""
        gc.collect()  # what the frames of errors held
        return {**self.gpu.leaks(), **{name: count for name, count in self.trt.live.items() if count}}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Workplace:
    return Workplace(monkeypatch)


def _inputs(seed: float = 1.0) -> dict[str, Array]:
    image = np.arange(6, dtype=np.float32).reshape(SHAPE) + np.float32(seed)
    return {"image": image, "more": image * 10}


def _check(outputs: dict[str, Array], inputs: dict[str, Array]) -> None:
    np.testing.assert_array_equal(outputs["first"], inputs["image"] + inputs["more"])
    np.testing.assert_array_equal(outputs["second"], -outputs["first"])


@pytest.mark.parametrize("integrated", [False, True], ids=["copied", "mapped"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_runs_with_the_members_that_it_has_and_gives_all_back(
    place: Workplace, version: str, integrated: bool
) -> None:
    place.install(version, integrated=integrated)
    engine = place.open()
    for seed in (1.0, 2.0, -7.0):
        _check(engine.run(_inputs(seed)), _inputs(seed))
    assert engine.backend == version.split(maxsplit=1)[0]
    assert engine.vendor_version == VERSIONS[version]
    assert place.trt.touched
    assert all(name in members(version, kind) for kind, name in place.trt.touched)
    assert place.left() != {}
    engine.close()
    engine.close()
    assert place.left() == {}


def test_the_control_the_stand_ins_find_who_does_not_wait_or_copies_too_much(place: Workplace) -> None:
    driver = place.gpu.driver
    place.gpu.current = 1
    stream, device, host = driver.Stream(), driver.mem_alloc(24), driver.pagelocked_empty(SHAPE, np.float32)
    host[...] = 5
    driver.memcpy_htod_async(device, host, stream)
    host[...] = 6
    driver.memcpy_dtoh_async(host, device, stream)
    assert host[0, 0, 0] == 6, "nothing has happened yet"
    stream.synchronize()
    assert host[0, 0, 0] == 6, "the copy has read what was there when it ran"
    with pytest.raises(AssertionError, match="24 bytes of 8"):
        driver.memcpy_htod_async(driver.mem_alloc(8), host, stream)
    place.gpu.current = 0
    with pytest.raises(AssertionError, match="without a current context"):
        stream.synchronize()
    assert place.gpu.leaks()["device memory"] == 2


def test_a_run_copies_in_launches_the_graph_copies_out_and_waits(place: Workplace) -> None:
    engine = place.open()
    place.gpu.calls.clear()
    engine.run(_inputs())
    assert place.gpu.calls == ["push", "htod", "htod", "graph_launch", "dtoh", "dtoh", "synchronize"]
    assert engine.state() == {"gpu": "made-up GPU 8.7", "memory": "copied", "launch": "graph"}
    engine.close()


def test_a_gpu_that_shares_the_hosts_memory_copies_nothing(place: Workplace) -> None:
    place.install(integrated=True)
    engine = place.open()
    place.gpu.calls.clear()
    _check(engine.run(_inputs()), _inputs())
    assert place.gpu.calls == ["push", "graph_launch", "synchronize"]
    assert engine.state()["memory"] == "mapped"
    assert place.gpu.live["device memory"] == 0
    engine.close()


def test_nothing_is_allocated_once_the_engine_is_open(place: Workplace) -> None:
    engine = place.open()
    before = Counter(place.gpu.live)
    made = place.gpu._number
    for seed in range(20):
        engine.run(_inputs(seed))
    with engine.in_place() as lent:
        lent.run()
    assert (place.gpu.live, place.gpu._number) == (before, made)
    assert place.gpu.count("mem_alloc") == place.gpu.count("pagelocked_empty") == 4
    engine.close()


def test_results_are_copies_and_no_views_of_memory_that_is_used_again(place: Workplace) -> None:
    engine = place.open()
    first = engine.run(_inputs(1.0))
    kept = {name: array.copy() for name, array in first.items()}
    engine.run(_inputs(50.0))
    engine.close()
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])
        assert array.flags.owndata


@pytest.mark.parametrize("how", ["vendor says no", "vendor fails", "driver refuses"])
def test_an_engine_that_no_graph_takes_is_queued_each_time_and_says_so(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    place.install(RTX if how == "vendor says no" else "tensorrt 11.4")
    if how == "vendor says no":
        place.trt.running.refuses = frozenset({"is_stream_capturable"})
    else:
        begin = type(place.gpu.library).cuStreamBeginCapture_v2

        def begins(library: Any, stream: Any, mode: Any) -> int:
            status = int(begin(library, stream, mode))
            place.gpu.streams[stream.value].broken = how == "driver refuses"
            if how == "vendor fails":
                place.trt.running.refuses = frozenset({"execute_async_v3"})
            return status

        end = type(place.gpu.library).cuStreamEndCapture

        def ends(library: Any, stream: Any, graph: Any) -> int:
            place.trt.running.refuses = frozenset()
            return int(end(library, stream, graph))

        monkeypatch.setattr(type(place.gpu.library), "cuStreamBeginCapture_v2", begins)
        monkeypatch.setattr(type(place.gpu.library), "cuStreamEndCapture", ends)
    engine = place.open()
    state = engine.state()
    assert state["launch"] == "enqueue"
    reasons = {
        "vendor says no": "the vendor says that it cannot be captured",
        "vendor fails": "execute_async_v3 told to fail",
        "driver refuses": "operation not permitted when stream is capturing",
    }
    assert reasons[how] in state["no_graph"]
    place.gpu.calls.clear()
    _check(engine.run(_inputs(3.0)), _inputs(3.0))
    assert "graph_launch" not in place.gpu.calls
    engine.close()
    assert place.left() == {}


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
        engine.run(_inputs())
    assert caught.value.remedy
    place.gpu.fails.clear()
    _check(engine.run(_inputs(4.0)), _inputs(4.0))
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
        engine.run(_inputs())
    place.trt.running.refuses = frozenset()
    _check(engine.run(_inputs()), _inputs())
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
    _check(engine.run(_inputs()), _inputs())
    engine.close()
    wrong = NetworkSpec(SPEC.name, tuple(TensorSpec(s.name, (2, 2, 3)) for s in SPEC.inputs), SPEC.outputs)
    with pytest.raises(BundleContractBroken, match="-1"):
        place.open(wrong)


def test_an_answer_that_is_not_finite_is_an_error(place: Workplace) -> None:
    engine = place.open()
    place.trt.running.value = float("nan")
    with pytest.raises(BackendFailed, match="'first' holds values that are not finite"):
        engine.run(_inputs())
    with pytest.raises(BackendFailed, match="not finite"), engine.in_place() as lent:
        lent.run()
    engine.close()


def test_a_deadline_ends_the_wait_and_the_next_run_waits_for_the_memory(place: Workplace) -> None:
    engine = place.open()
    place.gpu.busy = None
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="the GPU had not ended at the deadline"):
        engine.run(_inputs(1.0), deadline=begun + 0.05)
    assert 0.05 <= time.monotonic() - begun < 5
    place.gpu.calls.clear()
    with pytest.raises(DeadlineExceeded):
        engine.run(_inputs(2.0), deadline=time.monotonic() + 0.02)
    assert "htod" not in place.gpu.calls, "the memory still belongs to the run before"
    place.gpu.busy = 3
    _check(engine.run(_inputs(9.0), deadline=time.monotonic() + 60), _inputs(9.0))
    with pytest.raises(DeadlineExceeded):
        engine.run(_inputs(), deadline=time.monotonic() - 1)
    place.gpu.busy = None
    with pytest.raises(DeadlineExceeded):
        engine.run(_inputs(), deadline=time.monotonic() + 0.01)
    engine.close()
    assert place.left() == {}, "closing waits for what is under way"


def test_who_waits_for_another_thread_has_a_deadline_too(place: Workplace) -> None:
    engine = place.open()
    found: list[Exception] = []

    def late() -> None:
        try:
            engine.run(_inputs(), deadline=time.monotonic() + 0.05)
        except DeadlineExceeded as error:
            found.append(error)

    with engine.in_place():
        thread = threading.Thread(target=late)
        thread.start()
        thread.join(10)
    assert "other threads had the engine" in str(found[0])
    engine.close()


def test_several_threads_each_get_their_own_answer(place: Workplace) -> None:
    engine = place.open()
    wrong: list[float] = []

    def work(number: int) -> None:
        for turn in range(25):
            inputs = _inputs(100.0 * number + turn)
            if not np.array_equal(engine.run(inputs)["first"], inputs["image"] + inputs["more"]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    closer = threading.Thread(target=engine.close)
    closer.start()
    closer.join(10)
    assert place.left() == {}
    with pytest.raises(InternalError, match="the engine is closed"):
        engine.run(_inputs())


@pytest.mark.parametrize("integrated", [False, True], ids=["copied", "mapped"])
def test_a_kernel_writes_an_input_in_place_on_a_stream_of_its_own(place: Workplace, integrated: bool) -> None:
    place.install(integrated=integrated)
    engine = place.open()
    inputs = _inputs(20.0)
    engine.run(_inputs(0.0))
    place.gpu.current += 1
    stream = place.gpu.driver.Stream()
    place.gpu.current -= 1
    with engine.in_place() as lent:
        for name, values in inputs.items():
            where = lent.device_input(name)
            assert (where.shape, where.dtype) == (SHAPE, np.dtype(np.float32))
            memory = place.gpu.memory[where.address].view(np.float32).reshape(SHAPE)
            place.gpu.streams[stream.handle].queue(lambda m=memory, v=values: m.__setitem__(..., v))
        _check(lent.run(stream.handle), inputs)
        place.gpu.calls.clear()
        _check(lent.run(), inputs)
        assert "htod" not in place.gpu.calls
    with pytest.raises(InternalError, match="not this block's any more"):
        lent.run()
    with pytest.raises(InternalError):
        lent.device_input("image")
    engine.close()


def test_an_input_is_copied_from_where_a_kernel_left_it(place: Workplace) -> None:
    engine = place.open()
    inputs = _inputs(30.0)
    place.gpu.current += 1
    stream, kept = place.gpu.driver.Stream(), place.gpu.driver.mem_alloc(24)
    place.gpu.current -= 1
    memory = place.gpu.memory[int(kept)].view(np.float32).reshape(SHAPE)
    with engine.in_place() as lent:
        lent.run()
        place.gpu.streams[stream.handle].queue(lambda: memory.__setitem__(..., inputs["image"]))
        outputs = lent.run(stream.handle, copies={"image": int(kept)})
        np.testing.assert_array_equal(outputs["first"], inputs["image"])
        with pytest.raises(BundleContractBroken, match="there is no input 'mask'"):
            lent.run(copies={"mask": int(kept)})
        with pytest.raises(DeadlineExceeded):
            lent.run(deadline=time.monotonic() - 1)
    engine.close()
