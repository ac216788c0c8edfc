"""An NVIDIA GPU through pycuda: its primary context, one stream, every status an error of ours.

Whatever goes to or comes from the host goes through page-locked memory, which is kept with its buffer. Where the GPU
shares the host's memory, it reads what the host has written there, and nothing is copied to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import clear_frames
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.cuda.binaries import binary_for
from edge_sacro.cuda.device import Buffer, Device, Shape3
from edge_sacro.cuda.structs import KERNELS
from edge_sacro.engine.trt_driver import DriverError, give_back
from edge_sacro.errors import BackendFailed, BackendUnavailable, InternalError

_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: what others queue on the default stream neither waits for this one nor ends its capture."""

_REMEDIES = {
    "MemoryError": "Free memory of the GPU: end other processes on it, or use a backend that needs less.",
    "LaunchError": "Start the runtime anew: the GPU's context is lost. Report the message if it comes again.",
}
_REMEDY = "Check the GPU with nvidia-smi and the system's log; report the driver's message."


def open_gpu(index: int = 0) -> GpuDevice:
    """Open a GPU.

    Args:
        index: as the driver counts, from 0.

    Raises:
        BackendUnavailable: pycuda, the driver or the GPU is absent, or the kernels are not for them.
        BackendFailed: the driver refuses the kernels or has no memory left.
    """
    try:
        from pycuda import driver
    except ImportError as error:
        raise BackendUnavailable(
            f"pycuda cannot be used: {error}",
            source="cuda",
            remedy="Install the extra tensorrt or rtx, and the NVIDIA driver.",
        ) from error
    try:
        driver.init()
        device = driver.Device(index)
        version, capability = driver.get_driver_version(), device.compute_capability()
    except driver.Error as error:
        raise BackendUnavailable(
            f"there is no CUDA device {index}: {error}", source="cuda", remedy="Check the GPU with nvidia-smi."
        ) from error
    return GpuDevice(driver, device, binary_for(version, capability))


class _Staging:
    """Page-locked memory that a buffer is, or is filled and read through.

    Nobody else may hold ``pages``: they are given back while the context is current.

    Attributes:
        pages: the memory.
        copied: when the last copy to the device was done; None where the memory is the buffer itself.
    """

    def __init__(self, pages: Any, copied: Any) -> None:
        self.pages, self.copied = pages, copied

    def free(self) -> None:
        """Give it back, whoever still holds this."""
        self.pages = self.copied = None


