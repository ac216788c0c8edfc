"""Opening the engines of a store, each with the backend that runs its builder's."""

from __future__ import annotations

from collections.abc import Callable

from edge_sacro.engine import open_engine
from edge_sacro.engine.base import Engine, NetworkSpec
from edge_sacro.engine.seal import Builder
from edge_sacro.errors import BackendUnavailable


def _open_tensorrt(spec: NetworkSpec, plan: bytes, threads: int) -> Engine:
    from edge_sacro.engine.trt import TensorRtEngine

    return TensorRtEngine(spec, plan, threads)


def _open_tensorrt_rtx(spec: NetworkSpec, plan: bytes, threads: int) -> Engine:
    from edge_sacro.engine.trt import TensorRtRtxEngine

    return TensorRtRtxEngine(spec, plan, threads)


def _open_openvino(spec: NetworkSpec, blob: bytes, threads: int) -> Engine:
    from edge_sacro.engine.ov import OpenVinoBlobEngine

    return OpenVinoBlobEngine(spec, blob, threads)


PLAN_BACKENDS: dict[str, Callable[[NetworkSpec, bytes, int], Engine]] = {
    "openvino": _open_openvino,
    "tensorrt": _open_tensorrt,
    "tensorrt-rtx": _open_tensorrt_rtx,
}
"""Those that run compiled plans alone. The engines of any other builder are ONNX files, run by the backend it names."""


def open_compiled(builder: Builder, spec: NetworkSpec, content: bytes, threads: int) -> Engine:
    """Open an engine of a store, whose seal has been held to this machine.

    Args:
        builder: whose engine it is.
        spec: names, shapes and types that the network must have.
        content: the engine's bytes.
        threads: inside one inference, where the backend has threads.

    Raises:
        BackendUnavailable: a package, the driver or the GPU that it needs is absent.
        BackendFailed: the vendor refuses it.
        BundleContractBroken: it is not what ``spec`` says.
        EngineStale: the vendor says that it is for another GPU or version.
    """
    opener = PLAN_BACKENDS.get(builder)
    if opener is None:
        return open_engine(builder, spec, content, threads)
    try:
        return opener(spec, content, threads)
    except ModuleNotFoundError as error:
        raise BackendUnavailable(f"{builder} engines need the package {error.name!r}", source=builder) from error


def builds_elsewhere(builder: Builder) -> bool:
    """Whether engines are built on machines that may not run them, as TensorRT-RTX does with no GPU."""
    return builder == "tensorrt-rtx"
