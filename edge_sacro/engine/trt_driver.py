"""The calls of the CUDA driver that pycuda has not, or not alone: graphs, a stream that waits for another's, contexts.

Handles are integers. The context must be current. What a call made, the caller gives back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from edge_sacro.errors import BackendFailed

LIBRARY = "libcuda.so.1"

_THREAD_LOCAL = 1
"""CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile does not end a capture."""

_NO_TIMING = 2
_CAPTURE_ERRORS = range(900, 909)
"""CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED to CUDA_ERROR_CAPTURED_EVENT."""


class DriverError(Exception):
    """A call's status was not success.

    Attributes:
        status: CUresult.
    """

    def __init__(self, call: str, status: int, text: str) -> None:
        super().__init__(f"{call}: status {status}: {text}")
        self.status = status


class CaptureRefused(Exception):
    """The work cannot be captured; nothing else is wrong, and the stream is as it was."""


def opened_library() -> Any:
    """The driver's library, which pycuda has loaded already."""
    return ctypes.CDLL(LIBRARY)


class CudaDriver:
    """The driver of the context that is current."""

    def __init__(self) -> None:
        self._library = opened_library()

    def graph_from_work(self, stream: int, work: Callable[[], None]) -> int:
        """Capture what ``work`` queues on a stream, in place of running it; an executable graph's handle.

        Args:
            stream: that is idle, and not the default one.
            work: has been run on the stream before, so that nothing is loaded or allocated by it any more.

        Raises:
            CaptureRefused: it does what a capture does not allow, or ``work`` raised BackendFailed.
            DriverError: anything else.
        """
        self._call("cuStreamBeginCapture_v2", _handle(stream), ctypes.c_int(_THREAD_LOCAL))
        refusal: Exception | None = None
        try:
            work()
        except BackendFailed as error:
            refusal = error
        finally:
            graph = ctypes.c_void_p()
            ended = int(self._library.cuStreamEndCapture(_handle(stream), ctypes.byref(graph)))
        try:
            if refusal is not None:
                raise CaptureRefused(str(refusal)) from refusal
            if ended in _CAPTURE_ERRORS or not graph.value:
                raise CaptureRefused(self._text("cuStreamEndCapture", ended)) from None
            self._check("cuStreamEndCapture", ended)
            executable = ctypes.c_void_p()
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
            return int(executable.value or 0)
        finally:
            if graph.value:
                self._call("cuGraphDestroy", graph)

    def launch(self, graph: int, stream: int) -> None:
        """Queue a graph on a stream.

        Raises:
            DriverError: the driver refuses.
        """
        self._call("cuGraphLaunch", _handle(graph), _handle(stream))

    def destroy_graph(self, graph: int) -> None:
        """Give an executable graph back.

        Raises:
            DriverError: the driver refuses.
        """
        self._call("cuGraphExecDestroy", _handle(graph))

    def pop_context(self) -> None:
        """Take the current context off this thread's stack.

        Raises:
            DriverError: there is none.
        """
        self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def event(self) -> int:
        """A new event's handle.

        Raises:
            DriverError: there is no memory for it.
        """
        made = ctypes.c_void_p()
        self._call("cuEventCreate", ctypes.byref(made), ctypes.c_uint(_NO_TIMING))
        return int(made.value or 0)

    def destroy_event(self, event: int) -> None:
        """Give an event back.

        Raises:
            DriverError: the driver refuses.
        """
        self._call("cuEventDestroy_v2", _handle(event))

    def wait_for(self, stream: int, other: int, event: int) -> None:
        """Let what is queued on a stream from now on wait for all that is queued on another one so far.

        Raises:
            DriverError: one of them is no stream of this context.
        """
        self._call("cuEventRecord", _handle(event), _handle(other))
        self._call("cuStreamWaitEvent", _handle(stream), _handle(event), ctypes.c_uint(0))

    def _call(self, name: str, *arguments: object) -> None:
        self._check(name, int(getattr(self._library, name)(*arguments)))

    def _check(self, name: str, status: int) -> None:
        if status:
            raise DriverError(name, status, self._text(name, status))

    def _text(self, name: str, status: int) -> str:
        text = ctypes.c_char_p()
        known = int(self._library.cuGetErrorString(ctypes.c_int(status), ctypes.byref(text))) == 0
        said = (text.value or b"").decode(errors="replace") if known else ""
        return said or f"{name} gives status {status}"


def _handle(value: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(value)


def give_back(context: Any) -> None:
    """Release a primary context that pycuda holds, in whatever thread.

    pycuda does so only where it is the thread's current one, and leaves it on the driver's own stack then, from which
    it is therefore taken first.

    Raises:
        DriverError, or pycuda's: the context has failed; what can be released of it is.
    """
    try:
        context.push()
        CudaDriver().pop_context()
    finally:
        context.detach()
