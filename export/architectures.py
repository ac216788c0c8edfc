"""Which networks each published system has: one table of architectures, inputs, classes and checkpoint layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edge_sacro.engine.base import TensorSpec
from edge_sacro.errors import UsageError
from edge_sacro.systems import fu2024
from edge_sacro.systems.base import DISEASE
from export.checkpoint import PLAIN, Layout, filled, weights_from_checkpoint
from export.gate import Contract
from export.generated import Array, generated_tensors
from export.networks.densenet import DenseNet121
from export.networks.fastai import FastaiResNet50, has_biases
from export.networks.inception_v4 import InceptionV4
from export.networks.resnet import (
    FEATURES,
    RESNET_101,
    RESNEXT_50,
    Depth,
    ResNet,
    anatomy_aware_classifier,
)
from export.networks.unet import in_display_orientation, unet
from export.networks.vgg import VGG16

Shape = tuple[int, int, int, int]
Keys = Set[str]

REGIONS = ("background", "sacrum", "pelvis at the image's left", "pelvis at the image's right")

_PUBLISHED = "Give the published checkpoint, or one saved as torch.save({{{key!r}: weights}}, file)."
SEGMENTATION_MODEL = Layout(("network",), remedy=_PUBLISHED.format(key="network"))
CLASSIFICATION_MODEL = Layout(("state_dict",), ("model.",), remedy=_PUBLISHED.format(key="state_dict"))
LEARNER = Layout(("model", PLAIN), remedy="In fastai, torch.save(learn.model.state_dict(), file), or learn.save(name).")
TRAINED = Layout(("state_dict", "model", "model_state_dict", PLAIN), ("module.", "model."))


@dataclass(frozen=True)
class Architecture:
    """One network of a system.

    Attributes:
        title: what it is and whose keys it has.
        shape: of the input ``image``, static.
        classes: meaning of the outputs, in order.
        build: from the input's shape and a checkpoint's keys to a network with fresh weights.
        layout: of its checkpoints.
        seed: name under which generated weights are drawn, and what stands before each key there.
        finish: what is done to a filled network before it is exported.
        dense: whether it answers for each pixel.
    """

    title: str
    shape: Shape
    classes: tuple[str, ...]
    build: Callable[[Shape, Keys], nn.Module]
    layout: Layout
    seed: tuple[str, str]
    finish: Callable[[nn.Module], nn.Module] = lambda net: net
    dense: bool = False

    def contract(self, system: str, network: str) -> Contract:
        """What its graph must be."""
        logits = (1, len(self.classes), *(self.shape[2:] if self.dense else ()))
        inputs, outputs = (TensorSpec("image", self.shape),), (TensorSpec("logits", logits),)
        return Contract(system, network, inputs, outputs, self.classes)

    def from_checkpoint(self, path: Path) -> nn.Module:
        """The network with the weights of a file.

        Raises:
            UsageError: no checkpoint of this layout can be read from the file.
            BundleContractBroken: keys or shapes are not this network's; they are named.
        """
        weights = weights_from_checkpoint(path, self.layout)
        return self.finish(filled(self.build(self.shape, weights.keys()), weights, str(path)))

    def from_generated(self) -> nn.Module:
        """The network with generated weights (``export.generated``)."""
        net = self.build(self.shape, frozenset())
        _, prefix = self.seed
        values = self.generated()
        tensors = {key: torch.from_numpy(np.asarray(values[prefix + key])) for key in net.state_dict()}
        return self.finish(filled(net, tensors, "generated weights"))

    def generated(self) -> dict[str, Array]:
        """Generated weights under a checkpoint's keys, prefix included."""
        network, prefix = self.seed
        with torch.device("meta"):
            expected = self.build(self.shape, frozenset()).state_dict()
        return generated_tensors(network, {prefix + key: tuple(value.shape) for key, value in expected.items()})


def _torchvision_resnet(depth: Depth) -> Callable[[Shape, Keys], nn.Module]:
    return lambda shape, _: ResNet(depth, shape[1], nn.Linear(FEATURES, 2))


def _whole_radiograph(system: str) -> Architecture:
    return Architecture(
        title="ResNet-50 with fastai's head, fastai's keys",
        shape=(1, 3, 768, 768),
        classes=DISEASE[0],
        build=lambda _, keys: FastaiResNet50(bias=has_biases(keys)),
        layout=LEARNER,
        seed=(system, ""),
    )


def _slices(system: str, title: str, build: Callable[[Shape, Keys], nn.Module]) -> Architecture:
    return Architecture(title, (1, 3, 512, 512), fu2024.CLASSES, build, TRAINED, (system, ""))


SEGMENTER = Architecture(
    title="U-Net, MONAI's keys",
    shape=(1, 1, 512, 512),
    classes=REGIONS,
    build=lambda *_: unet(),
    layout=SEGMENTATION_MODEL,
    seed=("seg", ""),
    finish=in_display_orientation,
    dense=True,
)
CLASSIFIER = Architecture(
    title="ResNet-50 with a head of two layers, torchvision's keys",
    shape=(1, 1, 416, 628),
    classes=DISEASE[0],
    build=lambda *_: anatomy_aware_classifier(),
    layout=CLASSIFICATION_MODEL,
    seed=("cls", "model."),
)

ARCHITECTURES: Mapping[str, Mapping[str, Architecture]] = {
    "dorfner2024": {"segmenter": SEGMENTER, "classifier": CLASSIFIER},
    "dorfner2024-standard": {"classifier": CLASSIFIER},
    "bressem2021": {"classifier": _whole_radiograph("bressem2021")},
    "poddubnyy2020": {"classifier": _whole_radiograph("poddubnyy2020")},
    **{
        system: {"classifier": _slices(system, title, build)}
        for system, title, build in (
            ("fu2024-vgg16", "VGG-16, torchvision's keys", lambda shape, _: VGG16(*shape[2:])),
            ("fu2024-resnet101", "ResNet-101, torchvision's keys", _torchvision_resnet(RESNET_101)),
            ("fu2024-densenet121", "DenseNet-121, torchvision's keys", lambda *_: DenseNet121()),
            ("fu2024-inception_v4", "Inception-v4, timm's keys", lambda *_: InceptionV4()),
            ("fu2024-resnext50", "ResNeXt-50 (32x4d), torchvision's keys", _torchvision_resnet(RESNEXT_50)),
        )
    },
}
"""Networks by system and name."""


def architectures_of(system: str) -> Mapping[str, Architecture]:
    """The networks of a system.

    Raises:
        UsageError: there is no such system here.
    """
    if system not in ARCHITECTURES:
        raise UsageError(
            f"no system {system!r} can be exported here; there are {', '.join(ARCHITECTURES)}",
            source="SYSTEM",
            remedy="Detectors of TensorFlow are made by python -m export.tensorflow.",
        )
    return ARCHITECTURES[system]
