"""The anatomy-aware segmenter: MONAI's U-Net, turned to display orientation.

MONAI reads images transposed, so the published segmenter was trained on columns x rows. The runtime works on rows x
columns: :func:`in_display_orientation` transposes the kernels, once, instead of every image (the network has no other
part that knows its axes). The classifier was trained on arrays turned by a quarter, which is the displayed image
mirrored: its kernels stay and the runtime mirrors the crop.
"""

from __future__ import annotations

import torch
from torch import nn


def unet() -> nn.Module:
    """The published U-Net with fresh weights: (n, 1, h, w), -1 to 1, to logits (n, 4, h, w); h and w multiples of 8."""
    from monai.networks.nets import UNet

    net: nn.Module = UNet(
        spatial_dims=2, in_channels=1, out_channels=4, channels=(64, 128, 256, 512), strides=(2, 2, 2), num_res_units=3
    )
    return net


def in_display_orientation(net: nn.Module) -> nn.Module:
    """Swap the two axes of every convolution's kernel in place: what ran on x, y then runs on rows, columns."""
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                part.weight.copy_(part.weight.transpose(-1, -2).clone())
    return net
