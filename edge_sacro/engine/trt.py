"""TensorRT and TensorRT-RTX on the first GPU: a compiled engine, one context, one stream, memory allocated at opening.

At opening the engine is run once and captured as a CUDA graph; from then on a run is the copy of its inputs, one launch
of the graph and the copy of its outputs. Where a capture is refused, runs are queued by the vendor each time, and
:meth:`TensorRtEngine.state` says so with the reason. On a GPU that shares the host's memory nothing is copied.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import ClassVar

import numpy as np

from edge_sacro.engine.base import Array, DeviceInput, Engine, NetworkSpec
from edge_sacro.engine.trt_driver import CaptureRefused, CudaDriver
from edge_sacro.engine.trt_memory import Gpu
from edge_sacro.engine.trt_plan import OpenedPlan
from edge_sacro.errors import BackendFailed, BundleContractBroken, DeadlineExceeded, InternalError


class TensorRtEngine(Engine):
    """One engine that TensorRT built. Calls from several threads run one after another.

    Args:
        spec: what it must take and give.
        model: the plan's bytes.
        threads: means nothing on a GPU.

    Raises:
        BackendUnavailable: pycuda, the driver, a GPU or the vendor's package is absent or too old.
        BackendFailed: the GPU or the vendor fails.
        BundleContractBroken: its tensors are not those of the spec, in float32.
        EngineStale: it is for another GPU or version.
    """

    backend: ClassVar[str] = "tensorrt"
    lends: ClassVar[bool] = True

    def __init__(self, spec: NetworkSpec, model: bytes, threads: int) -> None:
        super().__init__(spec)
        del threads
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._under_way = False
        self._graph: int | None = None
        self._no_graph = ""
        self._held = ExitStack()
        self._gpu = Gpu(spec.name)
        try:
            with self._gpu.current("opening the engine"):
                self._open(model)
        except BaseException:
            # A GPU that has failed cannot be closed well; the error that ended the opening is the one to tell.
            with suppress(BackendFailed):
                self.close()
            raise

    def _open(self, model: bytes) -> None:
        self._driver = CudaDriver()
        self._plan = OpenedPlan(self.backend, model, self.spec.name)
        self._held.callback(self._plan.close)
        self.vendor_version = self._plan.version
        found = self._plan.fixed(self.spec)
        if found != self.spec:
            raise BundleContractBroken(f"the engine is {found}, the contract says {self.spec}", source=self.spec.name)
        self._tensors = {}
        for each in (*self.spec.inputs, *self.spec.outputs):
            tensor = self._tensors[each.name] = self._gpu.tensor(each)
            self._held.callback(tensor.free)
            self._plan.bind(each.name, tensor.address)
        self._event = self._driver.event()
        self._held.callback(self._driver.destroy_event, self._event)
        self._held.callback(self._gpu.wait)
        self._warm_up()

    def _warm_up(self) -> None:
        """Run on zeros, so that whatever the vendor loads or allocates lazily is there; then capture and run that."""
        for each in self.spec.inputs:
            self._tensors[each.name].upload()
        self._plan.enqueue(self._gpu.stream)
        self._gpu.wait()
        if self._plan.refuses_capture(self._gpu.stream):
            self._no_graph = "the vendor says that it cannot be captured"
            return
        try:
            graph = self._driver.graph_from_work(self._gpu.stream, lambda: self._plan.enqueue(self._gpu.stream))
        except CaptureRefused as error:
            self._no_graph = str(error)
            self._plan.enqueue(self._gpu.stream)  # the stream must still run what a capture has not taken
        else:
            self._graph = graph
            self._held.callback(self._driver.destroy_graph, graph)
            self._held.callback(self._gpu.wait)
            self._driver.launch(graph, self._gpu.stream)
        self._gpu.wait()

    def state(self) -> dict[str, str]:
        """GPU, ``memory`` (copied or mapped), ``launch`` (graph or enqueue), and why where it is no graph."""
        state = {"gpu": self._gpu.name, "memory": self._gpu.memory}
        state["launch"] = "enqueue" if self._graph is None else "graph"
        if self._graph is None:
            state["no_graph"] = self._no_graph
        if self._plan.validity:
            state["validity"] = self._plan.validity
        return state

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        with self._alone(deadline), self._gpu.current("running the engine"):
            self._drain(deadline)
            for name, values in inputs.items():
                self._tensors[name].write(values)
            return self._answer(deadline)

    @contextmanager
    def in_place(self, deadline: float | None = None) -> Iterator[InPlace]:
        """As :meth:`Engine.in_place`."""
        with self._alone(deadline):
            with self._gpu.current("running the engine"):
                self._drain(deadline)
            lent = InPlace(self)
            try:
                yield lent
            finally:
                lent.ended = True

    def run_in_place(self, after: int | None, copies: Mapping[str, int], deadline: float | None) -> dict[str, Array]:
        """For :class:`InPlace`, whose thread has the engine."""
        self._check_time(deadline)
        with self._gpu.current("running the engine"):
            self._drain(deadline)
            if after is not None:
                self._driver.wait_for(self._gpu.stream, after, self._event)
            self._under_way = True
            for name, address in copies.items():
                tensor = self._tensors[name]
                self._gpu.copy(tensor.address, address, tensor.nbytes)
            outputs = self._answer(deadline)
        self._check_time(deadline)
        self._check("output", self.spec.outputs, outputs)
        return outputs

    def device_input(self, name: str) -> DeviceInput:
        """Where an input is; only who has the engine by :meth:`in_place` may write there.

        Raises:
            BundleContractBroken: the network has no such input.
        """
        for spec in self.spec.inputs:
            if spec.name == name:
                return DeviceInput(self._tensors[name].address, spec.shape, np.dtype(np.float32))
        raise BundleContractBroken(f"there is no input {name!r}", source=self.spec.name)

    def close(self) -> None:
        """Give everything back, the last made first, once what is under way has ended; again it does nothing.

        Raises:
            BackendFailed: the driver's own error; what could be given back was.
            InternalError: this thread has the engine in place.
        """
        if self._owner == threading.get_ident():
            raise InternalError("this thread has the engine in place", source=self.spec.name)
        with self._lock:
            if self._gpu.closed:
                return
            try:
                with self._gpu.current("closing the engine"):
                    self._held.close()
            finally:
                self._gpu.close()

    def _answer(self, deadline: float | None) -> dict[str, Array]:
        """Run on the inputs that are queued; the context is current and the engine this thread's."""
        self._under_way = True
        if self._graph is None:
            self._plan.enqueue(self._gpu.stream)
        else:
            self._driver.launch(self._graph, self._gpu.stream)
        outputs = [self._tensors[each.name] for each in self.spec.outputs]
        for tensor in outputs:
            tensor.download()
        self._wait(deadline)
        return {tensor.spec.name: tensor.values() for tensor in outputs}

    def _drain(self, deadline: float | None) -> None:
        """Wait for a run whose deadline passed, or that failed half-way: it still has the memory."""
        if self._under_way:
            self._wait(deadline)

    def _wait(self, deadline: float | None) -> None:
        if not self._gpu.wait(deadline):
            raise DeadlineExceeded("the GPU had not ended at the deadline", source=self.spec.name)
        self._under_way = False

    @contextmanager
    def _alone(self, deadline: float | None) -> Iterator[None]:
        if self._owner == threading.get_ident():
            raise InternalError("this thread has the engine in place already", source=self.spec.name)
        left = -1.0 if deadline is None else min(max(deadline - time.monotonic(), 0.0), threading.TIMEOUT_MAX)
        if not self._lock.acquire(timeout=left):
            raise DeadlineExceeded("other threads had the engine until the deadline", source=self.spec.name)
        self._owner = threading.get_ident()
        try:
            if self._gpu.closed:
                raise InternalError("the engine is closed", source=self.spec.name)
            yield
        finally:
            self._owner = None
            self._lock.release()


class InPlace:
    """An engine that one thread has to itself, until the block ends that :meth:`TensorRtEngine.in_place` opened."""

    def __init__(self, engine: TensorRtEngine) -> None:
        self._engine = engine
        self.ended = False

    def device_input(self, name: str) -> DeviceInput:
        """As ``Lent``."""
        self._require_open()
        return self._engine.device_input(name)

    def run(
        self, after: int | None = None, *, copies: Mapping[str, int] | None = None, deadline: float | None = None
    ) -> dict[str, Array]:
        """As ``Lent``."""
        self._require_open()
        wanted = dict(copies or {})
        for name in wanted:
            self._engine.device_input(name)
        return self._engine.run_in_place(after, wanted, deadline)

    def _require_open(self) -> None:
        if self.ended:
            raise InternalError("the engine is not this block's any more", source=self._engine.spec.name)


class TensorRtRtxEngine(TensorRtEngine):
    """One engine that TensorRT-RTX built."""

    backend: ClassVar[str] = "tensorrt-rtx"
