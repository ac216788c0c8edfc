"""The full-size published architectures with generated weights: checkpoints, a bundle, ONNX Runtime sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from export.architectures import CLASSIFIER, SEGMENTER

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


def write_bundle(folder: Path) -> Path:
    """The bundle that ``python -m export model`` makes of the checkpoints in ``folder``."""
    from click.testing import CliRunner

    from export.__main__ import main

    files = {"segmenter": SEGMENTER_FILE, "classifier": CLASSIFIER_FILE}
    weights = [part for name, file in files.items() for part in ("--weights", f"{name}={folder / file}")]
    done = CliRunner().invoke(main, ["model", "dorfner2024", *weights, "--out", str(folder / "bundle")])
    if done.exit_code:
        raise AssertionError(done.output)
    return folder / "bundle"


def runner(path: Path) -> Run:
    """The network of an ONNX file, by its input's name; its logits."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(batch: np.ndarray) -> np.ndarray:
        (logits,) = session.run(["logits"], {"image": batch})
        return np.asarray(logits)

    return run
