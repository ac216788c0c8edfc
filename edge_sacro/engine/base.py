"""The seam: a fixed public method that checks and a private hook that a vendor's file writes."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import BackendFailed, BundleContractBroken, DeadlineExceeded, InternalError

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TensorSpec:
    """Name and static shape of one float32 tensor."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class NetworkSpec:
    """What a network takes and gives, checked when it is opened and at every call."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class DeviceInput:
    """Where a kernel writes an input of an engine.

    Attributes:
        address: of its first value, in the GPU's address space.
        shape: C-contiguous.
        dtype: of a value.
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[np.float32]

    @property
    def nbytes(self) -> int:
        """Of its values."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


class Lent(Protocol):
    """An engine that one thread has to itself until the block of :meth:`Engine.in_place` ends."""

    def device_input(self, name: str) -> DeviceInput:
        """Where to write an input.

        Raises:
            BundleContractBroken: the network has no such input.
            InternalError: the block has ended.
        """

    def run(
        self, after: int | None = None, *, copies: Mapping[str, int] | None = None, deadline: float | None = None
    ) -> dict[str, Array]:
        """Run on what stands in the inputs.

        Args:
            after: handle of the CUDA stream that the inputs were written on; all that is queued there so far is done
                first. None where nothing is under way.
            copies: addresses in the GPU's memory that inputs are copied from first, C-contiguous float32.
            deadline: as ``Engine.run`` has it.

        Returns:
            one array for each output, the caller's to keep. All work has ended then, so inputs may be written again.

        Raises:
            BackendFailed: the GPU or the vendor failed, or an output is not finite.
            BundleContractBroken: the network has no such input.
            DeadlineExceeded: the deadline passed first.
            InternalError: the block has ended.
        """


class Engine(ABC):
    """One network, opened by one vendor. ``run`` may be called from several threads at once.

    Attributes:
        backend: the name in ``BACKENDS``.
        vendor_version: the vendor's own version.
        computes: False where outputs are made up, so that no decision may be drawn from them.
        lends: whether its inputs can be filled where they are, on a GPU, by ``in_place``.
        turn: held where engines of several networks are exchanged at once, by all that are.
    """

    backend: ClassVar[str]
    vendor_version: str
    computes: ClassVar[bool] = True
    lends: ClassVar[bool] = False
    turn: AbstractContextManager[object] = nullcontext()

    def __init__(self, spec: NetworkSpec) -> None:
        self.spec = spec

    def run(self, inputs: Mapping[str, Array], *, deadline: float | None = None) -> dict[str, Array]:
        """Run the network once.

        Args:
            inputs: one C-contiguous float32 array for each input of the spec, finite.
            deadline: ``time.monotonic()`` at which the vendor is told to stop, or None.

        Returns:
            one array for each output of the spec, the caller's to keep.

        Raises:
            BundleContractBroken: an input's or output's name, shape or type is not the spec's.
            BackendFailed: the vendor failed, or an output is not finite.
            DeadlineExceeded: the deadline passed first.
        """
        self._check("input", self.spec.inputs, inputs)
        self._check_time(deadline)
        outputs = self._run(inputs, deadline)
        self._check_time(deadline)
        self._check("output", self.spec.outputs, outputs)
        return outputs

    @contextmanager
    def pinned(self) -> Iterator[Engine]:
        """The engine that computes one whole assessment, even where another takes its place meanwhile."""
        yield self

    def in_place(self, deadline: float | None = None) -> AbstractContextManager[Lent]:
        """Have the engine alone, to fill its inputs on the GPU and run it; only where ``lends`` says so.

        Args:
            deadline: until which it is waited for, as ``run`` has it.

        Raises:
            BackendFailed: the GPU or the vendor fails.
            DeadlineExceeded: other threads have the engine until the deadline.
            InternalError: it does not lend its inputs.
        """
        del deadline
        raise InternalError(f"an engine of {self.backend} does not lend its inputs", source=self.spec.name)

    @abstractmethod
    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]: ...

    def state(self) -> dict[str, str]:
        """How the vendor runs it here, where that is not the same everywhere; kept with its qualification."""
        return {}

    def close(self) -> None:  # noqa: B027 - most backends hold nothing
        """Give back what the vendor holds. The engine may not be used afterwards."""

    def _check_time(self, deadline: float | None) -> None:
        if deadline is not None and time.monotonic() >= deadline:
            raise DeadlineExceeded("the deadline passed before the network had run", source=self.spec.name)

    def _check(self, kind: str, specs: tuple[TensorSpec, ...], arrays: Mapping[str, Array]) -> None:
        expected = {spec.name: spec.shape for spec in specs}
        found = {name: array.shape for name, array in arrays.items()}
        if found != expected:
            raise BundleContractBroken(f"{kind}s are {found}, the contract says {expected}", source=self.spec.name)
        for name, array in arrays.items():
            if array.dtype != np.float32:
                raise BundleContractBroken(f"{kind} {name!r} is {array.dtype}, not float32", source=self.spec.name)
            if not np.isfinite(array).all():
                raise BackendFailed(f"{kind} {name!r} holds values that are not finite", source=self.spec.name)


@contextmanager
def pinned_together(engines: Mapping[str, Engine]) -> Iterator[dict[str, Engine]]:
    """The engines that compute one whole assessment: all of them from before an exchange, or all from after it."""
    with ExitStack() as stack:
        with ExitStack() as turns:
            for turn in dict.fromkeys(engine.turn for engine in engines.values()):
                turns.enter_context(turn)
            pinned = {name: stack.enter_context(engine.pinned()) for name, engine in engines.items()}
        yield pinned
