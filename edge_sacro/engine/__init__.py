"""Inference backends behind one seam. A backend is named by the caller and never replaced by another."""

from __future__ import annotations

from collections.abc import Callable

from edge_sacro.engine.base import Engine, NetworkSpec, TensorSpec
from edge_sacro.errors import BackendUnavailable

__all__ = ["BACKENDS", "Engine", "NetworkSpec", "Opener", "TensorSpec", "open_engine"]


def _open_null(spec: NetworkSpec, model: bytes, threads: int) -> Engine:
    from edge_sacro.engine.null import NullEngine

    return NullEngine(spec, model, threads)


def _open_onnxruntime(spec: NetworkSpec, model: bytes, threads: int) -> Engine:
    from edge_sacro.engine.ort import OrtEngine

    return OrtEngine(spec, model, threads)


def _open_openvino(spec: NetworkSpec, model: bytes, threads: int) -> Engine:
    from edge_sacro.engine.ov import OpenVinoEngine

    return OpenVinoEngine(spec, model, threads)


Opener = Callable[[str, NetworkSpec, bytes, int], Engine]
"""What :func:`open_engine` is: backend, spec, model and threads to an engine.

One of another kind may have the attributes that ``edge_sacro.engine.opening`` names.
"""

BACKENDS: dict[str, Callable[[NetworkSpec, bytes, int], Engine]] = {
    "null": _open_null,
    "onnxruntime": _open_onnxruntime,
    "openvino": _open_openvino,
}
"""Every backend by name. A table and not a scan: a backend cannot vanish because its import failed."""

_BUILT_FIRST = "It runs engines: build them with edge-sacro engine build, and name their folder with --engines."


def open_engine(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
    """Open one network with the backend that is named.

    Args:
        backend: a key of ``BACKENDS``.
        spec: names, shapes and types that the network must have.
        model: the ONNX file's bytes.
        threads: threads inside one inference, 1 or more.

    Raises:
        BackendUnavailable: the backend is unknown or its package is not installed.
        BackendFailed: the vendor refuses the network.
        BundleContractBroken: the network is not what ``spec`` says.
    """
    opener = BACKENDS.get(backend)
    if opener is None:
        known = ", ".join(sorted(BACKENDS))
        raise BackendUnavailable(
            f"there is no backend {backend!r}; known are {known}",
            source="backend",
            remedy=_BUILT_FIRST if backend.startswith("tensorrt") else None,
        )
    try:
        return opener(spec, model, threads)
    except ModuleNotFoundError as error:
        raise BackendUnavailable(f"backend {backend!r} needs the package {error.name!r}", source=backend) from error
