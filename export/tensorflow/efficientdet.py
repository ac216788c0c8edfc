"""EfficientDet of the TensorFlow 2 Object Detection API as a PyTorch twin, filled from TensorFlow's own variables.

The graph's contract: ``image`` float32 (1, 3, size, size), normalised and then padded as
:func:`edge_sacro.preprocess.tf_resize.detector_input` does, to ``scores`` (1, classes, k), descending, and ``boxes``
(1, classes, k, 4), each ymin, xmin, ymax, xmax in fractions of the square input, not clipped. Non-maximum suppression
stands outside: its shapes are dynamic.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from edge_sacro.errors import BundleContractBroken
from export.tensorflow.bifpn import FeaturePyramid
from export.tensorflow.decode import BoxDecoder, anchor_boxes
from export.tensorflow.efficientnet import ENDPOINTS, Backbone
from export.tensorflow.layers import BatchNorm, Link, SeparableConvolution, links_from_module
from export.tensorflow.pipeline import Heads, Pipeline, pipeline_from_config
from export.tensorflow.variables import Variables, variables_from_checkpoint, variables_from_saved_model

INPUT_NAME = "image"
OUTPUT_NAMES = ("scores", "boxes")

D4_CONFIG = Path(__file__).with_name("efficientdet_d4.config")
"""The published system's network in the API's own form."""

BEST = 512
"""Boxes of each class that leave the graph; suppression keeps at most 100 of them."""

_MODEL_SCOPE = re.compile(r"^EfficientDet-[^/]+/")
_PREDICTOR = "WeightSharedConvolutionalBoxPredictor"
_NAMED_AT_MOST = 8


class EfficientDet(nn.Module):
    """Backbone, pyramid, heads and decoding.

    Args:
        pipeline: what the configuration says.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.pipeline = pipeline
        pyramid, heads, each = pipeline.pyramid, pipeline.heads, pipeline.anchors.at_each_place
        endpoints = tuple(ENDPOINTS[level] for level in pyramid.levels if level in ENDPOINTS)
        self.backbone = Backbone(pipeline.backbone, endpoints)
        self.bifpn = FeaturePyramid(pyramid, self.backbone.channels())
        widths = (pyramid.channels, heads.channels)
        self.class_head = Head("Class", widths, each * pipeline.classes, heads, len(pyramid.levels))
        self.box_head = Head("Box", widths, each * 4, heads, len(pyramid.levels))
        self.decoder = BoxDecoder(anchor_boxes(pipeline), pipeline.box_scales)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Of the graph's only input."""
        return 1, 3, self.pipeline.size, self.pipeline.size

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The graph: (1, 3, size, size) to scores (1, classes, k) and boxes (1, classes, k, 4), k at most 512."""
        logits, codes = self.predictions(image)
        return self.decoder.best(logits, codes, min(BEST, logits.shape[1]))

    def raw(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (n, anchors, classes) and boxes (n, anchors, 4) of every anchor: the API's raw outputs."""
        logits, codes = self.predictions(image)
        return torch.sigmoid(logits), self.decoder.every(codes)

    def predictions(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, anchors, classes) and box codes (n, anchors, 4) of every anchor."""
        maps = self.bifpn(self.backbone(image))
        return self._flat(self.class_head(maps), self.pipeline.classes), self._flat(self.box_head(maps), 4)

    def _flat(self, maps: list[torch.Tensor], values: int) -> torch.Tensor:
        """Maps (n, anchors at a place x values, h, w) to (n, anchors, values): rows, columns, anchors at a place."""
        flat = [one.permute(0, 2, 3, 1).reshape(one.shape[0], -1, values) for one in maps]
        return torch.cat(flat, dim=1)


class Head(nn.Module):
    """Separable convolutions that all levels share, each with a batch norm for every level, and the predictor."""

    def __init__(self, kind: str, widths: tuple[int, int], outputs: int, heads: Heads, levels: int) -> None:
        super().__init__()
        tower = f"{_PREDICTOR}/{kind}PredictionTower"
        inputs = [widths[0]] + [widths[1]] * (heads.layers - 1)
        self.convs = nn.ModuleList(
            SeparableConvolution(f"{tower}/conv2d_{index}", given, widths[1]) for index, given in enumerate(inputs)
        )
        self.norms = nn.ModuleList(
            nn.ModuleList(
                BatchNorm(f"{tower}/conv2d_{index}/BatchNorm/feature_{level}", widths[1], heads.epsilon)
                for index in range(heads.layers)
            )
            for level in range(levels)
        )
        name = f"{_PREDICTOR}/WeightSharedConvolutional{kind}Head/{kind}Predictor"
        self.predictor = SeparableConvolution(name, widths[1], outputs)

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """The pyramid's maps to predictions (n, outputs, h, w) at each level."""
        found = []
        for x, norms in zip(maps, self.norms, strict=True):
            for conv, norm in zip(self.convs, norms.children(), strict=True):
                x = functional.silu(norm(conv(x)))  # noqa: PLW2901
            found.append(self.predictor(x))
        return found


