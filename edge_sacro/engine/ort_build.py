"""ONNX Runtime's own engine: its graph after every optimisation, layouts and fusions of this processor included."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge_sacro.engine.ort import ERROR_FROM_VENDOR
from edge_sacro.engine.silence import silence
from edge_sacro.errors import EngineBuildFailed


def graph_from_onnx(name: str, model: bytes) -> bytes:
    """Optimise a network for this processor.

    Args:
        name: of the network, for messages.
        model: the ONNX file's bytes.

    Returns:
        an ONNX file that only this version of ONNX Runtime on this instruction set should run.

    Raises:
        EngineBuildFailed: ONNX Runtime refuses the network.
    """
    silence()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory(prefix="edge-sacro-") as folder:
        path = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            if type(error).__name__ not in ERROR_FROM_VENDOR:
                raise
            raise EngineBuildFailed(f"ONNX Runtime: {type(error).__name__}: {error}", source=name) from error
        return path.read_bytes()
