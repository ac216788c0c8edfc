"""Probabilities on simulated crops, and the cut-off that separates a validation part of them best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edge_sacro.classify import RADIOGRAPHIC
from export.demonstration.train_classifier import Crops

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OperatingFigures:
    """A cut-off and what it gave where it was chosen.

    Attributes:
        threshold: positive above it, strictly.
        sensitivity, specificity: on the validation part, 0 to 1.
        images: how many images that part has.
        onnx_difference: largest difference of a logit between PyTorch and ONNX Runtime.
    """

    threshold: float
    sensitivity: float
    specificity: float
    images: int
    onnx_difference: float = 0.0


def probabilities(net: nn.Module, crops: Crops, batch: int = 25) -> Floats:
    """The network's probability of definite radiographic disease for each crop, 0 to 1."""
    net.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(crops.inputs), batch):
            images = torch.from_numpy(crops.inputs[start : start + batch, None].astype(np.float32) / 255)
            parts.append(torch.softmax(net(images).double(), dim=1)[:, RADIOGRAPHIC].numpy())
    return np.concatenate(parts) if parts else np.empty(0)


def rates(predicted: Floats, positive: npt.NDArray[np.int64], threshold: float) -> tuple[float, float]:
    """Sensitivity and specificity of "above the threshold"; NaN where a class is absent."""
    called = predicted > threshold
    sick, well = positive == 1, positive == 0
    sensitivity = float(called[sick].mean()) if sick.any() else float("nan")
    specificity = float((~called[well]).mean()) if well.any() else float("nan")
    return sensitivity, specificity


def youden_threshold(predicted: Floats, positive: npt.NDArray[np.int64]) -> OperatingFigures:
    """The threshold of the largest sensitivity plus specificity: the middle of the widest best gap, to 0.01.

    Where one class is absent no threshold can be chosen and 0.5 stands, with NaN beside it in no place: rates are 0.
    """
    candidates = np.round(np.arange(0.05, 0.951, 0.01), 2)
    if len(np.unique(positive)) < 2:
        return OperatingFigures(0.5, 0.0, 0.0, len(positive))
    scores = np.array([sum(rates(predicted, positive, float(each))) for each in candidates])
    best = candidates[scores >= scores.max() - 1e-9]
    threshold = float(best[len(best) // 2])
    sensitivity, specificity = rates(predicted, positive, threshold)
    return OperatingFigures(threshold, sensitivity, specificity, len(positive))
