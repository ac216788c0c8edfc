"""The seam: a fixed public method that checks and a private hook that a vendor's file writes."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import BackendFailed, BundleContractBroken, DeadlineExceeded

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


class Engine(ABC):
    """One network, opened by one vendor. ``run`` may be called from several threads at once.

    Attributes:
        backend: the name in ``BACKENDS``.
        vendor_version: the vendor's own version.
        computes: False where outputs are made up, so that no decision may be drawn from them.
    """

    backend: ClassVar[str]
    vendor_version: str
    computes: ClassVar[bool] = True

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
