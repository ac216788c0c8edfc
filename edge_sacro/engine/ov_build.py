"""OpenVINO's own engine: a network as its CPU plug-in has compiled it for this processor."""

from __future__ import annotations

from edge_sacro.engine.ov import ERROR_FROM_VENDOR, SETTINGS
from edge_sacro.engine.ov_concat import check_concatenations
from edge_sacro.engine.silence import silence
from edge_sacro.errors import EngineBuildFailed


def blob_from_onnx(name: str, model: bytes) -> bytes:
    """Compile a network for this processor.

    Args:
        name: of the network, for messages.
        model: the ONNX file's bytes.

    Returns:
        what only this version of OpenVINO on this instruction set should open.

    Raises:
        EngineBuildFailed: OpenVINO refuses the network.
        Int8Inexact: this version would sum it wrongly.
    """
    silence()
    import openvino

    core = openvino.Core()
    try:
        network = core.read_model(model)
        check_concatenations(network)
        compiled = core.compile_model(network, "CPU", {**SETTINGS, "CACHE_MODE": "OPTIMIZE_SPEED"})
        return bytes(compiled.export_model().getvalue())
    except Exception as error:
        if type(error).__name__ not in ERROR_FROM_VENDOR:
            raise
        message = " ".join(str(error).split())
        raise EngineBuildFailed(f"OpenVINO: {type(error).__name__}: {message}", source=name) from error
