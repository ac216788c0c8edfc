"""A stand-in for the vendor's module that opens and runs plans: one version's members, and nothing else.

A plan's network here is ``first = sum of the inputs`` and ``second = -first``. It reads and writes the memory that it
is told of when its turn comes on the stream.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.engine.base import NetworkSpec, TensorSpec
from tests.engines.fake_trt import FakeTrt, Severity, _Enumeration, _Member, members

SHAPE = (1, 2, 3)
SPEC = NetworkSpec(
    "classifier",
    (TensorSpec("image", SHAPE), TensorSpec("more", SHAPE)),
    (TensorSpec("first", SHAPE), TensorSpec("second", SHAPE)),
)
Queue = Callable[[int, Callable[[], None]], None]
DIAGNOSTICS = {
    "VERSION_MISMATCH": 1,
    "UNSUPPORTED_CC": 2,
    "OLD_CUDA_DRIVER": 4,
    "OLD_CUDA_RUNTIME": 8,
    "INSUFFICIENT_GPU_MEMORY": 16,
    "MALFORMED_ENGINE": 32,
    "CUDA_ERROR": 64,
}


@dataclass
class Running:
    """What the stand-in does.

    Attributes:
        names: of its tensors, in its own order; ``shapes`` are those of its inputs and outputs.
        types, layouts, places: of a tensor, where they are not the usual ones.
        refuses: methods that answer None, or False where they answer yes or no.
        raises: methods that raise.
        validity, diagnostics: what TensorRT-RTX says of the plan.
        varies: whether the first axis is free until it is set.
        value: that outputs are multiplied by.
    """

    names: tuple[str, ...] = ("more", "image", "second", "first")
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    layouts: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    raises: dict[str, Exception] = field(default_factory=dict)
    validity: str = "VALID"
    diagnostics: int = 0
    varies: bool = False
    value: float = 1.0


class FakeRuntimes(FakeTrt):
    """The module of one version, of which plans can be opened."""

    def __init__(self, name: str, queue: Queue, **running: Any) -> None:
        super().__init__(name)
        self.queue, self.running = queue, Running(**running)
        self.live: Counter[str] = Counter()

    def __getattr__(self, kind: str) -> Any:
        if kind == "Runtime" and members(self.name, kind):
            return lambda logger: _Runtime(self, logger)
        found = super().__getattr__(kind)
        return _Bits(self, kind) if kind == "EngineInvalidityDiagnostics" else found


class _Bits(_Enumeration):
    def __getattr__(self, name: str) -> Any:
        super().__getattr__(name)
        return DIAGNOSTICS[name]


class _Vendors:
    """An object of the vendor's: the members that its class has in this version, and what they do."""

    kind = ""

    def __init__(self, trt: FakeRuntimes, logger: Any) -> None:
        self.__dict__.update(trt=trt, logger=logger)
        trt.live[self.kind] += 1

    def __del__(self) -> None:
        self.trt.live[self.kind] -= 1

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("do_", "is_a_")):
            raise AttributeError(name)
        self._touch(name)
        if hasattr(self, "is_a_" + name):
            return getattr(self, "is_a_" + name)()

        def call(*arguments: Any) -> Any:
            running = self.trt.running
            given = tuple(each.kind if isinstance(each, _Vendors) else each for each in arguments)
            self.trt.calls.append((name, given))
            if name in running.raises:
                raise type(running.raises[name])(*running.raises[name].args)
            if name in running.refuses:
                self.logger.log(Severity.ERROR, f"{name} told to fail")
                return None if name.startswith(("create", "deserialize")) else False
            return getattr(self, "do_" + name)(*arguments)

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        self._touch(name)
        self.trt.calls.append((name, value))

    def _touch(self, name: str) -> None:
        if name not in members(self.trt.name, self.kind):
            raise AttributeError(f"{self.kind} of {self.trt.name} has no {name}")
        self.trt.touched.add((self.kind, name))


class _Runtime(_Vendors):
    kind = "Runtime"

    def is_a_engine_header_size(self) -> int:
        return 4

    def do_get_engine_validity(self, header: bytes) -> tuple[Any, int]:
        assert header == b"plan"
        return _Member("EngineValidity", self.trt.running.validity), self.trt.running.diagnostics

    def do_deserialize_cuda_engine(self, plan: bytes) -> Any:
        assert plan
        return _Engine(self.trt, self.logger)


class _Engine(_Vendors):
    kind = "ICudaEngine"

    def is_a_num_io_tensors(self) -> int:
        return len(self.trt.running.names)

    def do_get_tensor_name(self, index: int) -> str:
        return self.trt.running.names[index]

    def do_get_tensor_mode(self, name: str) -> Any:
        return _Member("TensorIOMode", "OUTPUT" if name in {"first", "second"} else "INPUT")

    def do_get_tensor_shape(self, name: str) -> tuple[int, ...]:
        shape = self.trt.running.shapes.get(name, SHAPE)
        return (-1, *shape[1:]) if self.trt.running.varies else shape

    def do_get_tensor_dtype(self, name: str) -> Any:
        return _Member("DataType", self.trt.running.types.get(name, "FLOAT"))

    def do_get_tensor_format(self, name: str) -> Any:
        return _Member("TensorFormat", self.trt.running.layouts.get(name, "LINEAR"))

    def do_get_tensor_location(self, name: str) -> Any:
        return _Member("TensorLocation", self.trt.running.places.get(name, "DEVICE"))

    def do_create_runtime_config(self) -> Any:
        return _Config(self.trt, self.logger)

    def do_create_execution_context(self, *config: Any) -> Any:
        assert len(config) == self.trt.name.startswith("tensorrt-rtx")
        return _Context(self.trt, self.logger)


class _Config(_Vendors):
    kind = "IRuntimeConfig"


class _Context(_Vendors):
    kind = "IExecutionContext"

    def __init__(self, trt: FakeRuntimes, logger: Any) -> None:
        super().__init__(trt, logger)
        self.__dict__["addresses"] = {}
        self.__dict__["fixed"] = not trt.running.varies

    def do_set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        taken = shape == self.trt.running.shapes.get(name, SHAPE)
        self.__dict__["fixed"] = taken
        return taken

    def do_get_tensor_shape(self, name: str) -> tuple[int, ...]:
        shape = self.trt.running.shapes.get(name, SHAPE)
        return shape if self.fixed else (-1, *shape[1:])

    def do_set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def do_is_stream_capturable(self, stream: int) -> bool:
        return stream > 0

    def do_execute_async_v3(self, stream: int) -> bool:
        assert set(self.addresses) == set(self.trt.running.names)
        trt, addresses = self.trt, dict(self.addresses)

        def run() -> None:
            first = _floats(addresses["image"]) + _floats(addresses["more"])
            _floats(addresses["first"])[...] = first * np.float32(trt.running.value)
            _floats(addresses["second"])[...] = -first

        trt.queue(stream, run)
        return True


def _floats(address: int) -> npt.NDArray[np.float32]:
    return np.ctypeslib.as_array((ctypes.c_float * int(np.prod(SHAPE))).from_address(address)).reshape(SHAPE)
