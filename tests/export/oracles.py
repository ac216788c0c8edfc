"""torchvision and timm as oracles of key names and answers. Neither is a dependency; the tests skip without them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

_DECLARED: list[Any] = []


def torchvision_model(name: str) -> torch.nn.Module:
    """A torchvision classifier of two classes with fresh weights."""
    _declare_operators()
    models = _imported("torchvision.models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net: torch.nn.Module = getattr(models, name)(num_classes=2)
    return net.eval()


def timm_model(name: str) -> torch.nn.Module:
    """A timm classifier of two classes with fresh weights."""
    _declare_operators()
    net: torch.nn.Module = _imported("timm").create_model(name, num_classes=2)
    return net.eval()


def _imported(module: str) -> Any:
    package = module.partition(".")[0]
    return pytest.importorskip(module, reason=f"the oracle {package} is not installed: pip install --no-deps {package}")


def _declare_operators() -> None:
    """A torchvision built for another PyTorch has no compiled part; its import asks only that these names exist."""
    if _DECLARED:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(library)