def detector(pipeline: Pipeline) -> EfficientDet:
    """The network of a configuration with fresh weights, in evaluation mode."""
    return EfficientDet(pipeline).eval()


def detector_from_saved_model(folder: Path, pipeline_config: Path) -> EfficientDet:
    """The network of a SavedModel, in evaluation mode.

    Args:
        folder: the SavedModel's, which holds ``variables/``.
        pipeline_config: the ``pipeline.config`` that the exporter wrote beside it.

    Raises:
        UsageError: one of them cannot be read, or the configuration is none that is computed here.
        BundleContractBroken: the variables are not those of the configuration's network; the message names them.
    """
    return filled(detector(pipeline_from_config(pipeline_config)), variables_from_saved_model(folder), str(folder))


def detector_from_checkpoint(prefix: Path, pipeline_config: Path) -> EfficientDet:
    """The network of a checkpoint, of training or exported; raises what :func:`detector_from_saved_model` raises.

    Args:
        prefix: the index's path without ``.index``, such as ``checkpoint/ckpt-0``.
        pipeline_config: the ``pipeline.config`` that belongs to it.
    """
    return filled(detector(pipeline_from_config(pipeline_config)), variables_from_checkpoint(prefix), str(prefix))


def filled(net: EfficientDet, variables: Variables, source: str) -> EfficientDet:
    """Fill a network in place: every tensor from one variable, and every variable of the detector used.

    Variables of the classifier behind the backbone's last endpoint are the only ones that may be left over.

    Args:
        net: the network.
        variables: arrays by full name.
        source: what an error names.

    Raises:
        BundleContractBroken: a variable is missing, left over, or of another shape; the message names it.
    """
    links = links_from_module(net)
    named = {_MODEL_SCOPE.sub("", name): value for name, value in variables.items()}
    reshaped = [name for name, link in links.items() if name in named and not _fits(named[name], link)]
    unused = net.backbone.unused()
    faults = {
        "missing": [name for name in links if name not in named],
        "unexpected": [name for name in named if name not in links and not name.startswith(unused)],
        "of another shape": [f"{name} {named[name].shape}" for name in reshaped],
    }
    told = [
        f"{len(names)} {kind}: {', '.join(names[:_NAMED_AT_MOST])}{', …' if len(names) > _NAMED_AT_MOST else ''}"
        for kind, names in faults.items()
        if names
    ]
    if told:
        remedy = "Give the pipeline.config of this very model; another size or head cannot be loaded into it."
        raise BundleContractBroken("; ".join(told), source=source, remedy=remedy)
    with torch.no_grad():
        for name, link in links.items():
            value = np.ascontiguousarray(named[name].transpose(link.axes), dtype=np.float32)
            link.tensor.copy_(torch.from_numpy(value))
    return net.eval()


def _fits(value: npt.NDArray[Any], link: Link) -> bool:
    return value.ndim == len(link.axes) and value.transpose(link.axes).shape == tuple(link.tensor.shape)
