"""The published checkpoints' layouts, what is refused and how it is named."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

import torch

from edge_sacro.errors import BundleContractBroken, UsageError
from export.architectures import ARCHITECTURES, CLASSIFIER, SEGMENTER, Architecture
from export.checkpoint import Layout, filled, weights_from_checkpoint
from export.networks.unet import in_display_orientation
from tests.golden import networks
from tests.golden.arrays import displayed, golden, worst
from tests.golden.weights import digest, generated_tensor

pytestmark = pytest.mark.heavy

DIGESTS = {
    "seg": "b3b3c4e8f961792824ece3fd19e5d30ca3513d692fcca60512ffc4a5b2170e08",
    "cls": "381cfd6ada13946cdc776e9815467b4f4aae45ab9739010070f47deb7331c218",
}
KEYS_AND_PARAMETERS = {"seg": (61, 9_541_545), "cls": (327, 25_604_034)}


class Unknown:
    """A class that no loader should have to know, as callbacks of a training run are."""

    def __init__(self) -> None:
        self.settings = {"path": "anywhere"}


class Hostile:
    """Runs a command where a loader lets it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.witness),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints")
    networks.write_checkpoints(path)
    return path


@pytest.mark.parametrize("network", ["seg", "cls"])
def test_architectures_have_the_published_keys_shapes_and_counts(network: str) -> None:
    weights = networks.generated_weights(network)
    keys, parameters = KEYS_AND_PARAMETERS[network]
    assert len(weights) == keys
    assert digest(weights) == DIGESTS[network]
    module = on_paper(SEGMENTER if network == "seg" else CLASSIFIER)
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters


def test_the_digest_tells_a_single_weight() -> None:
    weights = networks.generated_weights("seg")
    weights["model.2.1.conv.unit0.conv.bias"] = weights["model.2.1.conv.unit0.conv.bias"] + np.float32(1e-6)
    assert digest(weights) != DIGESTS["seg"]


def test_generated_weights_start_as_documented() -> None:
    first = generated_tensor("seg", "model.0.conv.unit0.conv.weight", (64, 1, 3, 3)).ravel()[:3]
    np.testing.assert_allclose(first, [0.0153274, 0.3718933, 0.7637316], atol=1e-7)


def test_segmenter_in_display_orientation_meets_the_published_logits(folder: Path) -> None:
    arrays = golden("segmentation")
    image = torch.from_numpy(displayed(arrays["tiny64_in"]))[None]
    expected = displayed(arrays["tiny64_logits"])
    with torch.inference_mode():
        net = SEGMENTER.from_checkpoint(folder / networks.SEGMENTER_FILE)
        assert worst(net(image)[0].numpy(), expected) <= 1e-4
        as_trained = in_display_orientation(net)
        assert worst(as_trained(image)[0].numpy(), expected) > 1
        transposed = as_trained(image.transpose(-1, -2).contiguous()).transpose(-1, -2)[0].numpy()
        assert worst(transposed, expected) <= 1e-4


@pytest.mark.parametrize("other", ["state_dict", "network"])
def test_a_checkpoint_of_the_other_network_is_refused(folder: Path, other: str) -> None:
    load, file = {
        "network": (CLASSIFIER.from_checkpoint, networks.SEGMENTER_FILE),
        "state_dict": (SEGMENTER.from_checkpoint, networks.CLASSIFIER_FILE),
    }[other]
    with pytest.raises(UsageError, match="no tensors under"):
        load(folder / file)


