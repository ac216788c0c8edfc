"""DenseNet-121 under torchvision's keys.

Huang G et al., Densely connected convolutional networks, CVPR 2017.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from export.networks.classifier import Classifier

GROWTH = 32
_BLOCKS = (6, 12, 24, 16)


class DenseNet121(Classifier):
    """Image (n, 3, h, w) to logits (n, classes); h and w at least 32."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv0"] = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        parts["norm0"] = nn.BatchNorm2d(64)
        parts["relu0"] = nn.ReLU()
        parts["pool0"] = nn.MaxPool2d(3, stride=2, padding=1)
        width = 64
        for number, layers in enumerate(_BLOCKS, start=1):
            parts[f"denseblock{number}"] = DenseBlock(width, layers)
            width += layers * GROWTH
            if number < len(_BLOCKS):
                parts[f"transition{number}"] = _transition(width)
                width //= 2
        parts["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(parts)
        self.classifier = nn.Linear(width, classes)

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """The last block's map after its batch norm and ReLU, (n, 1024, h / 32, w / 32)."""
        return torch.relu(self.features(image))

    def head(self) -> list[nn.Module]:
        """``classifier``."""
        return [self.classifier]


class DenseBlock(nn.ModuleDict):
    """Each layer sees all maps before it and adds 32 channels: (n, c, h, w) to (n, c + 32 layers, h, w)."""

    def __init__(self, inputs: int, layers: int) -> None:
        super().__init__()
        for index in range(layers):
            self[f"denselayer{index + 1}"] = DenseLayer(inputs + index * GROWTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The maps so far, joined along channels."""
        for layer in self.values():
            x = torch.cat([x, layer(x)], dim=1)
        return x


class DenseLayer(nn.Module):
    """Batch norm, ReLU and convolution, twice: to 128 channels, then to 32."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * GROWTH, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * GROWTH)
        self.conv2 = nn.Conv2d(4 * GROWTH, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, 32, h, w)."""
        inner = self.conv1(torch.relu(self.norm1(x)))
        result: torch.Tensor = self.conv2(torch.relu(self.norm2(inner)))
        return result


def _transition(width: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(width),
            relu=nn.ReLU(),
            conv=nn.Conv2d(width, width // 2, 1, bias=False),
            pool=nn.AvgPool2d(2, stride=2),
        )
    )
