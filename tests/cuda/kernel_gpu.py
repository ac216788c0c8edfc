"""The made-up GPU of ``tests/engines`` with the kernels on it: all that a runtime with TensorRT's engines calls.

Kernels, copies and the vendor's runs stand in the queues of their streams until something waits for them; memory is the
host's, and every allocation is counted.
"""

from __future__ import annotations

import ctypes
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.bundle import Bundle
from edge_sacro.engine import NetworkSpec, trt_build, trt_driver
from edge_sacro.engine.trt import TensorRtEngine, TensorRtRtxEngine
from edge_sacro.runtime import Runtime
from tests.cuda.onnx_plans import FIRST, OnnxRuntimes
from tests.engines.fake_gpu import FakeGpu, _bytes, _Pages

ALLOCATIONS = ("mem_alloc", "pagelocked_empty", "Stream", "Event", "event_create", "instantiate")
"""Calls by which something is made that takes memory."""


class KernelGpu(FakeGpu):
    """One device on which the kernels of a library run.

    Attributes:
        launched: names of kernels, in the order in which they were queued.
    """

    def __init__(self, library: Path, *, integrated: bool = False) -> None:
        super().__init__(integrated=integrated)
        self.kernels = ctypes.CDLL(str(library))
        self.launched: list[str] = []
        given = self.driver
        given.get_driver_version = lambda: 13000
        given.module_from_buffer = lambda _: _Module(self)
        given.Event = lambda: _Event(self)
        given.memset_d8_async = self._memset
        given.pagelocked_empty = self._pages

    def allocated_so_far(self) -> int:
        """How often anything was made that takes memory."""
        return sum(self.count(name) for name in ALLOCATIONS)

    def _memset(self, to: int, value: int, nbytes: int, stream: Any) -> None:
        self.call("memset")
        memory = _bytes(self, int(to), nbytes)
        self.streams[stream.handle].queue(lambda: memory.__setitem__(slice(None), value))

    def _pages(self, shape: Any, dtype: Any, mem_flags: int = 0) -> Any:
        self.call("pagelocked_empty")
        return np.asarray(_DyingPages(self, shape, dtype, mem_flags))


class _DyingPages(_Pages):
    """Page-locked memory that is given back with its last reference, as pycuda's, or before."""

    def __init__(self, gpu: FakeGpu, shape: Any, dtype: Any, flags: int) -> None:
        super().__init__(gpu, shape, dtype, flags)
        self._freed = False

    def free(self) -> None:
        self._freed = True
        super().free()

    def __del__(self) -> None:
        if not self._freed:
            self._gpu.live["page-locked memory"] -= 1


class _Event:
    def __init__(self, gpu: KernelGpu) -> None:
        gpu.call("Event")
        gpu.live["event"] += 1
        self._gpu, self._stream, self._until = gpu, 0, 0

    def record(self, stream: Any) -> None:
        self._gpu.call("record")
        self._stream, self._until = stream.handle, len(self._gpu.streams[stream.handle].work)

    def synchronize(self) -> None:
        self._gpu.call("event_synchronize")
        if self._stream:
            self._gpu.streams[self._stream].drain(self._until)

    def __del__(self) -> None:
        self._gpu.live["event"] -= 1


class _Module:
    def __init__(self, gpu: KernelGpu) -> None:
        self._gpu = gpu

    def get_function(self, name: str) -> Callable[..., None]:
        gpu, launch = self._gpu, self._gpu.kernels[f"launch_{name}"]

        def call(packed: Any, *, grid: Any, block: Any, stream: Any) -> None:
            gpu.call("launch_kernel")
            gpu.launched.append(name)
            shape, arguments = ctypes.c_uint * 3, packed.tobytes() + bytes(64)  # the emulation copies whole structures

            def run() -> None:
                assert launch(arguments, shape(*grid), shape(*block), 0) == 0

            gpu.streams[stream.handle].queue(run)

        return call


class Workplace:
    """A made-up GPU with kernels and a vendor's module whose plans are ONNX files, installed."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, library: Path, *, integrated: bool = False, version: str = FIRST
    ) -> None:
        gpu = self.gpu = KernelGpu(library, integrated=integrated)
        self.trt = OnnxRuntimes(lambda stream, step: gpu.streams[stream].queue(step), version)
        package = types.ModuleType("pycuda")
        package.driver = gpu.driver  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pycuda", package)
        monkeypatch.setitem(sys.modules, "pycuda.driver", gpu.driver)
        monkeypatch.setattr(trt_driver, "opened_library", lambda: gpu.library)
        monkeypatch.setattr(trt_build, "vendor_from_builder", lambda _: self.trt)


def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> TensorRtEngine:
    """Opens an ONNX file as if it were a plan."""
    kinds = {"tensorrt": TensorRtEngine, "tensorrt-rtx": TensorRtRtxEngine}
    return kinds[backend](spec, model, threads)


def on_gpu(bundle: Bundle | Path, backend: str = "tensorrt", **options: Any) -> Runtime:
    """A runtime on the engines of the made-up GPU."""
    return Runtime(bundle, backend=backend, opener=opener, threads=1, **options)
