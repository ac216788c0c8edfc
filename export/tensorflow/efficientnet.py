"""EfficientNet-B0 to B7 as the TensorFlow model garden has it, up to the level that a detector takes.

Tan and Le, "EfficientNet", ICML 2019: table 1 and compound scaling. A detector of the Object Detection API takes its
levels where EfficientNet-B0's stages end, by name (``stack_2/block_1``), for every size: in B4 those places lie inside
the stages. Other implementations take the stages' ends; the parameters are the same, the numbers are not.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from export.tensorflow.layers import BatchNorm, Convolution, DepthwiseConvolution

COEFFICIENTS = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2.0, 3.1))
"""Width and depth of B0 to B7."""

STAGES = (
    (16, 3, 1, 1, 1),
    (24, 3, 2, 6, 2),
    (40, 5, 2, 6, 2),
    (80, 3, 3, 6, 2),
    (112, 5, 3, 6, 1),
    (192, 5, 4, 6, 2),
    (320, 3, 1, 6, 1),
)
"""Of B0: channels, kernel, blocks, expansion, stride of the first block."""

ENDPOINTS = {3: (2, 1), 4: (4, 2), 5: (6, 0)}
"""Stage and block after which a pyramid's level is taken, whatever the size of the backbone."""

STEM_CHANNELS = 32
_EPSILON = 1e-3
_SQUEEZED_TO = 0.25
_DIVISOR = 8

Place = tuple[int, int]
"""Stage and block, from 0."""


def scaled_channels(channels: int, width: float) -> int:
    """Channels times the width, to a multiple of 8 that is no more than a tenth below it."""
    target = channels * width
    rounded = max(_DIVISOR, int(target + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded if rounded >= 0.9 * target else rounded + _DIVISOR


class Backbone(nn.Module):
    """Stem and blocks up to the coarsest endpoint.

    Args:
        version: 0 to 7.
        endpoints: the place of each level, in the order of the results.
    """

    def __init__(self, version: int, endpoints: tuple[Place, ...]) -> None:
        super().__init__()
        width, depth = COEFFICIENTS[version]
        stem = scaled_channels(STEM_CHANNELS, width)
        self.endpoints = endpoints
        self.stem_conv2d = Convolution("stem_conv2d", (3, stem), 3, 2, bias=False)
        self.stem_bn = BatchNorm("stem_bn", stem, _EPSILON)
        self.blocks = nn.ModuleList()
        self.places: list[Place] = []
        self.repeats = tuple(math.ceil(depth * blocks) for _, _, blocks, _, _ in STAGES)
        inputs = stem
        for stage, (channels, kernel, _, expansion, stride) in enumerate(STAGES):
            outputs = scaled_channels(channels, width)
            for block in range(self.repeats[stage]):
                if (stage, block) > max(endpoints):
                    return
                name = f"stack_{stage}/block_{block}"
                self.blocks.append(Block(name, (inputs, outputs), kernel, expansion, stride if block == 0 else 1))
                self.places.append((stage, block))
                inputs = outputs

    def channels(self) -> tuple[int, ...]:
        """Channels of each level."""
        found = {place: block.outputs for place, block in self._placed()}
        return tuple(found[place] for place in self.endpoints)

    def unused(self) -> tuple[str, ...]:
        """Prefixes of the classifier's variables behind the coarsest endpoint: a checkpoint holds them all the same."""
        stage, block = max(self.endpoints)
        later = [f"stack_{stage}/block_{further}/" for further in range(block + 1, self.repeats[stage])]
        later += [f"stack_{further}/" for further in range(stage + 1, len(STAGES))]
        return (*later, "top_conv2d/", "top_bn/", "logits/")

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(n, 3, h, w) to the levels' maps, (n, channels, h / 2 ** level, w / 2 ** level)."""
        x = functional.silu(self.stem_bn(self.stem_conv2d(image)))
        found: dict[Place, torch.Tensor] = {}
        for place, block in self._placed():
            x = block(x)
            if place in self.endpoints:
                found[place] = x
        return [found[place] for place in self.endpoints]

    def _placed(self) -> list[tuple[Place, Block]]:
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        return list(zip(self.places, blocks, strict=True))


class Block(nn.Module):
    """Mobile inverted bottleneck with squeeze and excitation; the squeeze is a quarter of the block's input."""

    def __init__(self, name: str, channels: tuple[int, int], kernel: int, expansion: int, stride: int) -> None:
        super().__init__()
        inputs, self.outputs = channels
        inner = inputs * expansion
        squeezed = max(1, int(inputs * _SQUEEZED_TO))
        self.expand: nn.Sequential | None = None
        if expansion != 1:
            self.expand = nn.Sequential(
                Convolution(f"{name}/expand_conv2d", (inputs, inner), bias=False),
                BatchNorm(f"{name}/expand_bn", inner, _EPSILON),
                nn.SiLU(),
            )
        self.depthwise_conv2d = DepthwiseConvolution(f"{name}/depthwise_conv2d", inner, kernel, stride)
        self.depthwise_bn = BatchNorm(f"{name}/depthwise_bn", inner, _EPSILON)
        self.se_reduce = Convolution(f"{name}/se_reduce_conv2d", (inner, squeezed), bias=True)
        self.se_expand = Convolution(f"{name}/se_expand_conv2d", (squeezed, inner), bias=True)
        self.project_conv2d = Convolution(f"{name}/project_conv2d", (inner, self.outputs), bias=False)
        self.project_bn = BatchNorm(f"{name}/project_bn", self.outputs, _EPSILON)
        self.residual = stride == 1 and inputs == self.outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        inner = x if self.expand is None else self.expand(x)
        inner = functional.silu(self.depthwise_bn(self.depthwise_conv2d(inner)))
        gate = functional.silu(self.se_reduce(inner.mean(dim=(2, 3), keepdim=True)))
        inner = inner * torch.sigmoid(self.se_expand(gate))
        result: torch.Tensor = self.project_bn(self.project_conv2d(inner))
        return result + x if self.residual else result
