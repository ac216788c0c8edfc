"""Every architecture has the keys, shapes and answers of the library that users train it with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

import torch

from edge_sacro.errors import BundleContractBroken, UsageError
from edge_sacro.systems import SYSTEMS
from export.architectures import ARCHITECTURES, Architecture, architectures_of
from export.checkpoint import filled
from tests.export.oracles import timm_model, torchvision_model

pytestmark = pytest.mark.heavy

LAYOUTS = json.loads((Path(__file__).parent / "layouts.json").read_text())
"""Count of keys, and SHA-256 over ``key (shape)`` in order, as the libraries had them."""

ORACLES: dict[str, Callable[[], torch.nn.Module]] = {
    "fu2024-vgg16": lambda: torchvision_model("vgg16"),
    "fu2024-resnet101": lambda: torchvision_model("resnet101"),
    "fu2024-densenet121": lambda: torchvision_model("densenet121"),
    "fu2024-inception_v4": lambda: timm_model("inception_v4"),
    "fu2024-resnext50": lambda: torchvision_model("resnext50_32x4d"),
}
NAMED = [(system, network) for system, networks in ARCHITECTURES.items() for network in networks]


def shapes(net: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in net.state_dict().items()}


def layout(named: dict[str, tuple[int, ...]]) -> list[object]:
    text = "\n".join(f"{key} {shape}" for key, shape in named.items())
    return [len(named), hashlib.sha256(text.encode()).hexdigest()]


def on_paper(architecture: Architecture, keys: frozenset[str] = frozenset()) -> torch.nn.Module:
    with torch.device("meta"):
        return architecture.build(architecture.shape, keys)


def spread(net: torch.nn.Module) -> torch.nn.Module:
    """Weights that carry a signal to the end; some libraries' own fresh ones leave nothing but the last bias."""
    for parameter in net.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_uniform_(parameter, nonlinearity="relu")
    return net


@pytest.mark.parametrize(("system", "network"), NAMED)
def test_keys_and_shapes_are_the_librarys(system: str, network: str) -> None:
    assert layout(shapes(on_paper(ARCHITECTURES[system][network]))) == LAYOUTS[f"{system}/{network}"]


def test_a_layout_tells_a_renamed_and_a_reshaped_key() -> None:
    named = {"a.weight": (2, 3), "a.bias": (2,)}
    assert len({str(layout(each)) for each in (named, {**named, "a.bias": (3,)}, {"b.weight": (2, 3)})}) == 3


@pytest.mark.parametrize("system", ORACLES)
def test_the_oracle_has_the_same_keys_and_gives_the_same_answers(system: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(5)
    oracle = spread(ORACLES[system]())
    assert layout(shapes(oracle)) == LAYOUTS[f"{system}/classifier"]
    net = ARCHITECTURES[system]["classifier"].build((1, 3, 96, 160), frozenset())
    filled(net, oracle.state_dict(), system)
    image = torch.randn(1, 3, 96, 160)
    with torch.inference_mode():
        expected = oracle(image)
        allowed = 1e-5 * max(1.0, float(expected.abs().max()))
        assert float((net(image) - expected).abs().max()) <= allowed
        changed = next(value for key, value in net.state_dict().items() if value.ndim == 4)
        changed[0] *= 1.5
        assert float((net(image) - expected).abs().max()) > allowed, "negative control: one channel is a change"


def test_the_fastai_body_is_torchvisions_without_its_head() -> None:
    body = list(torchvision_model("resnet50").children())[:-2]
    expected = shapes(torch.nn.Sequential(torch.nn.Sequential(*body)))
    found = shapes(on_paper(ARCHITECTURES["bressem2021"]["classifier"]))
    assert {key: shape for key, shape in found.items() if key.startswith("0.")} == expected


def test_the_fastai_head_is_numbered_as_fastai_numbers_it() -> None:
    found = shapes(on_paper(ARCHITECTURES["bressem2021"]["classifier"]))
    assert {key: shape for key, shape in found.items() if key.startswith("1.") and key.endswith("weight")} == {
        "1.2.weight": (4096,),
        "1.4.weight": (512, 4096),
        "1.6.weight": (512,),
        "1.8.weight": (2, 512),
    }


def test_a_fastai_1_head_with_biases_is_told_by_its_keys() -> None:
    architecture = ARCHITECTURES["poddubnyy2020"]["classifier"]
    both = shapes(on_paper(architecture, frozenset({"1.4.bias", "1.8.bias"})))
    assert both.keys() - shapes(on_paper(architecture)).keys() == {"1.4.bias", "1.8.bias"}
    net = architecture.build(architecture.shape, frozenset({"1.4.bias"}))
    with pytest.raises(BundleContractBroken, match=r"1 missing: 1\.8\.bias"):
        filled(net, {key: value for key, value in net.state_dict().items() if key != "1.8.bias"}, "learner.pth")


def test_vggs_grid_is_pytorchs_adaptive_pooling() -> None:
    net = ARCHITECTURES["fu2024-vgg16"]["classifier"].build((1, 3, 512, 352), frozenset())
    rows, columns = net.get_buffer("row_means"), net.get_buffer("column_means")
    values = torch.randn(1, 4, 16, 11)
    expected = torch.nn.functional.adaptive_avg_pool2d(values, 7)
    torch.testing.assert_close(rows @ values @ columns, expected)
    assert not torch.allclose(rows.flip(1).roll(1, 1) @ values @ columns, expected)


@pytest.mark.parametrize("system", ["fu2024-densenet121", "fu2024-resnet101", "bressem2021"])
def test_generated_weights_keep_signals_finite_and_probabilities_inside(system: str) -> None:
    torch.set_num_threads(1)
    architecture = ARCHITECTURES[system]["classifier"]
    net = architecture.from_generated()
    image = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 3, 96, 96)).astype(np.float32))
    with torch.inference_mode():
        probability = float(torch.softmax(net(image), dim=1)[0, 1])
    assert 0.001 < probability < 0.999


def test_generated_weights_differ_between_systems() -> None:
    first, second = (ARCHITECTURES[name]["classifier"] for name in ("bressem2021", "poddubnyy2020"))
    assert first.seed != second.seed


def test_every_system_but_the_detector_has_its_networks_here() -> None:
    for system, networks in ARCHITECTURES.items():
        assert set(networks) == SYSTEMS[system].networks
        assert all(len(architecture.classes) >= 2 for architecture in networks.values())
    with pytest.raises(UsageError, match="no system 'nothing'"):
        architectures_of("nothing")
