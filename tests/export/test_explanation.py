"""Grad-CAM in the graph is Grad-CAM: equal to autograd for every architecture, and to the published application's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.errors import BundleContractBroken, GraphRefused
from export.architectures import ARCHITECTURES, CLASSIFIER
from export.comparison import (
    GRADIENT_TOLERANCE,
    answers_of_graph,
    checked_differences,
    difference_from_autograd,
    maps_by_autograd,
)
from export.explanation import Explained
from export.model import graph_from_module
from export.networks.classifier import Classifier
from export.networks.vgg import VGG16
from tests.golden.arrays import worst
from tests.golden.images import radiograph
from tests.golden.subset import CLASSIFIER_CASES

pytestmark = pytest.mark.heavy

SYSTEMS = [system for system in ARCHITECTURES if system not in {"dorfner2024-standard", "poddubnyy2020"}]
SMALL = {"fu2024-inception_v4": (1, 3, 128, 160), "fu2024-vgg16": (1, 3, 160, 96)}


def small_vgg(rows: int, columns: int) -> VGG16:
    """VGG-16 whose head is 32 wide: the same walk back through two ReLUs, a thousandth of the weights."""
    net = VGG16(rows, columns)
    layers = [nn.Linear(25088, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 32), nn.ReLU(), nn.Dropout()]
    net.classifier = nn.Sequential(*layers, nn.Linear(32, 2))
    return net


def spread(net: nn.Module) -> nn.Module:
    """Fresh weights and batch statistics that carry a signal to the end."""
    generator = torch.Generator().manual_seed(3)
    for key, value in net.state_dict().items():
        if value.ndim > 1:
            nn.init.kaiming_uniform_(value, nonlinearity="relu", generator=generator)
            if len(value) == 2:  # so that one class has a map wherever the other has none
                value[1] = -value[0]
        elif value.is_floating_point():
            low, high = (0.5, 1.5) if key.endswith(("running_var", "weight")) else (-0.2, 0.2)
            value.uniform_(low, high, generator=generator).mul_(0.3 if "bn3.weight" in key else 1)
    return net.eval()


@pytest.fixture(scope="module", params=SYSTEMS)
def explained(request: pytest.FixtureRequest) -> tuple[Explained, np.ndarray]:
    torch.set_num_threads(1)
    architecture = ARCHITECTURES[request.param]["classifier"]
    shape = SMALL.get(request.param, (1, architecture.shape[1], 64, 96))
    built = small_vgg(*shape[2:]) if "vgg" in request.param else architecture.build(shape, frozenset())
    assert isinstance(built, Classifier)
    image = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    return Explained(spread(built)), image  # type: ignore[arg-type]


def test_maps_are_autograds_for_every_class(explained: tuple[Explained, np.ndarray]) -> None:
    module, image = explained
    with torch.inference_mode():
        logits, maps = module(torch.from_numpy(image))
        torch.testing.assert_close(logits, module.net(torch.from_numpy(image)))
    reference = maps_by_autograd(module, image)
    assert maps.shape == reference.shape
    assert float(reference.max()) > 0
    assert difference_from_autograd(module, image) <= GRADIENT_TOLERANCE
    swapped = (maps.flip(1) - reference).abs().max() / reference.abs().max()
    assert float(swapped) > 100 * GRADIENT_TOLERANCE, "negative control: the other class has another map"


class Forgetful(Explained):
    """Walks back as if every ReLU had let everything through."""

    def _forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        logits, gates = super()._forward(x)
        return logits, [torch.ones_like(gate) for gate in gates]


def test_a_forgotten_gate_is_seen() -> None:
    torch.set_num_threads(1)
    net = spread(small_vgg(64, 64))
    image = np.random.default_rng(2).normal(size=(1, 3, 64, 64)).astype(np.float32)
    assert difference_from_autograd(Forgetful(net), image) > 100 * GRADIENT_TOLERANCE  # type: ignore[arg-type]


def test_the_graphs_second_output_is_the_modules() -> None:
    """On the head with most to walk back through; the anatomy-aware one is held to its own at full size elsewhere."""
    torch.set_num_threads(1)
    shape = (1, 3, 64, 96)
    architecture = replace(ARCHITECTURES["fu2024-vgg16"]["classifier"], shape=shape)
    module = Explained(spread(small_vgg(64, 96)))  # type: ignore[arg-type]
    probes = tuple(np.random.default_rng(seed).random(shape).astype(np.float32) for seed in (1, 2))
    contract = architecture.contract("fu2024-vgg16", "classifier")
    model, inferred, differences = graph_from_module(module, contract, probes, "0" * 64)  # type: ignore[arg-type]
    assert [output.name for output in model.graph.output] == ["logits", "explanation"]
    assert differences.autograd is not None
    assert max(differences.real["explanation"], differences.random["explanation"]) <= 1e-5
    assert {node.op_type for node in inferred.graph.node}.isdisjoint({"Loop", "If", "Scan", "NonZero"})
    answers = answers_of_graph(model, [probes[0]])
    other = {**answers[0], "explanation": answers[0]["explanation"] + np.float32(1)}
    with pytest.raises(GraphRefused, match="explanation on real input differs"):
        checked_differences([other, *answers, *answers], [answers[0], answers[0]], "graph")


class Headed(Classifier):
    """A classifier of any head on one convolution."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.layers = nn.ModuleList(layers)

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.convolution(image))

    def head(self) -> list[nn.Module]:
        return list(self.layers)


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ((nn.ReLU(), nn.Linear(4, 2)), "begins with a ReLU"),
        ((nn.Linear(4, 2), nn.Sigmoid()), "ends with Sigmoid"),
        ((nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)), "Tanh, whose gradient is not known"),
    ],
)
def test_a_head_whose_gradient_is_not_known_is_refused(layers: tuple[nn.Module, ...], named: str) -> None:
    with pytest.raises(BundleContractBroken, match=named):
        Explained(Headed(*layers))


@pytest.mark.shared
def test_the_published_applications_maps_are_met(shared_dir: Path) -> None:
    """Plain maps of pytorch-grad-cam on the published classifier's ``layer4``, before its ReLU and normalising."""
    torch.set_num_threads(1)
    module = Explained(CLASSIFIER.from_generated())  # type: ignore[arg-type]
    with np.load(shared_dir / "data/dorfner2024_golden/h_gradcam.npz") as arrays:
        for case in ("wide_260x640", "small_120x171"):
            rows, columns = (int(side) for side in case.partition("_")[2].split("x"))
            crop = radiograph(rows, columns, CLASSIFIER_CASES[case])
            image = classifier_input(crop, ClassifierGeometry())[None, None]
            with torch.inference_mode():
                _, maps = module(torch.from_numpy(image))
            expected = np.maximum(arrays[f"{case}/raw_cam_13x20"], 0)
            assert worst(maps[0, 1].numpy(), expected) <= 1e-6
            assert worst(maps[0, 0].numpy(), expected) > 1e-3
