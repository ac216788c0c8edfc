"""Layers that compute as Keras does and know which TensorFlow variables fill them.

Tensors are (n, channels, rows, columns).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

KEEP = (0,)
FROM_KERNEL = (3, 2, 0, 1)
"""Rows, columns, inputs, outputs to outputs, inputs, rows, columns."""

FROM_DEPTHWISE_KERNEL = (2, 3, 0, 1)
"""Rows, columns, channels, 1 to channels, 1, rows, columns."""


@dataclass(frozen=True, eq=False)
class Link:
    """A tensor of the twin and the axes of the variable, in the tensor's order, that fills it."""

    tensor: torch.Tensor
    axes: tuple[int, ...]


Links = dict[str, Link]
"""Links by the variables' full names."""


class Layer(nn.Module, ABC):
    """A layer that variables fill: those under ``name`` in TensorFlow."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @abstractmethod
    def links(self) -> Links:
        """What fills this layer's tensors."""


def links_from_module(module: nn.Module) -> Links:
    """Every variable that the module needs, by full name.

    Raises:
        ValueError: two layers ask for one variable.
    """
    found: Links = {}
    for layer in module.modules():
        for name, link in layer.links().items() if isinstance(layer, Layer) else ():
            if name in found:
                raise ValueError(f"two layers are filled by {name}")
            found[name] = link
    return found


class Convolution(Layer):
    """A full convolution with TensorFlow's SAME padding."""

    def __init__(self, name: str, channels: tuple[int, int], kernel: int = 1, stride: int = 1, *, bias: bool) -> None:
        super().__init__(name)
        self.conv = nn.Conv2d(*channels, kernel, stride, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride), rounded up."""
        return _padded_convolution(self.conv, x)

    def links(self) -> Links:
        """``kernel`` and, where it has one, ``bias``."""
        found = {f"{self.name}/kernel": Link(self.conv.weight, FROM_KERNEL)}
        if self.conv.bias is not None:
            found[f"{self.name}/bias"] = Link(self.conv.bias, KEEP)
        return found


class DepthwiseConvolution(Layer):
    """A depthwise convolution without bias, with TensorFlow's SAME padding."""

    def __init__(self, name: str, channels: int, kernel: int, stride: int) -> None:
        super().__init__(name)
        self.conv = nn.Conv2d(channels, channels, kernel, stride, groups=channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w) to (n, channels, h / stride, w / stride), rounded up."""
        return _padded_convolution(self.conv, x)

    def links(self) -> Links:
        """``depthwise_kernel``."""
        return {f"{self.name}/depthwise_kernel": Link(self.conv.weight, FROM_DEPTHWISE_KERNEL)}


class SeparableConvolution(Layer):
    """3 x 3 depthwise, then 1 x 1 with bias; nothing between them."""

    def __init__(self, name: str, inputs: int, outputs: int) -> None:
        super().__init__(name)
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h, w)."""
        result: torch.Tensor = self.pointwise(self.depthwise(x))
        return result

    def links(self) -> Links:
        """``depthwise_kernel``, ``pointwise_kernel`` and ``bias``."""
        if self.pointwise.bias is None:
            raise ValueError(f"{self.name} has lost its bias")
        return {
            f"{self.name}/depthwise_kernel": Link(self.depthwise.weight, FROM_DEPTHWISE_KERNEL),
            f"{self.name}/pointwise_kernel": Link(self.pointwise.weight, FROM_KERNEL),
            f"{self.name}/bias": Link(self.pointwise.bias, KEEP),
        }


class BatchNorm(Layer):
    """Batch normalisation by the moving statistics; TensorFlow's epsilon is 1e-3 where PyTorch's is 1e-5."""

    def __init__(self, name: str, channels: int, epsilon: float) -> None:
        super().__init__(name)
        self.norm = nn.BatchNorm2d(channels, eps=epsilon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w), the same out."""
        result: torch.Tensor = self.norm(x)
        return result

    def links(self) -> Links:
        """``gamma``, ``beta``, ``moving_mean`` and ``moving_variance``."""
        mean, variance = self.norm.running_mean, self.norm.running_var
        if mean is None or variance is None:
            raise ValueError(f"{self.name} has lost its moving statistics")
        return {
            f"{self.name}/gamma": Link(self.norm.weight, KEEP),
            f"{self.name}/beta": Link(self.norm.bias, KEEP),
            f"{self.name}/moving_mean": Link(mean, KEEP),
            f"{self.name}/moving_variance": Link(variance, KEEP),
        }


class Combination(Layer):
    """Fast normalised fusion (EfficientDet, section 3.3): weights are cut at 0 and divided by their sum + 1e-4."""

    def __init__(self, name: str, inputs: int) -> None:
        super().__init__(name)
        self.weights = nn.Parameter(torch.ones(inputs))

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Maps of one shape to their weighted sum."""
        weights = functional.relu(self.weights)
        weights = weights / (weights.sum() + 1e-4)
        total = maps[0] * weights[0]
        for index in range(1, len(maps)):
            total = total + maps[index] * weights[index]
        return total

    def links(self) -> Links:
        """``bifpn_combine_weights``, a column there."""
        column = self.weights.detach().unsqueeze(1)
        return {f"{self.name}/bifpn_combine_weights": Link(column, (0, 1))}


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding before and after an axis: the odd pixel goes after."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def _padded_convolution(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    (rows, columns), (down, across) = conv.kernel_size, conv.stride
    top, bottom = same_padding(x.shape[2], rows, down)
    left, right = same_padding(x.shape[3], columns, across)
    if (top, left) == (bottom, right):
        return functional.conv2d(x, conv.weight, conv.bias, conv.stride, (top, left), groups=conv.groups)
    result: torch.Tensor = conv(functional.pad(x, (left, right, top, bottom)))
    return result
