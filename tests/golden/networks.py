"""The full-size published architectures with generated weights, as checkpoints and as ONNX Runtime sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from export.architectures import CLASSIFIER, SEGMENTER
from export.onnx_graph import onnx_from_module

Run = Callable[[np.ndarray], np.ndarray]

SEGMENTER_FILE, CLASSIFIER_FILE = "segmentation_model.pt", "classification_model.ckpt"


def generated_weights(network: str) -> dict[str, np.ndarray]:
    """Every tensor of ``"seg"`` or ``"cls"`` under its key in the published checkpoint."""
    return {"seg": SEGMENTER, "cls": CLASSIFIER}[network].generated()


def write_checkpoints(folder: Path) -> None:
    """Both checkpoints in the published layouts."""
    import torch

    def tensors(network: str) -> dict[str, torch.Tensor]:
        return {key: torch.from_numpy(np.asarray(value)) for key, value in generated_weights(network).items()}

    torch.save({"network": tensors("seg")}, folder / SEGMENTER_FILE)
    torch.save({"state_dict": tensors("cls"), "epoch": 3}, folder / CLASSIFIER_FILE)


def write_onnx(folder: Path) -> tuple[Path, Path]:
    """Both networks exported from their checkpoints in ``folder``: segmenter, classifier."""
    segmenter = SEGMENTER.from_checkpoint(folder / SEGMENTER_FILE)
    classifier = CLASSIFIER.from_checkpoint(folder / CLASSIFIER_FILE)
    return (
        onnx_from_module(segmenter, folder / "segmenter.onnx", SEGMENTER.shape),
        onnx_from_module(classifier, folder / "classifier.onnx", CLASSIFIER.shape),
    )


def runner(path: Path) -> Run:
    """The network of an ONNX file, by its input's name; its logits."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(batch: np.ndarray) -> np.ndarray:
        (logits,) = session.run(["logits"], {"image": batch})
        return np.asarray(logits)

    return run
