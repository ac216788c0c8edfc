"""The bidirectional feature pyramid, node by node as the Object Detection API numbers them.

Tan, Pang and Le, "EfficientDet", CVPR 2020, section 3.2. The API's own: every use of a backbone level in the first cell
has a 1 x 1 convolution of its own; from the second cell on, the finest level reads the last top-down node.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from export.tensorflow.layers import BatchNorm, Combination, Convolution, SeparableConvolution
from export.tensorflow.pipeline import Pyramid

_DEEPEST_INPUT = 5
"""The coarsest level that a backbone gives; the others are pooled from it."""


@dataclass(frozen=True)
class Source:
    """A node's input: the map's name, and its level."""

    name: str
    level: int


@dataclass(frozen=True)
class NodePlan:
    """One node: its name in TensorFlow, its level, and its inputs in the order of their weights."""

    name: str
    level: int
    sources: tuple[Source, ...]


def plan(pyramid: Pyramid) -> list[NodePlan]:
    """All nodes in the order in which they are computed and numbered; the last ones are the results."""
    low, high = pyramid.min_level, pyramid.max_level
    nodes = [
        NodePlan(_up(0, level), level, (Source(_up(0, level - 1), level - 1),))
        for level in range(_DEEPEST_INPUT + 1, high + 1)
    ]
    for cell in range(1, pyramid.cells + 1):
        for level in range(high - 1, low - 1, -1):
            lowest_again = level == low and cell > 1
            before = _down(cell - 1, level) if lowest_again else _up(cell - 1, level)
            coarser = Source(nodes[-1].name, level + 1)
            nodes.append(NodePlan(_down(cell, level), level, (Source(before, level), coarser)))
        for level in range(low + 1, high + 1):
            own = [Source(_up(cell - 1, level), level)]
            own += [Source(_down(cell, level), level)] if level < high else []
            finer = Source(nodes[-1].name, level - 1)
            nodes.append(NodePlan(_up(cell, level), level, (*own, finer)))
    return nodes


class FeaturePyramid(nn.Module):
    """All cells.

    Args:
        pyramid: what the configuration says of it.
        inputs: channels of the backbone's levels, from ``min_level`` to 5.
    """

    def __init__(self, pyramid: Pyramid, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.given = [_up(0, pyramid.min_level + index) for index in range(len(inputs))]
        foreign = dict(zip(self.given, inputs, strict=True))
        self.nodes = nn.ModuleList(
            Node(f"bifpn/node_{index:02d}/{node.name}", node, pyramid, foreign)
            for index, node in enumerate(plan(pyramid))
        )

    def forward(self, levels: list[torch.Tensor]) -> list[torch.Tensor]:
        """The backbone's maps to those of every level of the pyramid, from fine to coarse, (n, channels, h, w)."""
        maps = dict(zip(self.given, levels, strict=True))
        for node in self.nodes:
            if isinstance(node, Node):
                maps[node.plan.name] = node([maps[source.name] for source in node.plan.sources])
        return list(maps.values())[-len(self.pyramid.levels) :]


class Node(nn.Module):
    """Inputs brought to the node's level and channels, their weighted sum, swish, separable convolution, batch norm."""

    def __init__(self, scope: str, node: NodePlan, pyramid: Pyramid, foreign: dict[str, int]) -> None:
        super().__init__()
        self.plan = node
        channels, epsilon = pyramid.channels, pyramid.epsilon
        self.adapt = nn.ModuleList()
        for source in node.sources:
            where = f"{scope}/input_{source.name}/1x1_pre_sample"
            fitted: nn.Module = nn.Identity()
            if source.name in foreign:
                conv = Convolution(f"{where}/conv", (foreign[source.name], channels), bias=True)
                fitted = nn.Sequential(conv, BatchNorm(f"{where}/batchnorm", channels, epsilon))
            self.adapt.append(fitted)
        merges = len(node.sources) > 1
        self.combine = Combination(f"{scope}/combine", len(node.sources)) if merges and pyramid.weighted else None
        self.after: nn.Sequential | None = None
        if merges:
            self.after = nn.Sequential(
                nn.SiLU(),
                SeparableConvolution(f"{scope}/post_combine/separable_conv", channels, channels),
                BatchNorm(f"{scope}/post_combine/batchnorm", channels, epsilon),
            )

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """The sources' maps to the node's, (n, channels, h, w) at its level."""
        levels = [source.level for source in self.plan.sources]
        fitted = [
            _resampled(adapt(x), level, self.plan.level)
            for adapt, x, level in zip(self.adapt, maps, levels, strict=True)
        ]
        if self.after is None:
            return fitted[0]
        merged: torch.Tensor = _sum(fitted) if self.combine is None else self.combine(fitted)
        result: torch.Tensor = self.after(merged)
        return result


def _resampled(x: torch.Tensor, level: int, target: int) -> torch.Tensor:
    """One level coarser by the largest of 3 x 3, or one finer by repeating each pixel."""
    if target == level + 1:
        # SAME pads an even length after its end only, and a padded pixel is never the largest: a last window cut off.
        return functional.max_pool2d(x, 3, stride=2, ceil_mode=True)
    if target == level - 1:
        return functional.interpolate(x, scale_factor=2, mode="nearest")
    return x


def _sum(maps: list[torch.Tensor]) -> torch.Tensor:
    total = maps[0]
    for one in maps[1:]:
        total = total + one
    return total


def _up(cell: int, level: int) -> str:
    return f"{cell}_up_lvl_{level}"


def _down(cell: int, level: int) -> str:
    return f"{cell}_dn_lvl_{level}"
