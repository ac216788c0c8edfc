"""The full-size published architectures with generated weights, as checkpoints and as ONNX Runtime sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from export import anatomy_aware
from export.onnx_graph import onnx_from_module
from tests.golden.weights import generated_tensor

Run = Callable[[np.ndarray], np.ndarray]

SEGMENTER_FILE, CLASSIFIER_FILE = "segmentation_model.pt", "classification_model.ckpt"


def generated_weights(network: str) -> dict[str, np.ndarray]:
    """Every tensor of ``"seg"`` or ``"cls"`` under its key in the published checkpoint."""
    module = anatomy_aware.segmenter() if network == "seg" else anatomy_aware.classifier()
    prefix = "" if network == "seg" else "model."
    keys = {prefix + key: tuple(value.shape) for key, value in module.state_dict().items()}
    return {key: generated_tensor(network, key, shape) for key, shape in keys.items()}


def write_checkpoints(folder: Path) -> None:
    """Both checkpoints in the published layouts."""
    import torch

    def tensors(network: str) -> dict[str, torch.Tensor]:
        return {key: torch.from_numpy(np.asarray(value)) for key, value in generated_weights(network).items()}

    torch.save({"network": tensors("seg")}, folder / SEGMENTER_FILE)
    torch.save({"state_dict": tensors("cls"), "epoch": 3}, folder / CLASSIFIER_FILE)


def write_onnx(folder: Path) -> tuple[Path, Path]:
    """Both networks exported from their checkpoints in ``folder``: segmenter, classifier."""
    segmenter = anatomy_aware.segmenter_from_checkpoint(folder / SEGMENTER_FILE)
    classifier = anatomy_aware.classifier_from_checkpoint(folder / CLASSIFIER_FILE)
    return (
        onnx_from_module(segmenter, folder / "segmenter.onnx", anatomy_aware.SEGMENTER_INPUT),
        onnx_from_module(classifier, folder / "classifier.onnx", anatomy_aware.CLASSIFIER_INPUT),
    )


def runner(path: Path) -> Run:
    """The network of an ONNX file, by its input's and output's names."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(batch: np.ndarray) -> np.ndarray:
        (logits,) = session.run(["logits"], {"image": batch})
        return np.asarray(logits)

    return run
