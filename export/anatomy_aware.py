"""The anatomy-aware system's networks from their published checkpoints, as modules ready for export.

The segmenter is MONAI's U-Net; its checkpoint is a dictionary with the weights under ``network``. The classifier is
ResNet-50 with torchvision's keys, one input channel and a head of two layers; its checkpoint is Lightning's, with the
weights under ``state_dict`` and each key under ``model.``.

MONAI reads images transposed, so the published segmenter was trained on columns x rows. The runtime works on rows x
columns: :func:`segmenter_from_checkpoint` transposes the kernels, once, instead of every image (the network has no
other part that knows its axes). The classifier was trained on arrays turned by a quarter, which is the displayed image
mirrored: its kernels stay and the runtime mirrors the crop.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edge_sacro.errors import BundleContractBroken, UsageError

SEGMENTER_INPUT = (1, 1, 512, 512)
CLASSIFIER_INPUT = (1, 1, 416, 628)

Weights = Mapping[str, torch.Tensor]

_NAMED_AT_MOST = 8


def segmenter() -> nn.Module:
    """The published U-Net with fresh weights: (n, 1, h, w), -1 to 1, to logits (n, 4, h, w); h and w multiples of 8."""
    from monai.networks.nets import UNet

    net: nn.Module = UNet(
        spatial_dims=2, in_channels=1, out_channels=4, channels=(64, 128, 256, 512), strides=(2, 2, 2), num_res_units=3
    )
    return net


def classifier() -> nn.Module:
    """The published ResNet-50 with fresh weights: (n, 1, h, w), 0 to 1, to logits (n, 2), h and w at least 32."""
    return AnatomyAwareResNet()


def segmenter_from_checkpoint(path: Path) -> nn.Module:
    """Load ``segmentation_model.pt`` for images in display orientation.

    Raises:
        UsageError: no checkpoint of this layout can be read from the file.
        BundleContractBroken: keys or shapes are not those of the published network; the message names them.
    """
    return in_display_orientation(_filled(segmenter(), _weights(path, "network"), path))


def classifier_from_checkpoint(path: Path) -> nn.Module:
    """Load ``classification_model.ckpt``; raises what :func:`segmenter_from_checkpoint` raises."""
    weights = _weights(path, "state_dict")
    bare = {key.removeprefix("model."): value for key, value in weights.items() if key.startswith("model.")}
    # A key outside the prefix goes on under its own name, so that it is reported as unexpected.
    foreign = {key: value for key, value in weights.items() if not key.startswith("model.")}
    return _filled(classifier(), {**bare, **foreign}, path)


def in_display_orientation(net: nn.Module) -> nn.Module:
    """Swap the two axes of every convolution's kernel in place: what ran on x, y then runs on rows, columns."""
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                part.weight.copy_(part.weight.transpose(-1, -2).clone())
    return net


class AnatomyAwareResNet(nn.Module):
    """ResNet-50 with one input channel and the published head, under torchvision's names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, blocks=3, stride=1)
        self.layer2 = _stage(256, 128, blocks=4, stride=2)
        self.layer3 = _stage(512, 256, blocks=6, stride=2)
        self.layer4 = _stage(1024, 512, blocks=3, stride=2)
        self.fc = nn.Sequential(
            nn.Linear(2048, 1024), nn.ReLU(), nn.BatchNorm1d(1024), nn.Dropout(), nn.Linear(1024, 2)
        )

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """The last convolution's output, (n, 2048, h / 32, w / 32): what an explanation looks at."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        features: torch.Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return features

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (n, 2)."""
        logits: torch.Tensor = self.fc(self.features(image).mean(dim=(2, 3)))
        return logits


class Bottleneck(nn.Module):
    """torchvision's bottleneck: the stride stands in the 3 x 3 convolution."""

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, 4 width, h / stride, w / stride)."""
        inner = self.relu(self.bn1(self.conv1(x)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        skip = x if self.downsample is None else self.downsample(x)
        result: torch.Tensor = self.relu(self.bn3(self.conv3(inner)) + skip)
        return result


def _stage(inputs: int, width: int, *, blocks: int, stride: int) -> nn.Sequential:
    downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride=stride, bias=False), nn.BatchNorm2d(4 * width))
    first = Bottleneck(inputs, width, stride, downsample)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1, None) for _ in range(blocks - 1)))


class _Inert:
    """Stands in for any class that a checkpoint names beside its tensors; it takes everything and does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Ignore everything."""

    def __setstate__(self, state: object) -> None:
        """Ignore the state."""


def _weights(path: Path, key: str) -> Weights:
    """The tensors under ``key``. No code of the file runs: classes that it names are replaced by inert ones."""
    remedy = f"Give the published checkpoint, or one saved as torch.save({{{key!r}: weights}}, file)."
    try:
        named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        stand_ins: list[Any] = [(dict if name.endswith(".AttributeDict") else _Inert, name) for name in named]
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise UsageError(f"no checkpoint can be read: {error}", source=str(path), remedy=remedy) from error
    weights = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise UsageError(f"the checkpoint holds no tensors under {key!r}", source=str(path), remedy=remedy)
    return weights


def _filled(net: nn.Module, weights: Weights, path: Path) -> nn.Module:
    expected = net.state_dict()
    missing = [key for key in expected if key not in weights]
    unexpected = [key for key in weights if key not in expected]
    reshaped = [
        f"{key} {tuple(weights[key].shape)}, not {tuple(value.shape)}"
        for key, value in expected.items()
        if key in weights and weights[key].shape != value.shape
    ]
    faults = [
        f"{len(keys)} {kind}: {', '.join(keys[:_NAMED_AT_MOST])}{', …' if len(keys) > _NAMED_AT_MOST else ''}"
        for kind, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if keys
    ]
    if faults:
        remedy = "Give the checkpoint of this very network; another architecture cannot be loaded into it."
        raise BundleContractBroken("; ".join(faults), source=str(path), remedy=remedy)
    net.load_state_dict(dict(weights))
    return net.eval()
