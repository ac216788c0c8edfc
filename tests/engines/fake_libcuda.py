"""The driver's own library of the made-up GPU: the calls that pycuda has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from tests.engines.fake_gpu import FakeGpu

NOT_SUPPORTED = 900


class FakeLibrary:
    """What ``ctypes.CDLL("libcuda.so.1")`` finds, as far as the backend calls it; arguments are ctypes' own."""

    _TEXTS: ClassVar[dict[int, bytes]] = {NOT_SUPPORTED: b"operation not permitted when stream is capturing"}

    def __init__(self, gpu: FakeGpu) -> None:
        self._gpu = gpu

    def cuGetErrorString(self, status: Any, text: Any) -> int:  # noqa: N802 - the driver's own names
        text._obj.value = self._TEXTS.get(status.value, b"told to fail")
        return 0

    def cuStreamBeginCapture_v2(self, stream: Any, mode: Any) -> int:  # noqa: N802
        status = self._gpu.call("begin_capture")
        if not status:
            assert mode.value == 1, "another thread would end it"
            found = self._gpu.streams[stream.value]
            assert found.done == len(found.work), "the stream is not idle"
            found.capture = []
        return status

    def cuStreamEndCapture(self, stream: Any, graph: Any) -> int:  # noqa: N802
        status = self._gpu.call("end_capture")
        found = self._gpu.streams[stream.value]
        work, found.capture = found.capture, None
        assert work is not None
        if found.broken:
            return NOT_SUPPORTED
        if not status:
            graph._obj.value = self._made("graph", work)
        return status

    def cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, flags: Any) -> int:  # noqa: N802
        assert flags.value == 0
        status = self._gpu.call("instantiate")
        if not status:
            executable._obj.value = self._made("executable graph", self._gpu.graphs[graph.value])
        return status

    def cuGraphLaunch(self, graph: Any, stream: Any) -> int:  # noqa: N802
        status = self._gpu.call("graph_launch")
        for step in self._gpu.graphs[graph.value] if not status else ():
            self._gpu.streams[stream.value].queue(step)
        return status

    def cuGraphDestroy(self, graph: Any) -> int:  # noqa: N802
        return self._gone("graph", graph)

    def cuGraphExecDestroy(self, graph: Any) -> int:  # noqa: N802
        return self._gone("executable graph", graph)

    def cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        assert context._obj.value is None
        status = self._gpu.call("pop")
        self._gpu.current -= not status
        return status

    def cuEventCreate(self, event: Any, flags: Any) -> int:  # noqa: N802
        assert flags.value == 2, "times would cost"
        status = self._gpu.call("event_create")
        if not status:
            event._obj.value = self._gpu.number()
            self._gpu.live["event"] += 1
        return status

    def cuEventDestroy_v2(self, event: Any) -> int:  # noqa: N802
        assert event.value
        self._gpu.live["event"] -= 1
        return self._gpu.call("event_destroy")

    def cuEventRecord(self, event: Any, stream: Any) -> int:  # noqa: N802
        status = self._gpu.call("event_record")
        found = self._gpu.streams[stream.value]
        self._gpu.events[event.value] = (found, len(found.work))
        return status

    def cuStreamWaitEvent(self, stream: Any, event: Any, flags: Any) -> int:  # noqa: N802
        assert flags.value == 0
        status = self._gpu.call("wait_event")
        other, until = self._gpu.events[event.value]
        self._gpu.streams[stream.value].queue(lambda: other.drain(until))
        return status

    def _made(self, kind: str, work: list[Callable[[], None]]) -> int:
        number = self._gpu.number()
        self._gpu.graphs[number] = work
        self._gpu.live[kind] += 1
        return number

    def _gone(self, kind: str, graph: Any) -> int:
        self._gpu.live[kind] -= 1
        del self._gpu.graphs[graph.value]
        return self._gpu.call("destroy " + kind)
