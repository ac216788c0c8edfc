"""VGG-16 (no batch norm) under torchvision's keys.

Simonyan K, Zisserman A, Very deep convolutional networks for large-scale image recognition, ICLR 2015.
"""

from __future__ import annotations

import torch
from torch import nn

from export.networks.classifier import Classifier

GRID = 7
"""The head takes a grid of 7 x 7; torchvision averages a map of another size down, or up, to it."""

_WIDTHS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class VGG16(Classifier):
    """Image (n, 3, rows, columns) to logits (n, classes).

    Args:
        rows, columns: of the image, at least 32: the pooling becomes two constant matrices, because backends know no
            adaptive pooling.
        classes: of the last layer.
    """

    def __init__(self, rows: int = 512, columns: int = 512, classes: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width, convolutions in _WIDTHS:
            for _ in range(convolutions):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2, stride=2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512 * GRID * GRID, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, classes),
        )
        self.register_buffer("row_means", _means(rows // 32), persistent=False)
        self.register_buffer("column_means", _means(columns // 32).T.contiguous(), persistent=False)

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """The last convolution's output after its ReLU, (n, 512, rows / 16, columns / 16)."""
        features: torch.Tensor = self.features[:-1](image)
        return features

    def pooled(self, feature_map: torch.Tensor) -> torch.Tensor:
        """The last maximum pooling and the grid, flattened: (n, 25088)."""
        x: torch.Tensor = self.features[-1](feature_map)
        if self.get_buffer("row_means").shape[1] != GRID:
            x = torch.matmul(self.get_buffer("row_means"), x)
        if self.get_buffer("column_means").shape[0] != GRID:
            x = torch.matmul(x, self.get_buffer("column_means"))
        return x.flatten(1)

    def by_channel(self, gradient: torch.Tensor) -> torch.Tensor:
        """A mean hands on its gradient in parts that sum to it, a maximum whole: a channel's sum is the grid's."""
        return gradient.reshape(gradient.shape[0], -1, GRID * GRID).sum(dim=2)

    def head(self) -> list[nn.Module]:
        """``classifier``."""
        return list(self.classifier)


def _means(length: int) -> torch.Tensor:
    """A line of ``length`` to 7 means of equal parts; parts overlap where 7 is no divisor (PyTorch's bounds)."""
    matrix = torch.zeros(GRID, length)
    for part in range(GRID):
        first, last = part * length // GRID, -(-(part + 1) * length // GRID)
        matrix[part, first:last] = 1 / (last - first)
    return matrix
