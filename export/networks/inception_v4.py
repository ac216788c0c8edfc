"""Inception-v4 under timm's keys.

Szegedy C et al., Inception-v4, Inception-ResNet and the impact of residual connections on learning, AAAI 2017, Figures
3 to 9. Batch norm's epsilon is 0.001.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from export.networks.classifier import Classifier

Kernel = int | tuple[int, int]


class InceptionV4(Classifier):
    """Image (n, 3, h, w) to logits (n, classes); h and w at least 75."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        stem: list[nn.Module] = [
            Unit(3, 32, 3, stride=2),
            Unit(32, 32, 3),
            Unit(32, 64, 3, padding=1),
            StemPoolFirst(),
            StemFactorised(),
            StemConvolutionFirst(),
        ]
        self.features = nn.Sequential(
            *stem,
            *(_block_a() for _ in range(4)),
            _reduction_a(),
            *(_block_b() for _ in range(7)),
            _reduction_b(),
            *(BlockC() for _ in range(3)),
        )
        self.last_linear = nn.Linear(1536, classes)

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """The last block's output, (n, 1536, about h / 32 - 2, about w / 32 - 2)."""
        features: torch.Tensor = self.features(image)
        return features

    def head(self) -> list[nn.Module]:
        """``last_linear``."""
        return [self.last_linear]


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, *, stride: int = 1, padding: Kernel = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h', w')."""
        return torch.relu(self.bn(self.conv(x)))


def same(inputs: int, outputs: int, rows: int, columns: int) -> Unit:
    """A unit that keeps the map's size."""
    return Unit(inputs, outputs, (rows, columns), padding=(rows // 2, columns // 2))


class Branches(nn.Module):
    """Named ``branch0`` and on; their maps are joined along channels."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.count = len(branches)
        for index, branch in enumerate(branches):
            self.add_module(f"branch{index}", branch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) to (n, c', h', w')."""
        return torch.cat([self.get_submodule(f"branch{index}")(x) for index in range(self.count)], dim=1)


class StemPoolFirst(nn.Module):
    """Maximum pooling beside a convolution, both of stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.maxpool = nn.MaxPool2d(3, stride=2)
        self.conv = Unit(64, 96, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 64, h, w) to (n, 160, h / 2, w / 2)."""
        return torch.cat([self.maxpool(x), self.conv(x)], dim=1)


class StemFactorised(Branches):
    """A 3 x 3 convolution beside one that a 1 x 7 and a 7 x 1 precede."""

    def __init__(self) -> None:
        super().__init__(
            [
                nn.Sequential(Unit(160, 64, 1), Unit(64, 96, 3)),
                nn.Sequential(Unit(160, 64, 1), same(64, 64, 1, 7), same(64, 64, 7, 1), Unit(64, 96, 3)),
            ]
        )


class StemConvolutionFirst(nn.Module):
    """A convolution beside maximum pooling, both of stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Unit(192, 192, 3, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 192, h, w) to (n, 384, h / 2, w / 2)."""
        return torch.cat([self.conv(x), self.maxpool(x)], dim=1)


def _averaged(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), Unit(inputs, outputs, 1))


def _block_a() -> Branches:
    return Branches(
        [
            Unit(384, 96, 1),
            nn.Sequential(Unit(384, 64, 1), same(64, 96, 3, 3)),
            nn.Sequential(Unit(384, 64, 1), same(64, 96, 3, 3), same(96, 96, 3, 3)),
            _averaged(384, 96),
        ]
    )


def _reduction_a() -> Branches:
    return Branches(
        [
            Unit(384, 384, 3, stride=2),
            nn.Sequential(Unit(384, 192, 1), same(192, 224, 3, 3), Unit(224, 256, 3, stride=2)),
            nn.MaxPool2d(3, stride=2),
        ]
    )


def _block_b() -> Branches:
    deep = [(192, 192, 7, 1), (192, 224, 1, 7), (224, 224, 7, 1), (224, 256, 1, 7)]
    return Branches(
        [
            Unit(1024, 384, 1),
            nn.Sequential(Unit(1024, 192, 1), same(192, 224, 1, 7), same(224, 256, 7, 1)),
            nn.Sequential(Unit(1024, 192, 1), *(same(*each) for each in deep)),
            _averaged(1024, 128),
        ]
    )


def _reduction_b() -> Branches:
    return Branches(
        [
            nn.Sequential(Unit(1024, 192, 1), Unit(192, 192, 3, stride=2)),
            nn.Sequential(Unit(1024, 256, 1), same(256, 256, 1, 7), same(256, 320, 7, 1), Unit(320, 320, 3, stride=2)),
            nn.MaxPool2d(3, stride=2),
        ]
    )


class BlockC(nn.Module):
    """Two of its branches end in a 1 x 3 and a 3 x 1 side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = Unit(1536, 256, 1)
        self.branch1_0 = Unit(1536, 384, 1)
        self.branch1_1a = same(384, 256, 1, 3)
        self.branch1_1b = same(384, 256, 3, 1)
        self.branch2_0 = Unit(1536, 384, 1)
        self.branch2_1 = same(384, 448, 3, 1)
        self.branch2_2 = same(448, 512, 1, 3)
        self.branch2_3a = same(512, 256, 1, 3)
        self.branch2_3b = same(512, 256, 3, 1)
        self.branch3 = _averaged(1536, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1536, h, w) to the same shape."""
        short = self.branch1_0(x)
        long = self.branch2_2(self.branch2_1(self.branch2_0(x)))
        parts = [self.branch0(x), self.branch1_1a(short), self.branch1_1b(short)]
        parts += [self.branch2_3a(long), self.branch2_3b(long), self.branch3(x)]
        return torch.cat(parts, dim=1)
