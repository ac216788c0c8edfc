"""A made-up GPU: what ``pycuda.driver`` and the driver's library are to the TensorRT backend, in host memory.

Nothing that is queued happens before something waits for it, and each stream has a queue of its own, so that who
forgets to wait, or to order two streams, sees it in the values. Every call must find the context current. Any call can
be made to fail. What was allocated and not given back, or given back twice, shows.
"""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engines.fake_libcuda import FakeLibrary

FRESH = 0xCD
"""What new memory is filled with, so that who counts on zeros is found out."""


class Error(Exception):
    """As pycuda's base of errors."""


class LogicError(Error):
    pass


class MemoryError(Error):  # noqa: A001 - pycuda's own name
    pass


class LaunchError(Error):
    pass


class FakeStream:
    """Work in order; ``capture`` takes it in place of the queue."""

    def __init__(self, number: int, flags: int) -> None:
        self.number, self.flags = number, flags
        self.work: list[Callable[[], None]] = []
        self.done = 0
        self.capture: list[Callable[[], None]] | None = None
        self.broken = False

    def queue(self, step: Callable[[], None]) -> None:
        (self.work if self.capture is None else self.capture).append(step)

    def drain(self, until: int | None = None) -> None:
        while self.done < (len(self.work) if until is None else until):
            self.done += 1
            self.work[self.done - 1]()


class FakeGpu:
    """One device.

    Attributes:
        live: allocations, streams, events, graphs and contexts that were not given back.
        calls: names of calls, in order.
        fails: error that a call raises, or its status where it is the driver's own library's.
        current, active: how deep the context is on the driver's stack, and on pycuda's.
        busy: how many looks at a stream find it busy before its work is done; None for ever.
    """

    def __init__(self, *, integrated: bool = False) -> None:
        self.integrated = integrated
        self.live: Counter[str] = Counter()
        self.calls: list[str] = []
        self.fails: dict[str, Exception | int] = {}
        self.busy: int | None = 0
        self.current = self.active = 0
        self.streams: dict[int, FakeStream] = {}
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.events: dict[int, tuple[FakeStream, int]] = {}
        self.memory: dict[int, Any] = {}
        self._number = 100
        self.driver = _driver_module(self)
        self.library = FakeLibrary(self)

    def call(self, name: str, *, context: bool = True) -> int:
        """Note a call; raise, or give the status, that it was told to fail with."""
        self.calls.append(name)
        assert self.current > 0 or not context, f"{name} without a current context"
        failure = self.fails.get(name, 0)
        if isinstance(failure, Exception):
            raise failure
        return failure

    def number(self) -> int:
        self._number += 1
        return self._number

    def allocated(self, nbytes: int) -> Any:
        memory = np.full(nbytes, FRESH, np.uint8)
        self.memory[memory.ctypes.data] = memory
        return memory

    def leaks(self) -> dict[str, int]:
        """What is not given back, or was too often."""
        stacks = {"driver's stack": self.current, "pycuda's stack": self.active}
        return {name: count for name, count in {**self.live, **stacks}.items() if count}

    def count(self, name: str) -> int:
        return self.calls.count(name)


class _Allocation:
    """Device memory."""

    def __init__(self, gpu: FakeGpu, nbytes: int) -> None:
        self._gpu, self._memory = gpu, gpu.allocated(nbytes)
        gpu.live["device memory"] += 1

    def __int__(self) -> int:
        return int(self._memory.ctypes.data)

    __index__ = __int__

    def free(self) -> None:
        self._gpu.call("mem_free")
        self._gpu.live["device memory"] -= 1
        self._memory[:] = FRESH


class _Pages:
    """Page-locked memory: the base of an array."""

    def __init__(self, gpu: FakeGpu, shape: tuple[int, ...], dtype: Any, flags: int) -> None:
        self._gpu, self._mapped = gpu, bool(flags & 2)
        self._memory = gpu.allocated(int(np.prod(shape)) * np.dtype(dtype).itemsize).view(dtype).reshape(shape)
        self.__array_interface__ = self._memory.__array_interface__
        gpu.live["page-locked memory"] += 1

    def get_device_pointer(self) -> int:
        self._gpu.call("get_device_pointer")
        assert self._mapped
        return int(self._memory.ctypes.data)

    def free(self) -> None:
        self._gpu.call("free_host")
        self._gpu.live["page-locked memory"] -= 1
        self._memory.view(np.uint8)[...] = FRESH