def hollow(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Weights of these shapes in a file of no size: each tensor repeats one number."""
    counter = ".num_batches_tracked"
    return {
        key: torch.zeros((), dtype=torch.int64 if key.endswith(counter) else torch.float32).expand(shape)
        for key, shape in shapes.items()
    }


def changed(tmp_path: Path, change: object) -> Path:
    weights = hollow({f"model.{key}": tuple(value.shape) for key, value in on_paper(CLASSIFIER).state_dict().items()})
    change(weights)  # type: ignore[operator]
    torch.save({"state_dict": weights}, tmp_path / "changed.ckpt")
    return tmp_path / "changed.ckpt"


def on_paper(architecture: Architecture) -> torch.nn.Module:
    with torch.device("meta"):
        return architecture.build(architecture.shape, frozenset())


def test_a_hollow_file_of_the_right_layout_is_taken(tmp_path: Path) -> None:
    net = CLASSIFIER.from_checkpoint(changed(tmp_path, len))
    assert not any(value.any() for value in net.state_dict().values())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda weights: weights.pop("model.fc.4.bias"), r"1 missing: fc\.4\.bias"),
        (lambda weights: weights.update({"model.extra": torch.zeros(1)}), "1 unexpected: extra"),
        (lambda weights: weights.update({"loss.weight": torch.zeros(2)}), r"1 unexpected: loss\.weight"),
        (
            lambda weights: weights.update({"model.conv1.weight": torch.zeros(64, 3, 7, 7)}),
            r"1 of another shape: conv1\.weight \(64, 3, 7, 7\), not \(64, 1, 7, 7\)",
        ),
        (dict.clear, r"327 missing: conv1\.weight, .*…"),
    ],
)
def test_other_keys_or_shapes_are_refused_by_name(tmp_path: Path, change: object, named: str) -> None:
    with pytest.raises(BundleContractBroken, match=named):
        CLASSIFIER.from_checkpoint(changed(tmp_path, change))


def test_a_training_runs_own_classes_do_not_hinder_loading(folder: Path, tmp_path: Path) -> None:
    content = torch.load(folder / networks.CLASSIFIER_FILE, weights_only=True, mmap=True)
    content["callbacks"] = {"stopper": Unknown(), "space": SimpleNamespace(best=1)}
    torch.save(content, tmp_path / "run.ckpt")
    net = CLASSIFIER.from_checkpoint(tmp_path / "run.ckpt")
    expected = generated_tensor("cls", "model.fc.4.weight", (2, 1024))
    np.testing.assert_array_equal(net.state_dict()["fc.4.weight"].numpy(), expected)


def test_code_in_a_checkpoint_does_not_run(folder: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    torch.save({"state_dict": {}, "callbacks": Hostile(witness)}, tmp_path / "hostile.ckpt")
    with pytest.raises((UsageError, BundleContractBroken)):
        CLASSIFIER.from_checkpoint(tmp_path / "hostile.ckpt")
    assert not witness.exists()
    torch.load(tmp_path / "hostile.ckpt", weights_only=False)
    assert witness.exists()


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint at all", b"PK\x03\x04 broken"])
def test_what_is_no_checkpoint_is_refused_with_its_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "some.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"some\.pt.*no checkpoint can be read"):
        SEGMENTER.from_checkpoint(path)


@pytest.mark.parametrize("content", [[1, 2], {"network": 3}, {"network": {"key": 3}}, {}])
def test_a_file_of_another_layout_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(UsageError, match="no tensors under 'network'"):
        SEGMENTER.from_checkpoint(tmp_path / "other.pt")


def test_a_whole_pickled_model_is_refused_with_the_way_to_save_it(tmp_path: Path) -> None:
    torch.save(Unknown(), tmp_path / "export.pkl")
    with pytest.raises(UsageError, match=r"a whole pickled object.*learn\.model\.state_dict"):
        ARCHITECTURES["bressem2021"]["classifier"].from_checkpoint(tmp_path / "export.pkl")


def linear() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))


TRAINED = ARCHITECTURES["fu2024-vgg16"]["classifier"].layout


@pytest.mark.parametrize("form", ["plain", "state_dict", "model", "module.", "module.model.", "old format"])
def test_every_usual_way_to_save_a_classifier_is_read(tmp_path: Path, form: str) -> None:
    weights = linear().state_dict()
    prefix = form if form.endswith(".") else ""
    content: object = {prefix + key: value for key, value in weights.items()}
    if form in {"state_dict", "model"}:
        content = {form: content, "epoch": 7, "optimizer": {"state": {}}}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=form != "old format")
    found = weights_from_checkpoint(tmp_path / "a.pth", TRAINED)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[key], weights[key]) for key in weights)


def test_two_keys_that_become_one_are_refused(tmp_path: Path) -> None:
    torch.save({"module.a": torch.zeros(1), "a": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(BundleContractBroken, match="two keys are a without prefix"):
        weights_from_checkpoint(tmp_path / "a.pth", TRAINED)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("0.weight", torch.tensor([[1.0, float("nan")]]), "1 not finite: 0.weight"),
        ("1.running_var", torch.tensor([float("inf")]), "1 not finite: 1.running_var"),
        ("0.bias", torch.tensor([1]), "1 of another type: 0.bias torch.int64, not torch.float32"),
    ],
)
def test_weights_that_no_network_can_run_on_are_named(key: str, value: torch.Tensor, named: str) -> None:
    with pytest.raises(BundleContractBroken, match=named):
        filled(linear(), {**linear().state_dict(), key: value}, "some.pt")


def test_weights_in_half_precision_are_taken(tmp_path: Path) -> None:
    halves = {key: value.half() if value.is_floating_point() else value for key, value in linear().state_dict().items()}
    torch.save(halves, tmp_path / "a.pt")
    net = filled(linear(), weights_from_checkpoint(tmp_path / "a.pt", Layout(("",))), "a.pt")
    assert net.state_dict()["0.weight"].dtype == torch.float32
    assert torch.equal(net.state_dict()["0.weight"].half(), halves["0.weight"])
