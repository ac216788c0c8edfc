"""What every classifier is: a feature map, a pooling, and a head of linear layers that an explanation can walk back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Classifier(nn.Module):
    """Base of the classifiers: a network writes ``feature_map`` and ``head``, and the others where it pools otherwise.

    The pooling must be one whose gradient, summed over the feature map's positions, does not depend on the map:
    averages, maxima and copies are. Then the mean gradient of a channel, which Grad-CAM weighs it with, is a closed
    form (``export.explanation``).
    """

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """The map that Grad-CAM looks at, (n, channels, h, w): the last convolution's, after its activation."""
        raise NotImplementedError

    def head(self) -> Sequence[nn.Module]:
        """The layers from the pooled vector to the logits: Linear, ReLU, BatchNorm1d, Dropout; the last is Linear."""
        raise NotImplementedError

    def pooled(self, feature_map: torch.Tensor) -> torch.Tensor:
        """The vector that the head takes, (n, length): the mean of each channel."""
        return feature_map.mean(dim=(2, 3))

    def by_channel(self, gradient: torch.Tensor) -> torch.Tensor:
        """A gradient with respect to the pooled vector, (rows, length), to sums over each channel, (rows, channels)."""
        return gradient

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes)."""
        x = self.pooled(self.feature_map(image))
        for layer in self.head():
            x = layer(x)
        return x
