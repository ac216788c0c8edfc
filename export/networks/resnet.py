"""ResNet-50, ResNet-101 and ResNeXt-50 (32x4d) under torchvision's keys, with the heads that the systems have.

He K et al., Deep residual learning for image recognition, CVPR 2016; Xie S et al., Aggregated residual transformations
for deep neural networks, CVPR 2017. The stride stands in the 3 x 3 convolution, as in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from export.networks.classifier import Classifier

FEATURES = 2048


@dataclass(frozen=True)
class Depth:
    """Blocks of the four stages, and the groups of the 3 x 3 convolutions with the width of each in the first stage."""

    blocks: tuple[int, int, int, int]
    groups: int = 1
    group_width: int = 64


RESNET_50 = Depth((3, 4, 6, 3))
RESNET_101 = Depth((3, 4, 23, 3))
RESNEXT_50 = Depth((3, 4, 6, 3), groups=32, group_width=4)


class ResNet(Classifier):
    """Image (n, channels, h, w) to logits (n, classes); h and w at least 32.

    Args:
        depth: which network of the family.
        channels: of the image.
        head: takes the 2048 means; ``fc`` in the keys.
    """

    def __init__(self, depth: Depth, channels: int, head: nn.Linear | nn.Sequential) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(depth)
        self.fc = head

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """The output of ``layer4``, (n, 2048, h / 32, w / 32)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        features: torch.Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return features

    def head(self) -> Sequence[nn.Module]:
        """``fc``, or its parts."""
        return list(self.fc) if isinstance(self.fc, nn.Sequential) else [self.fc]


def anatomy_aware_classifier(classes: int = 2) -> ResNet:
    """ResNet-50 with one input channel and the head of Dorfner et al. 2024."""
    head = nn.Sequential(
        nn.Linear(FEATURES, 1024), nn.ReLU(), nn.BatchNorm1d(1024), nn.Dropout(), nn.Linear(1024, classes)
    )
    return ResNet(RESNET_50, 1, head)


class Bottleneck(nn.Module):
    """torchvision's bottleneck block."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample: nn.Module | None = None
        if inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        inner = self.relu(self.bn1(self.conv1(x)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        skip = x if self.downsample is None else self.downsample(x)
        result: torch.Tensor = self.relu(self.bn3(self.conv3(inner)) + skip)
        return result


def stages(depth: Depth) -> list[nn.Sequential]:
    """``layer1`` to ``layer4``: the second and later ones halve the image in their first block."""
    found = []
    inputs = 64
    for stage, blocks in enumerate(depth.blocks):
        outputs = 256 << stage
        inner = depth.groups * depth.group_width << stage
        strides = [2 if stage else 1, *[1] * (blocks - 1)]
        parts = []
        for stride in strides:
            parts.append(Bottleneck(inputs, inner, outputs, stride, depth.groups))
            inputs = outputs
        found.append(nn.Sequential(*parts))
    return found