def _driver_module(gpu: FakeGpu) -> Any:  # noqa: C901 - the module's functions, one after another
    """What ``from pycuda import driver`` finds."""

    class Context:
        def __init__(self) -> None:
            gpu.live["context"] += 1

        def push(self) -> None:
            gpu.call("push", context=False)
            gpu.current += 1
            gpu.active += 1

        @staticmethod
        def pop() -> None:
            gpu.current -= 1
            gpu.active -= 1

        def detach(self) -> None:
            """As pycuda: nothing where it is not active; and the driver's own stack is left as it is."""
            if gpu.active:
                gpu.active -= 1
                gpu.live["context"] -= 1

    class Device:
        def __init__(self, index: int) -> None:
            gpu.call("Device", context=False)
            assert index == 0

        def name(self) -> str:
            return "made-up GPU"

        def compute_capability(self) -> tuple[int, int]:
            return (8, 7)

        def get_attribute(self, attribute: str) -> int:
            return int(gpu.integrated) if attribute == "INTEGRATED" else 1

        def retain_primary_context(self) -> Context:
            gpu.call("retain", context=False)
            return Context()

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            self.handle = 0
            gpu.call("Stream")
            gpu.live["stream"] += 1
            self.handle = gpu.number()
            gpu.streams[self.handle] = FakeStream(self.handle, flags)

        def synchronize(self) -> None:
            gpu.call("synchronize")
            gpu.streams[self.handle].drain()

        def is_done(self) -> bool:
            gpu.call("is_done")
            if gpu.busy is None:
                return False
            gpu.busy -= 1
            if gpu.busy >= 0:
                return False
            gpu.busy = 0
            gpu.streams[self.handle].drain()
            return True

        def __del__(self) -> None:
            gpu.live["stream"] -= self.handle > 0

    def mem_alloc(nbytes: int) -> _Allocation:
        gpu.call("mem_alloc")
        return _Allocation(gpu, nbytes)

    def pagelocked_empty(shape: tuple[int, ...], dtype: Any, mem_flags: int = 0) -> Any:
        gpu.call("pagelocked_empty")
        return np.asarray(_Pages(gpu, shape, dtype, mem_flags))

    def copy(name: str, to: int, source: int, nbytes: int, stream: Any) -> None:
        gpu.call(name)
        into, outof = (_bytes(gpu, address, nbytes) for address in (to, source))
        gpu.streams[stream.handle].queue(lambda: into.__setitem__(slice(None), outof))

    return types.SimpleNamespace(
        Error=Error,
        LogicError=LogicError,
        MemoryError=MemoryError,
        LaunchError=LaunchError,
        init=lambda: gpu.call("init", context=False),
        Device=Device,
        Context=Context,
        Stream=Stream,
        mem_alloc=mem_alloc,
        pagelocked_empty=pagelocked_empty,
        host_alloc_flags=types.SimpleNamespace(DEVICEMAP=2),
        device_attribute=types.SimpleNamespace(INTEGRATED="INTEGRATED", CAN_MAP_HOST_MEMORY="CAN_MAP_HOST_MEMORY"),
        memcpy_htod_async=lambda to, array, stream: copy("htod", int(to), array.ctypes.data, array.nbytes, stream),
        memcpy_dtoh_async=lambda array, source, stream: copy(
            "dtoh", array.ctypes.data, int(source), array.nbytes, stream
        ),
        memcpy_dtod_async=lambda to, source, nbytes, stream: copy("dtod", int(to), int(source), nbytes, stream),
    )


def _bytes(gpu: FakeGpu, address: int, nbytes: int) -> Any:
    """Memory that was allocated, from its beginning; more than there is of it is an error."""
    memory = gpu.memory[address]
    assert nbytes <= memory.nbytes, f"{nbytes} bytes of {memory.nbytes}"
    return memory[:nbytes]
