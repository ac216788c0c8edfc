"""The seam: a device that holds memory and runs the kernels in order. One method checks, one hook does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.cuda.structs import KERNELS, packed_arguments
from edge_sacro.errors import InternalError

Shape3 = tuple[int, int, int]
"""Along x, y and z."""

MOST_THREADS = 1024


@dataclass(frozen=True)
class Buffer:
    """Memory of a device: where it begins and how many bytes it has."""

    address: int
    nbytes: int


class Device(ABC):
    """Memory and one queue of work, done in the order given. Used by one thread at a time.

    Attributes:
        name: the device's own.
    """

    name: str

    @property
    @abstractmethod
    def stream(self) -> int | None:
        """Handle of the CUDA stream that the work is queued on; None where nothing is ever under way."""

    def allocate(self, nbytes: int, *, shared: bool = False) -> Buffer:
        """Memory of at least one byte, its contents undefined.

        Args:
            nbytes: at least.
            shared: whether the host fills or reads it, so that where it shares the device's memory nothing need be
                copied.

        Raises:
            BackendFailed: there is not so much.
        """
        return self._allocate_shared(max(nbytes, 1)) if shared else self._allocate(max(nbytes, 1))

    def upload(self, buffer: Buffer, array: npt.NDArray[Any]) -> None:
        """Copy an array to the beginning of a buffer; the array may change once this returns.

        Raises:
            BackendFailed: the driver's own error.
            InternalError: it does not fit.
        """
        self._check(buffer, array.nbytes)
        self._upload(buffer, np.ascontiguousarray(array))

    def download(self, buffer: Buffer, array: npt.NDArray[Any]) -> None:
        """Wait for all work so far and copy the beginning of a buffer into a contiguous array.

        Raises:
            BackendFailed: the driver's own error, or one of the work before.
            InternalError: the buffer has fewer bytes, or the array is not contiguous.
        """
        self._check(buffer, array.nbytes)
        if not array.flags.c_contiguous:
            raise InternalError("a download needs a contiguous array", source=self.name)
        self._download(buffer, array)

    def zero(self, buffer: Buffer, nbytes: int) -> None:
        """Set the first bytes of a buffer to 0.

        Raises:
            BackendFailed: the driver's own error.
            InternalError: the buffer has fewer bytes.
        """
        self._check(buffer, nbytes)
        self._zero(buffer, nbytes)

    def launch(self, kernel: str, blocks: Shape3, threads: Shape3, **arguments: Any) -> None:
        """Queue a kernel.

        Args:
            kernel: a name of ``KERNELS``.
            blocks: of the grid.
            threads: of a block.
            **arguments: by the kernel's names; a :class:`Buffer` stands for its address and None for no memory.

        Raises:
            BackendFailed: the driver's own error.
            InternalError: no such kernel, other arguments, or a shape that no device takes.
        """
        if kernel not in KERNELS or min(*blocks, *threads) < 1 or int(np.prod(threads)) > MOST_THREADS:
            raise InternalError(f"no kernel {kernel!r} on {blocks} blocks of {threads} threads", source=self.name)
        given = {name: _argument(value) for name, value in arguments.items()}
        try:
            packed = packed_arguments(kernel, given)
        except (TypeError, ValueError) as error:
            raise InternalError(f"{kernel}: {error}", source=self.name) from error
        self._launch(kernel, blocks, threads, packed)

    @abstractmethod
    def release(self, buffer: Buffer) -> None:
        """Give memory back once the work so far is done."""

    @abstractmethod
    def synchronise(self) -> None:
        """Wait for all work so far.

        Raises:
            BackendFailed: some of it failed.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back everything. The device may not be used afterwards; closing twice does nothing."""

    @abstractmethod
    def _allocate(self, nbytes: int) -> Buffer: ...

    def _allocate_shared(self, nbytes: int) -> Buffer:
        """Memory of both the host's and the device's; any memory where they have none in common."""
        return self._allocate(nbytes)

    @abstractmethod
    def _upload(self, buffer: Buffer, array: npt.NDArray[Any]) -> None: ...

    @abstractmethod
    def _download(self, buffer: Buffer, array: npt.NDArray[Any]) -> None: ...

    @abstractmethod
    def _zero(self, buffer: Buffer, nbytes: int) -> None: ...

    @abstractmethod
    def _launch(self, kernel: str, blocks: Shape3, threads: Shape3, packed: bytes) -> None: ...

    def _check(self, buffer: Buffer, nbytes: int) -> None:
        if nbytes > buffer.nbytes:
            raise InternalError(f"{nbytes} bytes and a buffer of {buffer.nbytes}", source=self.name)


def _argument(value: Any) -> Any:
    if value is None:
        return 0
    return value.address if isinstance(value, Buffer) else value