class GpuDevice(Device):
    """One GPU. The context is current only while one of its methods runs.

    Attributes:
        name: the GPU's own, with its compute capability.
        shares_memory: whether the GPU reads the host's memory itself, so that nothing is copied to it.
    """

    def __init__(self, driver: Any, device: Any, binary: bytes) -> None:
        self.name = f"{device.name()} {'.'.join(map(str, device.compute_capability()))}"
        self._driver = driver
        self._memory: dict[int, Any] = {}
        self._staging: dict[int, _Staging] = {}
        self._functions: dict[str, Any] = {}
        self._stream: Any = None
        self._context: Any = None
        try:
            attribute = driver.device_attribute
            self.shares_memory = bool(
                device.get_attribute(attribute.INTEGRATED) and device.get_attribute(attribute.CAN_MAP_HOST_MEMORY)
            )
            self._context = device.retain_primary_context()
        except driver.Error as error:
            raise self._failed("opening the context", error) from error
        try:
            with self._current("loading the kernels"):
                self._stream = driver.Stream(_NON_BLOCKING)
                module = driver.module_from_buffer(binary)
                self._functions = {name: module.get_function(name) for name in KERNELS}
        except BackendFailed:
            self.close()
            raise

    @property
    def stream(self) -> int:
        """Handle of the CUDA stream that the work is queued on; a network queued on it too runs after its input."""
        return int(self._stream.handle)

    def release(self, buffer: Buffer) -> None:
        """Give memory back once the work so far is done."""
        with self._current("giving memory back"):
            self._stream.synchronize()
            staging = self._staging.pop(buffer.address, None)
            if staging is not None:
                staging.free()
            allocation = self._memory.pop(buffer.address, None)
            if allocation is not None:
                allocation.free()

    def synchronise(self) -> None:
        """Wait for all work so far."""
        with self._current("waiting"):
            self._stream.synchronize()

    def close(self) -> None:
        """Give back everything, also where the GPU has failed; the primary context stays with whoever else holds it.

        Raises:
            BackendFailed: the driver's own error; what could be given back was.
        """
        context = self._context
        if context is None:
            return
        try:
            with self._current("closing"):
                self._drop()
        finally:
            self._context = None
            self._detach(context)

    def _detach(self, context: Any) -> None:
        try:
            give_back(context)
        except (self._driver.Error, DriverError) as error:
            raise self._failed("closing the context", error) from error

    def _drop(self) -> None:
        try:
            if self._stream is not None:
                self._stream.synchronize()
            for allocation in self._memory.values():
                allocation.free()
        finally:
            # What an error left is given back as its last reference goes.
            for staging in self._staging.values():
                staging.free()
            self._staging.clear()
            self._memory.clear()
            self._functions.clear()
            self._stream = None

    def _allocate(self, nbytes: int) -> Buffer:
        with self._current(f"allocating {nbytes} bytes"):
            allocation = self._driver.mem_alloc(nbytes)
            self._memory[int(allocation)] = allocation
            return Buffer(int(allocation), nbytes)

    def _allocate_shared(self, nbytes: int) -> Buffer:
        if not self.shares_memory:
            return self._allocate(nbytes)
        with self._current(f"allocating {nbytes} bytes of the host"):
            pages = self._driver.pagelocked_empty(nbytes, np.uint8, mem_flags=self._driver.host_alloc_flags.DEVICEMAP)
            address = int(pages.base.get_device_pointer())
            self._staging[address] = _Staging(pages, None)
            del pages
            return Buffer(address, nbytes)

    def _upload(self, buffer: Buffer, array: npt.NDArray[Any]) -> None:
        """Into memory that both share; else by page-locked memory of the buffer's own, beside the host's next work."""
        values = array.reshape(-1).view(np.uint8)
        with self._current(f"copying {array.nbytes} bytes to the device"):
            staging = self._staged(buffer)
            if staging.copied is None:
                self._stream.synchronize()  # kernels that are queued still read what stands there
                staging.pages[: array.nbytes] = values
                return
            staging.copied.synchronize()  # the copy before may still be reading
            staging.pages[: array.nbytes] = values
            self._driver.memcpy_htod_async(buffer.address, staging.pages[: array.nbytes], self._stream)
            staging.copied.record(self._stream)

    def _download(self, buffer: Buffer, array: npt.NDArray[Any]) -> None:
        values = array.reshape(-1).view(np.uint8)
        with self._current(f"copying {array.nbytes} bytes from the device"):
            staging = self._staged(buffer)
            if staging.copied is not None:
                self._driver.memcpy_dtoh_async(staging.pages[: array.nbytes], buffer.address, self._stream)
            self._stream.synchronize()
            values[:] = staging.pages[: array.nbytes]

    def _staged(self, buffer: Buffer) -> _Staging:
        """The page-locked memory of a buffer, made when it is first filled or read."""
        staging = self._staging.get(buffer.address)
        if staging is None:
            pages = self._driver.pagelocked_empty(buffer.nbytes, np.uint8)
            staging = self._staging[buffer.address] = _Staging(pages, self._driver.Event())
            del pages
        return staging

    def _zero(self, buffer: Buffer, nbytes: int) -> None:
        with self._current("clearing memory"):
            self._driver.memset_d8_async(buffer.address, 0, nbytes, self._stream)

    def _launch(self, kernel: str, blocks: Shape3, threads: Shape3, packed: bytes) -> None:
        with self._current(f"launching {kernel}"):
            self._functions[kernel](np.void(packed), grid=blocks, block=threads, stream=self._stream)

    @contextmanager
    def _current(self, doing: str) -> Iterator[None]:
        if self._context is None:
            raise InternalError("the device is closed", source=self.name)
        try:
            self._context.push()
            try:
                yield
            finally:
                self._driver.Context.pop()
        except self._driver.Error as error:
            clear_frames(error.__traceback__)  # pycuda's hold a stream, which must go before the context does
            raise self._failed(doing, error) from error

    def _failed(self, doing: str, error: Exception) -> BackendFailed:
        remedy = _REMEDIES.get(type(error).__name__, _REMEDY)
        return BackendFailed(f"{doing}: {error}", source=self.name, remedy=remedy)
