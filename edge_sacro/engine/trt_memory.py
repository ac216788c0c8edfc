"""The GPU as the TensorRT backend has it: its primary context, one stream, and memory that is allocated once.

Every status of pycuda is an error of ours. The context is current only inside :meth:`Gpu.current`, so that any thread
may use it, close it, and share it with the kernels of ``edge_sacro.cuda``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import clear_frames
from typing import Any, Literal

import numpy as np

from edge_sacro.engine.base import Array, TensorSpec
from edge_sacro.engine.trt_driver import DriverError, give_back
from edge_sacro.errors import BackendFailed, BackendUnavailable, InternalError

Memory = Literal["copied", "mapped"]
"""``copied``: tensors are in the GPU's memory, and copied to and from page-locked memory of the host's. ``mapped``: the
GPU reads and writes the host's page-locked memory itself, where both share one memory."""

POLL_S = 5e-5
"""Between two looks at a stream whose end has a deadline."""

_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: what others queue on the default stream neither waits for this one nor ends its capture."""

_REMEDIES = {
    "MemoryError": "Free memory of the GPU: end other processes on it, or serve with a backend that needs less.",
    "LaunchError": "Start the runtime anew: the GPU's context is lost. Report the message if it comes again.",
}
_REMEDY = "Check the GPU with nvidia-smi and the system's log; report the driver's message."


def pycuda_driver() -> Any:
    """The module ``pycuda.driver``, initialised, where there is a GPU.

    Raises:
        BackendUnavailable: pycuda, the driver or a GPU is absent.
    """
    try:
        from pycuda import driver
    except ImportError as error:
        raise BackendUnavailable(
            f"pycuda cannot be used: {error}",
            source="gpu",
            remedy="Install the extra tensorrt or rtx, and the NVIDIA driver.",
        ) from error
    try:
        driver.init()
        driver.Device(0)
    except driver.Error as error:
        raise BackendUnavailable(
            f"there is no CUDA device: {error}", source="gpu", remedy="Check the GPU with nvidia-smi."
        ) from error
    return driver


class Gpu:
    """The first GPU.

    Args:
        source: whose errors it tells.

    Attributes:
        name: the GPU's own, with its compute capability.
        memory: how tensors come to it.

    Raises:
        BackendUnavailable: pycuda, the driver or a GPU is absent.
        BackendFailed: the driver gives no context or no stream.
    """

    def __init__(self, source: str) -> None:
        driver = self._driver = pycuda_driver()
        self._source, self.name = source, "GPU 0"
        self._context: Any = None
        self._stream: Any = None
        try:
            device = driver.Device(0)
            self.name = f"{device.name()} {'.'.join(map(str, device.compute_capability()))}"
            attribute = driver.device_attribute
            shared = device.get_attribute(attribute.INTEGRATED) and device.get_attribute(attribute.CAN_MAP_HOST_MEMORY)
            self.memory: Memory = "mapped" if shared else "copied"
            self._context = device.retain_primary_context()
        except driver.Error as error:
            raise self._failed("opening the context", error) from error
        try:
            with self.current("making a stream"):
                self._stream = driver.Stream(_NON_BLOCKING)
        except BackendFailed:
            self.close()
            raise

    @property
    def stream(self) -> int:
        """Handle of the CUDA stream."""
        return int(self._stream.handle)

    @contextmanager
    def current(self, doing: str) -> Iterator[None]:
        """Make the context current in this thread.

        Raises:
            BackendFailed: a call of the driver failed inside; it names ``doing``.
            InternalError: the GPU is closed.
        """
        if self._context is None:
            raise InternalError("the engine is closed", source=self._source)
        try:
            self._context.push()
            try:
                yield
            finally:
                self._driver.Context.pop()
        except (self._driver.Error, DriverError) as error:
            clear_frames(error.__traceback__)  # pycuda's hold a stream, which must go before the context does
            raise self._failed(doing, error) from error

    @property
    def closed(self) -> bool:
        """Whether it was given back, or never had."""
        return self._context is None

    def tensor(self, spec: TensorSpec, memory: Memory | None = None) -> GpuTensor:
        """Memory for a tensor, its values 0; of another kind than this GPU's own where one is named."""
        return GpuTensor(self._driver, self._stream, spec, memory or self.memory)

    def copy(self, to: int, source: int, nbytes: int) -> None:
        """Queue a copy from one place of the GPU's memory to another."""
        self._driver.memcpy_dtod_async(to, source, nbytes, self._stream)

    def wait(self, deadline: float | None = None) -> bool:
        """Wait for all that is queued; False where the deadline passes first, and the work goes on."""
        if deadline is None:
            self._stream.synchronize()
            return True
        while not self._stream.is_done():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    def close(self) -> None:
        """Give the stream and the context back; the primary context stays with whoever else holds it.

        Raises:
            BackendFailed: the driver's own error; what could be given back was.
        """
        context = self._context
        if context is None:
            return
        try:
            with self.current("closing"):
                self._stream = None
        finally:
            self._stream = self._context = None
            self._detach(context)

    def _detach(self, context: Any) -> None:
        try:
            give_back(context)
        except (self._driver.Error, DriverError) as error:
            raise self._failed("closing the context", error) from error

    def _failed(self, doing: str, error: Exception) -> BackendFailed:
        remedy = _REMEDIES.get(type(error).__name__, _REMEDY)
        return BackendFailed(f"{doing} on {self.name}: {error}", source=self._source, remedy=remedy)


class GpuTensor:
    """A float32 tensor where the GPU finds it, with the host's page-locked memory that it is filled from or read by.

    Attributes:
        spec: its name and shape.
        address: where the GPU finds it.
    """

    def __init__(self, driver: Any, stream: Any, spec: TensorSpec, memory: Memory) -> None:
        self.spec = spec
        self._driver, self._stream = driver, stream
        flags = driver.host_alloc_flags.DEVICEMAP if memory == "mapped" else 0
        self._host: Any = driver.pagelocked_empty(spec.shape, np.float32, mem_flags=flags)
        self._device: Any = None
        try:
            self._host[...] = 0
            if memory == "mapped":
                self.address = int(self._host.base.get_device_pointer())
            else:
                self._device = driver.mem_alloc(self._host.nbytes)
                self.address = int(self._device)
        except driver.Error:
            self.free()
            raise

    @property
    def nbytes(self) -> int:
        """Of its values."""
        return int(self._host.nbytes)

    def write(self, values: Array) -> None:
        """Queue new values for the GPU. Nothing that was queued before may still read the old ones."""
        np.copyto(self._host, values)
        self.upload()

    def upload(self) -> None:
        """Queue the copy to the GPU, where there is one."""
        if self._device is not None:
            self._driver.memcpy_htod_async(self._device, self._host, self._stream)

    def download(self) -> None:
        """Queue the copy from the GPU, where there is one."""
        if self._device is not None:
            self._driver.memcpy_dtoh_async(self._host, self._device, self._stream)

    def values(self) -> Array:
        """What the last download brought, once it is done; the caller's to keep."""
        return np.array(self._host)

    def free(self) -> None:
        """Give the memory back; doing so again does nothing."""
        host, self._host = self._host, None
        device, self._device = self._device, None
        self._stream = None
        try:
            if device is not None:
                device.free()
        finally:
            if host is not None:
                host.base.free()
