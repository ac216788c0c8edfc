"""ONNX Runtime on the CPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from edge_sacro.engine.base import Array, Engine, NetworkSpec, TensorSpec
from edge_sacro.engine.silence import silence
from edge_sacro.errors import BackendFailed, BundleContractBroken, DeadlineExceeded, EdgeSacroError

ERROR_FROM_VENDOR: dict[str, type[EdgeSacroError]] = {
    "DeviceReset": BackendFailed,
    "EPFail": BackendFailed,
    "EngineError": BackendFailed,
    "Fail": BackendFailed,
    "InvalidArgument": BackendFailed,
    "InvalidGraph": BackendFailed,
    "InvalidProtobuf": BackendFailed,
    "ModelLoadCanceled": BackendFailed,
    "ModelLoaded": BackendFailed,
    "ModelRequiresCompilation": BackendFailed,
    "NoModel": BackendFailed,
    "NoSuchFile": BackendFailed,
    "NotFound": BackendFailed,
    "NotImplemented": BackendFailed,
    "RuntimeException": BackendFailed,
}
"""ONNX Runtime's exception classes, by name, since which of them exist depends on its version."""


class OrtEngine(Engine):
    """One ONNX Runtime session with the CPU provider alone.

    Threads split a convolution's output, never the sum over its input, so that results do not depend on their number;
    a test holds it to that. Idle threads sleep rather than spin, since a console has other work.

    Args:
        spec, model, threads: as :func:`edge_sacro.engine.open_engine` has them.
        optimise: False runs the graph node by node as it is written: slow, and the reference of qualification.
    """

    backend = "onnxruntime"

    def __init__(self, spec: NetworkSpec, model: bytes, threads: int, *, optimise: bool = True) -> None:
        silence()
        import onnxruntime

        super().__init__(spec)
        self.vendor_version = str(onnxruntime.__version__)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        # One block laid out beforehand for all tensors is larger than what is in use at any one time, and no faster:
        # the published segmenter takes 326 MB without it, 394 MB with it.
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        if not optimise:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._ort: Any = onnxruntime
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _mapped(error, spec.name) from error
        found = NetworkSpec(spec.name, _specs(self._session.get_inputs()), _specs(self._session.get_outputs()))
        if found != spec:
            raise BundleContractBroken(f"the network is {found}, the contract says {spec}", source=spec.name)

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        names = [spec.name for spec in self.spec.outputs]
        options = self._ort.RunOptions()
        timer = None
        if deadline is not None:
            timer = threading.Timer(max(deadline - time.monotonic(), 0.0), setattr, (options, "terminate", True))
            timer.daemon = True
            timer.start()
        try:
            return dict(zip(names, self._session.run(names, dict(inputs), options), strict=True))
        except Exception as error:
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineExceeded("the network was stopped at the deadline", source=self.spec.name) from error
            raise _mapped(error, self.spec.name) from error
        finally:
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        """Drop the session with its arena."""
        self._session = None


def _specs(arguments: list[Any]) -> tuple[TensorSpec, ...]:
    """The session's own account of its tensors; a dynamic axis or another type than float32 shows in the name."""
    return tuple(
        TensorSpec(a.name if a.type == "tensor(float)" else f"{a.name}: {a.type}", tuple(a.shape)) for a in arguments
    )


def _mapped(error: Exception, source: str) -> EdgeSacroError:
    """Our error for a vendor's. What the table does not list is not caught: it goes up as it is."""
    known = ERROR_FROM_VENDOR.get(type(error).__name__)
    if known is None:
        raise error
    return known(f"ONNX Runtime: {type(error).__name__}: {error}", source=source)
