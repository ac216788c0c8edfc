"""Run in a process of its own: the TensorRT backend through unmodified pycuda on the stand-in for the driver.

``python -m tests.engines.through_pycuda DRIVER`` loads that library as libcuda and prints one JSON document. The
vendor's module is the one of ``fake_runtime``, whose work stands in the driver's queue.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import threading
import time
from typing import Any

import numpy as np

from edge_sacro.cuda.gpu import open_gpu
from edge_sacro.engine import trt_build
from edge_sacro.engine.base import Array
from edge_sacro.engine.trt import TensorRtEngine
from edge_sacro.errors import DeadlineExceeded, EdgeSacroError
from tests.engines.fake_runtime import SHAPE, SPEC, FakeRuntimes

ERRORS = {
    "cuInit": 100,
    "cuDeviceGet": 101,
    "cuDevicePrimaryCtxRetain": 2,
    "cuCtxPushCurrent_v2": 201,
    "cuStreamCreate": 2,
    "cuMemAlloc_v2": 2,
    "cuMemHostAlloc": 2,
    "cuMemcpyHtoDAsync_v2": 1,
    "cuMemcpyDtoHAsync_v2": 1,
    "cuStreamSynchronize": 700,
    "cuStreamBeginCapture_v2": 1,
    "cuGraphInstantiateWithFlags": 2,
    "cuGraphLaunch": 719,
}
"""A status of the driver for each call that can fail."""

_STEP = ctypes.CFUNCTYPE(ctypes.c_int)


class Emulated:
    """The stand-in for the driver, and steps of the vendor's that it may still call."""

    def __init__(self, path: str) -> None:
        self.driver = ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
        self._steps: list[Any] = []
        self.trt = FakeRuntimes("tensorrt 10.3", self._queue)

    def _queue(self, stream: int, step: Any) -> None:
        assert stream
        self._steps.append(_STEP(lambda: step() or 0))
        self.driver.fake_queue(self._steps[-1])

    def left(self) -> int:
        """What is not given back: of the driver, its graphs, and the vendor's objects."""
        gc.collect()
        return int(self.driver.fake_live() + self.driver.fake_graphs() + sum(self.trt.live.values()))

    def fail(self, call: str, status: int) -> None:
        self.driver.fake_fail(call.encode(), status)


def inputs(seed: float) -> dict[str, Array]:
    image = np.arange(6, dtype=np.float32).reshape(SHAPE) + np.float32(seed)
    return {"image": image, "more": image * 10}


def right(engine: TensorRtEngine, seed: float, deadline: float | None = None) -> bool:
    """Whether a run gives what the network must."""
    given = inputs(seed)
    found = engine.run(given, deadline=deadline)
    return bool((found["first"] == given["image"] + given["more"]).all() and (found["second"] == -found["first"]).all())


def served(integrated: bool, emulated: Emulated) -> dict[str, Any]:
    """Runs, threads, a deadline, and an input that another stream has made."""
    emulated.driver.fake_integrated(int(integrated))
    depth = emulated.driver.fake_depth()
    engine = TensorRtEngine(SPEC, b"plan", 1)
    before, depths = emulated.left(), [emulated.driver.fake_depth() - depth]
    answer: dict[str, Any] = {"state": engine.state(), "runs": [right(engine, seed) for seed in (1, 2, -5)]}
    found: list[bool] = []
    threads = [threading.Thread(target=lambda n=n: found.append(right(engine, n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    answer["threads"] = found
    answer["in place"] = in_place(engine)
    emulated.driver.fake_busy(1 << 30)
    try:
        engine.run(inputs(0), deadline=time.monotonic() + 0.02)
    except DeadlineExceeded:
        answer["deadline"] = True
    emulated.driver.fake_busy(2)
    answer["after"] = right(engine, 8, time.monotonic() + 30)
    answer["allocated since"] = emulated.left() - before

    def close() -> None:
        engine.close()
        depths.append(emulated.driver.fake_depth())

    closer = threading.Thread(target=close)
    closer.start()
    closer.join(30)
    answer["left"], answer["depths"] = emulated.left(), depths
    return answer


def in_place(engine: TensorRtEngine) -> bool:
    """Whether values count that another part of the package has put on the GPU, on a stream of its own."""
    device = open_gpu()
    given = inputs(77)
    buffer = device.allocate(given["image"].nbytes)
    with engine.in_place() as lent:
        lent.run()
        device.upload(buffer, given["image"])
        lent.run(device.stream, copies={"image": buffer.address})
        device.upload(buffer, given["more"])
        found = lent.run(device.stream, copies={"more": buffer.address})
    device.close()
    return bool((found["first"] == given["image"] + given["more"]).all())


def failure(emulated: Emulated, call: str) -> list[Any]:
    """Code and message of what a call becomes that fails, while opening or in a run, and what is left then."""
    before = emulated.left()
    emulated.fail(call, ERRORS[call])
    try:
        engine = TensorRtEngine(SPEC, b"plan", 1)
        try:
            right(engine, 1)
        finally:
            engine.close()
        told = ["none", ""]
    except EdgeSacroError as error:
        told = [error.code, error.what]
    emulated.fail(call, 0)
    return [*told, emulated.left() - before]


def main(path: str) -> None:
    """Print what every check found."""
    emulated = Emulated(path)
    trt_build.vendor_from_builder = lambda _: emulated.trt
    answer: dict[str, Any] = {
        "copied": served(False, emulated),
        "mapped": served(True, emulated),
    }
    emulated.driver.fake_integrated(0)
    answer["failures"] = {call: failure(emulated, call) for call in ERRORS}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
