"""A stand-in for the vendor's module whose plans are ONNX files, computed by ONNX Runtime in the memory it is told of.

What it reads is what stands at the input's address when its turn comes on the stream: whoever writes there late, or
another's values, sees it in the outputs.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from tests.engines.fake_runtime import FakeRuntimes, Queue, _Context, _Engine, _Runtime
from tests.engines.fake_trt import _Member, members

FIRST = "tensorrt 10.3"
"""The version that a test has unless it says otherwise."""


class OnnxRuntimes(FakeRuntimes):
    """The module of one version of TensorRT or TensorRT-RTX.

    Attributes:
        seen: what each run has read, by the address it read it at, in order.
    """

    def __init__(self, queue: Queue, name: str = FIRST) -> None:
        super().__init__(name, queue)
        self.seen: list[tuple[int, npt.NDArray[np.float32]]] = []

    def __getattr__(self, kind: str) -> Any:
        if kind == "Runtime" and members(self.name, kind):
            return lambda logger: _OnnxRuntime(self, logger)
        return super().__getattr__(kind)


class _OnnxRuntime(_Runtime):
    def do_get_engine_validity(self, header: bytes) -> tuple[Any, int]:
        assert len(header) == 4
        return _Member("EngineValidity", "VALID"), 0

    def do_deserialize_cuda_engine(self, plan: bytes) -> Any:
        return _OnnxEngine(self.trt, self.logger, _opened(plan))


class _OnnxEngine(_Engine):
    def __init__(self, trt: FakeRuntimes, logger: Any, session: onnxruntime.InferenceSession) -> None:
        super().__init__(trt, logger)
        inputs, outputs = (
            {each.name: tuple(each.shape) for each in each_side}
            for each_side in (session.get_inputs(), session.get_outputs())
        )
        self.__dict__.update(session=session, inputs=inputs, shapes={**outputs, **inputs})

    def is_a_num_io_tensors(self) -> int:
        return len(self.shapes)

    def do_get_tensor_name(self, index: int) -> str:
        return list(self.shapes)[index]

    def do_get_tensor_mode(self, name: str) -> Any:
        return _Member("TensorIOMode", "INPUT" if name in self.inputs else "OUTPUT")

    def do_get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.shapes[name])

    def do_create_execution_context(self, *config: Any) -> Any:
        assert len(config) == self.trt.name.startswith("tensorrt-rtx")
        return _OnnxContext(self.trt, self.logger, self)


class _OnnxContext(_Context):
    def __init__(self, trt: FakeRuntimes, logger: Any, engine: _OnnxEngine) -> None:
        super().__init__(trt, logger)
        self.__dict__["engine"] = engine

    def do_get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.engine.shapes[name])

    def do_execute_async_v3(self, stream: int) -> bool:
        trt, session, inputs, shapes = self.trt, self.engine.session, self.engine.inputs, self.engine.shapes
        addresses = dict(self.addresses)
        assert set(addresses) == set(shapes)

        def run() -> None:
            given = {name: _floats(addresses[name], shape) for name, shape in inputs.items()}
            trt.seen.extend((addresses[name], values.copy()) for name, values in given.items())
            names = [name for name in shapes if name not in inputs]
            for name, values in zip(names, session.run(names, given), strict=True):
                _floats(addresses[name], shapes[name])[...] = values

        trt.queue(stream, run)
        return True


def _opened(plan: bytes) -> onnxruntime.InferenceSession:
    """As the runtime's own ONNX Runtime backend opens it, so that the same input gives the same bits."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(plan, options, providers=["CPUExecutionProvider"])


def _floats(address: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return np.ctypeslib.as_array((ctypes.c_float * int(np.prod(shape))).from_address(address)).reshape(shape)
