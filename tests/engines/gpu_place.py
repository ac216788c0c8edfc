"""A made-up GPU with a made-up vendor, installed for a test, and what its network must answer."""

from __future__ import annotations

import gc
import sys
import types
from typing import Any

import numpy as np
import pytest

from edge_sacro.engine import NetworkSpec, trt_build, trt_driver
from edge_sacro.engine.base import Array
from edge_sacro.engine.trt import TensorRtEngine, TensorRtRtxEngine
from tests.engines.fake_gpu import FakeGpu
from tests.engines.fake_runtime import SHAPE, SPEC, FakeRuntimes

RTX = "tensorrt-rtx 1.7"


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


def inputs(seed: float = 1.0) -> dict[str, Array]:
    image = np.arange(6, dtype=np.float32).reshape(SHAPE) + np.float32(seed)
    return {"image": image, "more": image * 10}


def check(outputs: dict[str, Array], inputs: dict[str, Array]) -> None:
    np.testing.assert_array_equal(outputs["first"], inputs["image"] + inputs["more"])
    np.testing.assert_array_equal(outputs["second"], -outputs["first"])
