"""A runtime on TensorRT's engines where the GPU fails, is late, or is not one for the kernels."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.bundle import Bundle
from edge_sacro.cuda import inputs
from edge_sacro.cuda.inputs import InPlaceInput
from edge_sacro.engine import Engine
from edge_sacro.errors import BackendFailed, BackendUnavailable, BundleContractBroken, UsageError
from edge_sacro.types import State
from tests.cuda.kernel_gpu import Workplace, on_gpu
from tests.cuda.kinds import answer, on_host


@pytest.mark.parametrize("call", ["launch_kernel", "htod", "memset", "graph_launch", "synchronize", "event_record"])
def test_a_gpu_that_fails_is_an_error_and_never_the_hosts_turn(
    place: Workplace, anatomy: Bundle, images: list[Path], call: str
) -> None:
    runtime = on_gpu(anatomy)
    kind = place.gpu.driver.LogicError
    place.gpu.fails[call] = 1 if call in {"graph_launch", "event_record"} else kind("told to fail")
    with pytest.raises(BackendFailed, match="told to fail"):
        runtime.infer(images[0])
    place.gpu.fails.clear()
    assert answer(runtime.infer(images[0])) == on_host(anatomy, images[0])[0]
    runtime.close()


def test_a_gpu_that_does_not_take_the_kernels_is_told_before_the_first_image(
    place: Workplace, anatomy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place.gpu.driver, "get_driver_version", lambda: 12020)
    with pytest.raises(BackendUnavailable, match=r"the driver has CUDA 12\.2"):
        on_gpu(anatomy)


def test_a_gpu_that_does_not_end_in_time_leaves_no_kernel_under_way(
    place: Workplace, anatomy: Bundle, images: list[Path]
) -> None:
    with on_gpu(anatomy, deadline_s=0.5) as runtime:
        runtime.infer(images[0])
        place.gpu.busy = None
        found = runtime.infer(images[1])
        assert (found.state, found.reason_code) == (State.NOT_ASSESSABLE, "deadline_exceeded")
        assert found.timings_ms["total"] >= 400
        place.gpu.busy = 0
        runtime.deadline_s = None
        assert answer(runtime.infer(images[2])) == on_host(anatomy, images[2])[0]


def test_a_deadline_between_kernel_and_run_lets_the_kernel_end_first(
    place: Workplace, anatomy: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would write into an engine that another thread has by then."""
    fill = InPlaceInput._fill

    def slowly(self: InPlaceInput, given: Any, engine: Engine) -> None:
        fill(self, given, engine)
        time.sleep(0.6)

    monkeypatch.setattr(inputs.InPlaceInput, "_fill", slowly)
    with on_gpu(anatomy, deadline_s=0.5) as runtime:
        assert runtime.infer(images[0]).reason_code == "deadline_exceeded"
        assert "segmenter_windows" in place.gpu.launched
        assert [len(stream.work) - stream.done for stream in place.gpu.streams.values()] == [0, 0, 0]


def test_threads_wait_for_the_gpu_no_longer_than_their_deadline(
    place: Workplace, anatomy: Bundle, images: list[Path]
) -> None:
    with on_gpu(anatomy, deadline_s=0.3) as runtime, runtime._assessor._lock:
        found = runtime.infer(images[0])
    assert (found.state, found.reason_code) == (State.NOT_ASSESSABLE, "deadline_exceeded")


def test_an_input_of_another_shape_is_refused(
    place: Workplace, anatomy: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = InPlaceInput.run

    def other_way(self: InPlaceInput, engine: Engine, deadline: float | None) -> dict[str, Any]:
        write = self.write

        def turned(memory: Any) -> Any:
            made = write(memory)
            return replace(made, shape=(*made.shape[:2], made.shape[3] * 2, made.shape[2] // 2))

        return run(replace(self, write=turned), engine, deadline)

    monkeypatch.setattr(InPlaceInput, "run", other_way)
    with on_gpu(anatomy) as runtime, pytest.raises(BundleContractBroken, match="the kernels wrote"):
        runtime.infer(images[0])


def test_a_closed_runtime_opens_no_gpu_again(place: Workplace, anatomy: Bundle, images: list[Path]) -> None:
    runtime = on_gpu(anatomy)
    runtime.close()
    runtime.close()
    with pytest.raises(UsageError, match="closed"):
        runtime.infer(images[0])
