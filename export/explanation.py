"""Grad-CAM as plain forward operators: a second output of the classifier's own graph, no gradient at run time.

Selvaraju RR et al., Grad-CAM: visual explanations from deep networks via gradient-based localization, ICCV 2017. For
each class c the map is ReLU(sum over k of a_k A_k), where a_k is the mean over positions of d logit_c / d A_k. All
heads here are linear layers, batch norms and ReLUs behind a pooling, so the gradient is a product of matrices in which
each ReLU stands as the gate that it had on the way forward. Nothing is normalised; sizes are the feature map's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from edge_sacro.errors import BundleContractBroken
from export.networks.classifier import Classifier


class Explained(nn.Module):
    """A classifier that gives its logits (1, classes) and their maps (1, classes, h, w), at least 0.

    Args:
        net: filled, because the gradient of what stands before its head's first ReLU is computed here, once.

    Raises:
        BundleContractBroken: the head has a layer whose gradient is not known here.
    """

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.net = net.eval()
        layers = list(net.head())
        gates = [index for index, layer in enumerate(layers) if isinstance(layer, nn.ReLU)]
        self.first_gate = gates[0] if gates else len(layers)
        with torch.no_grad():
            rows: torch.Tensor | None = None
            for layer in reversed(layers[: self.first_gate]):
                rows = _walked_back(layer, rows, None)
            if rows is None:
                raise BundleContractBroken("the head begins with a ReLU, so that no linear layer is left to explain")
            linear_part = net.by_channel(rows)
        # Where it is a layer's own weight, the graph must hold it once.
        own = [name for name, parameter in self.named_parameters() if parameter is linear_part]
        self.linear_part = own[0] if own else "computed"
        if not own:
            self.register_buffer(self.linear_part, linear_part.contiguous(), persistent=False)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and maps of a batch of one."""
        features = self.net.feature_map(image)
        logits, gates = self._forward(self.net.pooled(features))
        weights = self._channel_gradients(gates)
        _, channels, rows, columns = features.shape
        maps = torch.matmul(weights / (rows * columns), features.reshape(channels, rows * columns))
        return logits, torch.relu(maps).reshape(1, -1, rows, columns)

    def _forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits, and which elements each ReLU let through, in order."""
        gates = []
        for layer in self.net.head():
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                gates.append((x > 0).to(x.dtype))
        return x, gates

    def _channel_gradients(self, gates: Sequence[torch.Tensor]) -> torch.Tensor:
        """Gradient of each logit summed over each channel of the feature map: (classes, channels)."""
        rows: torch.Tensor | None = None
        left = list(gates)
        for layer in reversed(list(self.net.head())[self.first_gate :]):
            rows = _walked_back(layer, rows, left.pop() if isinstance(layer, nn.ReLU) else None)
        known = self.get_buffer if self.linear_part == "computed" else self.get_parameter
        linear_part = known(self.linear_part)
        return linear_part if rows is None else torch.matmul(rows, linear_part)


def _walked_back(layer: nn.Module, rows: torch.Tensor | None, gate: torch.Tensor | None) -> torch.Tensor | None:
    """Gradients of a layer's output, (classes, outputs), to those of its input; None: the output is the logits."""
    if isinstance(layer, nn.Linear):
        return layer.weight if rows is None else torch.matmul(rows, layer.weight)
    if rows is None or isinstance(layer, nn.Dropout):
        if rows is None and not isinstance(layer, nn.Dropout):
            raise BundleContractBroken(f"the head ends with {type(layer).__name__}, not with a linear layer")
        return rows
    if isinstance(layer, nn.BatchNorm1d) and layer.running_var is not None:
        return rows * (layer.weight / torch.sqrt(layer.running_var + layer.eps))
    if gate is not None:
        return rows * gate
    raise BundleContractBroken(f"the head has a {type(layer).__name__}, whose gradient is not known")
