"""One assessment on a runtime's engines, with its networks' inputs made by whoever can write them where they are taken.

Where every engine of an assessment lends its inputs, kernels write them there on the GPU; else the host makes them.
The engines say so, and it is nobody's fallback: where the GPU cannot make them it is an error, and never the host's
turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from edge_sacro.engine import Engine
from edge_sacro.errors import DeadlineExceeded, InternalError
from edge_sacro.manifest import Manifest
from edge_sacro.regions import JointRegion
from edge_sacro.stages import StageClock
from edge_sacro.systems import Assessment, System
from edge_sacro.systems.inputs import HOST, Inputs
from edge_sacro.types import Radiograph

if TYPE_CHECKING:
    from edge_sacro.cuda.device import Device
    from edge_sacro.cuda.session import Session


def _open_gpu() -> Device:
    from edge_sacro.cuda.gpu import open_gpu

    return open_gpu()


class Assessor:
    """Assesses one image after another with one system. Calls from several threads have the GPU in turn.

    Args:
        system: whose method it is.
        manifest: of the bundle.
        open_device: opens the device that writes the inputs; it is not called where no engine lends them.
    """

    def __init__(self, system: System, manifest: Manifest, open_device: Callable[[], Device] = _open_gpu) -> None:
        self._system, self._manifest, self._open_device = system, manifest, open_device
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._closed = False

    def open(self, engines: Mapping[str, Engine]) -> None:
        """Open the device now where these engines need it, so that what it lacks is told before the first image.

        Raises:
            BackendUnavailable: they need it, and the driver or the GPU does not take the kernels.
            BackendFailed: the device's own error.
        """
        with ExitStack() as stack:
            pinned = [stack.enter_context(engine.pinned()) for engine in engines.values()]
            if self._system.assess_with is not None and all(engine.lends for engine in pinned):
                with self._lock:
                    self._opened()

    def assess(self, radiograph: Radiograph, engines: Mapping[str, Engine], clock: StageClock) -> Assessment:
        """One assessment; where the deadline passes, or an engine makes its outputs up, one without an answer.

        Raises:
            BackendError: an engine or the device failed.
            InputRefused: the system does not take the image.
        """
        nowhere = JointRegion(None, "deadline_exceeded")
        try:
            assessment = self._assessed(radiograph, engines, clock)
        except DeadlineExceeded:
            return Assessment(nowhere, nowhere, None, None, "deadline_exceeded")
        if all(engine.computes for engine in engines.values()):
            return assessment
        nowhere = JointRegion(None, "null_backend")
        return Assessment(nowhere, nowhere, None, None, "null_backend", assessment.notes)

    def close(self) -> None:
        """Give the device back once no assessment has it; again it does nothing.

        Raises:
            BackendFailed: the device's own error; what could be given back was.
        """
        with self._lock:
            self._closed = True
            session, self._session = self._session, None
            if session is not None:
                session.close()

    def _assessed(self, radiograph: Radiograph, engines: Mapping[str, Engine], clock: StageClock) -> Assessment:
        if self._system.assess_with is None:
            return self._system.assess(radiograph, self._manifest, engines, clock)
        with self._inputs(engines, clock.deadline) as inputs:
            return self._system.assess_with(radiograph, self._manifest, engines, clock, inputs)

    @contextmanager
    def _inputs(self, engines: Mapping[str, Engine], deadline: float | None) -> Iterator[Inputs]:
        """Who makes the inputs of one image."""
        # Asked anew each time: engines in service are exchanged, one of a processor for one of the GPU for instance.
        if not all(engine.lends for engine in engines.values()):
            yield HOST
            return
        from edge_sacro.cuda.inputs import DeviceInputs

        left = -1.0 if deadline is None else min(max(deadline - time.monotonic(), 0.0), threading.TIMEOUT_MAX)
        if not self._lock.acquire(timeout=left):
            raise DeadlineExceeded("other threads had the GPU until the deadline", source="deadline")
        try:
            yield DeviceInputs(self._opened())
        finally:
            self._lock.release()

    def _opened(self) -> Session:
        """The device's session; the lock is held."""
        if self._closed:
            raise InternalError("the runtime is closed", source=self._manifest.name)
        if self._session is None:
            from edge_sacro.cuda.session import Session

            self._session = Session(self._open_device())
        return self._session
