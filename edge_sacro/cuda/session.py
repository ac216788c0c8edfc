"""A device and the memory that one image after another uses again: nothing is allocated once it is warm."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.cuda.device import Buffer, Device, Shape3
from edge_sacro.cuda.structs import Encoding
from edge_sacro.errors import BackendFailed, InternalError

PIXEL_THREADS: Shape3 = (32, 8, 1)
"""A block of the kernels that have one thread a pixel."""


@dataclass(frozen=True)
class Tensor:
    """A network's input on the device, valid until the next one of its name or the next image.

    Attributes:
        session: whose memory it is.
        name: of that memory.
        number: how many tensors the session had made when it made this one.
        buffer: where it stands.
        shape: batch, channels, rows, columns.
        dtype: of one value.
    """

    session: Session
    name: str
    number: int
    buffer: Buffer
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]

    def copy(self) -> npt.NDArray[Any]:
        """The values, the caller's to keep.

        Raises:
            InternalError: its memory holds another tensor or another image's by now.
            BackendFailed: the device failed at this or at work before it.
        """
        self.session.check_tensor(self)
        values = np.empty(self.shape, self.dtype)
        self.session.device.download(self.buffer, values)
        return values


class Session:
    """One image at a time on one device. Used by one thread at a time.

    Memory is kept by name and grows where an image needs more than any before; ``allocations`` counts how often. A
    service that has seen one image of the largest size allocates nothing from then on.

    Attributes:
        device: closed with the session.
        allocations: of device memory, so far.
        turn: how many images have been loaded.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.allocations = 0
        self.turn = 0
        self._buffers: dict[str, Buffer] = {}
        self._numbers: dict[str, int] = {}
        self._made = 0

    def buffer(self, name: str, nbytes: int, *, shared: bool = False) -> Buffer:
        """The memory of this name, at least so many bytes; what it held is lost where it grows.

        Args:
            name: always with the same ``shared``.
            nbytes: at least.
            shared: whether the host fills or reads it.

        Raises:
            BackendFailed: there is not so much.
        """
        kept = self._buffers.get(name)
        if kept is None or kept.nbytes < nbytes:
            if kept is not None:
                del self._buffers[name]
                self.device.release(kept)
            kept = self._buffers[name] = self.device.allocate(nbytes, shared=shared)
            self.allocations += 1
        return kept

    def zeroed(self, name: str, nbytes: int) -> Buffer:
        """The memory of this name, its first bytes 0."""
        found = self.buffer(name, nbytes)
        self.device.zero(found, nbytes)
        return found

    def uploaded(self, name: str, array: npt.NDArray[Any]) -> Buffer:
        """The memory of this name, holding the array."""
        found = self.buffer(name, array.nbytes, shared=True)
        self.device.upload(found, array)
        return found

    def tensor(
        self, name: str, shape: tuple[int, int, int, int], encoding: Encoding, place: Buffer | None = None
    ) -> Tensor:
        """Memory for a network's input.

        Args:
            name: of the session's memory for it.
            shape: batch, channels, rows, columns.
            encoding: of its values.
            place: memory of another's, an engine's own for instance, in place of the session's.

        Raises:
            BackendFailed: there is no memory left.
            InternalError: ``place`` has another size.
        """
        size = int(np.prod(shape)) * encoding.dtype.itemsize
        if place is not None and place.nbytes != size:
            raise InternalError(f"a {name} input of {size} bytes and a place of {place.nbytes}")
        self._made += 1
        self._numbers[name] = self._made
        found = self.buffer(f"{name} input", size) if place is None else place
        return Tensor(self, name, self._made, found, shape, encoding.dtype)

    def next_turn(self) -> int:
        """Another image takes the memory: what was made of the one before is void."""
        self._numbers.clear()
        self.turn += 1
        return self.turn

    def check_tensor(self, tensor: Tensor) -> None:
        """Refuse a tensor whose memory another one has.

        Raises:
            InternalError: it has.
        """
        if self._numbers.get(tensor.name) != tensor.number:
            raise InternalError(f"this {tensor.name} input is gone: another one, or another image's, has its memory")

    def check_turn(self, turn: int) -> None:
        """Refuse what was made of an image whose memory another one has.

        Raises:
            InternalError: it was.
        """
        if turn != self.turn:
            raise InternalError(f"image {turn} of this session is gone; image {self.turn} has its memory")

    def close(self) -> None:
        """Give back the device and with it all memory.

        Raises:
            BackendFailed: the driver's own error.
        """
        self._buffers.clear()
        self._numbers.clear()
        self.device.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except BackendFailed:
            # A GPU that has failed cannot be closed well; the error that ended the work is the one to tell.
            if error is None:
                raise


def pixel_blocks(columns: int, rows: int, batch: int = 1) -> Shape3:
    """Blocks of ``PIXEL_THREADS`` that cover so many pixels."""
    return -(-columns // PIXEL_THREADS[0]), -(-rows // PIXEL_THREADS[1]), batch
