"""fastai's vision learner on ResNet-50: torchvision's body without its head, and fastai's own, under fastai's keys.

``vision_learner`` (once ``cnn_learner``) makes ``Sequential(body, head)``, so keys begin with ``0.`` and ``1.``; the
body's children are numbered as they stand in torchvision's module. Howard J, Gugger S, fastai: a layered API for deep
learning, Information 2020.
"""

from __future__ import annotations

from collections.abc import Set
from typing import cast

import torch
from torch import nn

from export.networks.classifier import Classifier
from export.networks.resnet import FEATURES, RESNET_50, stages


class FastaiResNet50(Classifier):
    """Image (n, 3, h, w) to logits (n, classes).

    Args:
        classes: of the last layer.
        bias: whether the head's linear layers have one: fastai 1 gives it, fastai 2 does not.
    """

    def __init__(self, classes: int = 2, *, bias: bool = False) -> None:
        super().__init__()
        body = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            *stages(RESNET_50),
        )
        head = nn.Sequential(
            ConcatenatedPooling(),
            nn.Flatten(),
            nn.BatchNorm1d(2 * FEATURES),
            nn.Dropout(0.25),
            nn.Linear(2 * FEATURES, 512, bias=bias),
            nn.ReLU(),
            nn.BatchNorm1d(512),
            nn.Dropout(0.5),
            nn.Linear(512, classes, bias=bias),
        )
        self.add_module("0", body)
        self.add_module("1", head)

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """The body's output, (n, 2048, h / 32, w / 32)."""
        features: torch.Tensor = self.get_submodule("0")(image)
        return features

    def pooled(self, feature_map: torch.Tensor) -> torch.Tensor:
        """Maxima, then means, (n, 4096)."""
        pooled: torch.Tensor = self._head()[:2](feature_map)
        return pooled

    def by_channel(self, gradient: torch.Tensor) -> torch.Tensor:
        """A maximum's gradient goes to one position, a mean's in equal parts to all: both sums are the gradient."""
        of_maximum, of_mean = gradient.chunk(2, dim=1)
        return of_maximum + of_mean

    def head(self) -> list[nn.Module]:
        """From the first batch norm on."""
        return list(self._head().children())[2:]

    def _head(self) -> nn.Sequential:
        return cast(nn.Sequential, self.get_submodule("1"))


class ConcatenatedPooling(nn.Module):
    """fastai's ``AdaptiveConcatPool2d`` to one position, as plain reductions: (n, c, h, w) to (n, 2 c, 1, 1)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maxima first."""
        return torch.cat([x.amax(dim=(2, 3), keepdim=True), x.mean(dim=(2, 3), keepdim=True)], dim=1)


def has_biases(keys: Set[str]) -> bool:
    """Whether a checkpoint's keys are those of a fastai 1 head."""
    return bool(keys & {"1.4.bias", "1.8.bias"})
