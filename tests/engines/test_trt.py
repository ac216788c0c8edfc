"""The TensorRT backend on a made-up GPU: order, copies, memory, graphs, deadlines and threads."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest

from edge_sacro.engine.trt_log import VendorLog
from edge_sacro.errors import (
    BackendFailed,
    BundleContractBroken,
    DeadlineExceeded,
    InternalError,
)
from tests.engines.fake_runtime import SHAPE
from tests.engines.fake_trt import VERSIONS, members
from tests.engines.gpu_place import RTX, Workplace, check, inputs


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Workplace:
    return Workplace(monkeypatch)


@pytest.mark.parametrize("integrated", [False, True], ids=["copied", "mapped"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_runs_with_the_members_that_it_has_and_gives_all_back(
    place: Workplace, version: str, integrated: bool
) -> None:
    place.install(version, integrated=integrated)
    engine = place.open()
    for seed in (1.0, 2.0, -7.0):
        check(engine.run(inputs(seed)), inputs(seed))
    assert engine.backend == version.split(maxsplit=1)[0]
    assert engine.vendor_version == VERSIONS[version]
    assert place.trt.touched
    assert all(name in members(version, kind) for kind, name in place.trt.touched)
    assert place.trt.set_values("engine_host_code_allowed") == [True], "plans for several versions hold code"
    assert [stream.flags for stream in place.gpu.streams.values()] == [1], "apart from the default stream"
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
    engine.run(inputs())
    assert place.gpu.calls == ["push", "htod", "htod", "graph_launch", "dtoh", "dtoh", "synchronize"]
    assert engine.state() == {"gpu": "made-up GPU 8.7", "memory": "copied", "launch": "graph"}
    engine.close()


def test_a_gpu_that_shares_the_hosts_memory_copies_nothing(place: Workplace) -> None:
    place.install(integrated=True)
    engine = place.open()
    place.gpu.calls.clear()
    check(engine.run(inputs()), inputs())
    assert place.gpu.calls == ["push", "graph_launch", "synchronize"]
    assert engine.state()["memory"] == "mapped"
    assert place.gpu.live["device memory"] == 0
    engine.close()


def test_nothing_is_allocated_once_the_engine_is_open(place: Workplace) -> None:
    engine = place.open()
    before = Counter(place.gpu.live)
    made = place.gpu._number
    for seed in range(20):
        engine.run(inputs(seed))
    with engine.in_place() as lent:
        lent.run()
    assert (place.gpu.live, place.gpu._number) == (before, made)
    assert place.gpu.count("mem_alloc") == place.gpu.count("pagelocked_empty") == 4
    engine.close()


def test_results_are_copies_and_no_views_of_memory_that_is_used_again(place: Workplace) -> None:
    engine = place.open()
    first = engine.run(inputs(1.0))
    kept = {name: array.copy() for name, array in first.items()}
    engine.run(inputs(50.0))
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
    check(engine.run(inputs(3.0)), inputs(3.0))
    assert "graph_launch" not in place.gpu.calls
    engine.close()
    assert place.left() == {}


def test_an_answer_that_is_not_finite_is_an_error(place: Workplace) -> None:
    engine = place.open()
    place.trt.running.value = float("nan")
    with pytest.raises(BackendFailed, match="'first' holds values that are not finite"):
        engine.run(inputs())
    with pytest.raises(BackendFailed, match="not finite"), engine.in_place() as lent:
        lent.run()
    engine.close()


def test_a_deadline_ends_the_wait_and_the_next_run_waits_for_the_memory(place: Workplace) -> None:
    engine = place.open()
    place.gpu.busy = None
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="the GPU had not ended at the deadline"):
        engine.run(inputs(1.0), deadline=begun + 0.05)
    assert 0.05 <= time.monotonic() - begun < 5
    place.gpu.calls.clear()
    with pytest.raises(DeadlineExceeded):
        engine.run(inputs(2.0), deadline=time.monotonic() + 0.02)
    assert "htod" not in place.gpu.calls, "the memory still belongs to the run before"
    place.gpu.busy = 3
    check(engine.run(inputs(9.0), deadline=time.monotonic() + 60), inputs(9.0))
    with pytest.raises(DeadlineExceeded):
        engine.run(inputs(), deadline=time.monotonic() - 1)
    place.gpu.busy = None
    with pytest.raises(DeadlineExceeded):
        engine.run(inputs(), deadline=time.monotonic() + 0.01)
    engine.close()
    assert place.left() == {}, "closing waits for what is under way"


def test_who_waits_for_another_thread_has_a_deadline_too(place: Workplace) -> None:
    engine = place.open()
    found: list[Exception] = []

    def late() -> None:
        try:
            engine.run(inputs(), deadline=time.monotonic() + 0.05)
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
            given = inputs(100.0 * number + turn)
            if not np.array_equal(engine.run(given)["first"], given["image"] + given["more"]):
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
        engine.run(inputs())


def test_a_run_inside_a_block_that_has_the_engine_is_refused_and_waits_for_nothing(place: Workplace) -> None:
    engine = place.open()
    with engine.in_place() as lent:
        with pytest.raises(InternalError, match="has the engine in place already"):
            engine.run(inputs())
        with pytest.raises(InternalError, match="has the engine in place"):
            engine.close()
        lent.run()
    check(engine.run(inputs()), inputs())
    engine.close()


def test_the_stand_in_refuses_what_a_version_has_not(place: Workplace) -> None:
    """The control of the members that every version is held to."""
    runtime = place.trt.Runtime(VendorLog(place.trt).logger)
    with pytest.raises(AttributeError, match=r"Runtime of tensorrt 10\.3 has no get_engine_validity"):
        runtime.get_engine_validity(b"plan")
    with pytest.raises(AttributeError, match="CudaGraphStrategy"):
        _ = place.trt.CudaGraphStrategy
    assert "get_engine_validity" in members(RTX, "Runtime")


@pytest.mark.parametrize("integrated", [False, True], ids=["copied", "mapped"])
def test_a_kernel_writes_an_input_in_place_on_a_stream_of_its_own(place: Workplace, integrated: bool) -> None:
    place.install(integrated=integrated)
    engine = place.open()
    given = inputs(20.0)
    engine.run(inputs(0.0))
    place.gpu.current += 1
    stream = place.gpu.driver.Stream()
    place.gpu.current -= 1
    with engine.in_place() as lent:
        for name, values in given.items():
            where = lent.device_input(name)
            assert (where.shape, where.dtype) == (SHAPE, np.dtype(np.float32))
            memory = place.gpu.memory[where.address].view(np.float32).reshape(SHAPE)
            place.gpu.streams[stream.handle].queue(lambda m=memory, v=values: m.__setitem__(..., v))
        check(lent.run(stream.handle), given)
        place.gpu.calls.clear()
        check(lent.run(), given)
        assert "htod" not in place.gpu.calls
    with pytest.raises(InternalError, match="not this block's any more"):
        lent.run()
    with pytest.raises(InternalError):
        lent.device_input("image")
    engine.close()


def test_an_input_is_copied_from_where_a_kernel_left_it(place: Workplace) -> None:
    engine = place.open()
    given = inputs(30.0)
    place.gpu.current += 1
    stream, kept = place.gpu.driver.Stream(), place.gpu.driver.mem_alloc(24)
    place.gpu.current -= 1
    memory = place.gpu.memory[int(kept)].view(np.float32).reshape(SHAPE)
    with engine.in_place() as lent:
        lent.run()
        place.gpu.streams[stream.handle].queue(lambda: memory.__setitem__(..., given["image"]))
        outputs = lent.run(stream.handle, copies={"image": int(kept)})
        np.testing.assert_array_equal(outputs["first"], given["image"])
        with pytest.raises(BundleContractBroken, match="there is no input 'mask'"):
            lent.run(copies={"mask": int(kept)})
        with pytest.raises(DeadlineExceeded):
            lent.run(deadline=time.monotonic() - 1)
    engine.close()
