"""The demonstration networks: a small U-Net and a small residual classifier, with the published networks' contracts."""

from __future__ import annotations

import torch
from torch import nn

SEGMENTER_SIZE = 320
"""Rows and columns of the segmenter's input: the whole radiograph in one window."""

CLASSIFIER_SIZE = 208, 314
"""Rows and columns of the classifier's input: the published ones, halved."""

GRADES = 5


class Segmenter(nn.Module):
    """MONAI's U-Net on quarters: 2 x 2 pixels become four channels before it and come back behind it.

    The outermost level, with few channels on many pixels, would take two thirds of the time and give little.
    """

    def __init__(self, channels: tuple[int, ...] = (32, 64, 96, 128, 128)) -> None:
        from monai.networks.nets import UNet

        super().__init__()
        strides = (2,) * (len(channels) - 1)
        self.net = UNet(
            spatial_dims=2,
            in_channels=4,
            out_channels=16,
            channels=channels,
            strides=strides,
            num_res_units=2,
            act=("leakyrelu", {"negative_slope": 0.1}),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(n, 1, 320, 320), -1 to 1, to logits (n, 4, 320, 320)."""
        quarters = nn.functional.pixel_unshuffle(image, 2)
        return nn.functional.pixel_shuffle(self.net(quarters), 2)


class Residual(nn.Module):
    """Two 3 x 3 convolutions with batch norm beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features in, features out, ``stride`` times fewer rows and columns."""
        branch = torch.relu(self.first_norm(self.first(x)))
        branch = self.second_norm(self.second(branch))
        return torch.relu(branch + self.shortcut(x))


class Classifier(nn.Module):
    """A residual network of four stages; global average pooling; a head of two layers as the published one has.

    Before the pooling each channel stands twice, once over the left half of the crop and once over the right: the
    radiographic criterion asks for grade 2 on both sides or grade 3 on one, which a mean over both could not tell. Each
    channel also has a learned weight for each place of a half, mirrored in the other, since where the bone is dense
    tells disease from anatomy; and two constant channels tell the convolutions where they are.
    """

    across: torch.Tensor
    down: torch.Tensor

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 6 * width)
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        rows, columns = CLASSIFIER_SIZE
        self.register_buffer("across", torch.linspace(-1, 1, columns).abs().reshape(1, 1, 1, columns))
        self.register_buffer("down", torch.linspace(-1, 1, rows).reshape(1, 1, rows, 1))
        blocks: list[nn.Module] = []
        inputs = width
        for outputs, stride in zip(widths, (1, 2, 2, 1), strict=True):
            blocks += [Residual(inputs, outputs, stride), Residual(outputs, outputs, 1)]
            inputs = outputs
        half = -(-rows // 16), -(-columns // 16) // 2
        self.attention = nn.Parameter(torch.ones(1, inputs, *half))
        self.stages = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Linear(2 * inputs, 64), nn.ReLU(), nn.BatchNorm1d(64), nn.Dropout(0.2), nn.Linear(64, 2)
        )
        self.grades = nn.Sequential(nn.Dropout(0.2), nn.Linear(inputs, GRADES - 1))

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Feature maps before the pooling: channels of the left half, then the same of the right half."""
        across, down = (image * 0 + place for place in (self.across, self.down))
        maps = self.stages(self.stem(torch.cat((image, across, down), dim=1)))
        nothing = torch.zeros_like(self.attention)
        left = torch.cat((self.attention, nothing), dim=3)
        both = torch.cat((left, left.flip(3)), dim=1)
        return 2 * torch.cat((maps, maps), dim=1) * both

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(n, 1, 208, 314), 0 to 1, to logits (n, 2); index 1 is definite radiographic disease."""
        result: torch.Tensor = self.head(self.features(image).mean(dim=(2, 3)))
        return result

    def with_grades(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, and (n, 2, 4) logits of grade 1, 2, 3, 4 or more of the joint in each half, for training alone."""
        pooled = self.features(image).mean(dim=(2, 3))
        halves = pooled.reshape(pooled.shape[0], 2, -1)
        return self.head(pooled), self.grades(halves)
