"""The published checkpoints' layouts, what is refused and how it is named, and the exported graphs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

import torch

from edge_sacro.errors import BundleContractBroken, UsageError
from export import anatomy_aware
from export.onnx_graph import onnx_from_module, round_to_half, store_in_half
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
    module = anatomy_aware.segmenter() if network == "seg" else anatomy_aware.classifier()
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
        net = anatomy_aware.segmenter_from_checkpoint(folder / networks.SEGMENTER_FILE)
        assert worst(net(image)[0].numpy(), expected) <= 1e-4
        as_trained = anatomy_aware.in_display_orientation(net)
        assert worst(as_trained(image)[0].numpy(), expected) > 1
        transposed = as_trained(image.transpose(-1, -2).contiguous()).transpose(-1, -2)[0].numpy()
        assert worst(transposed, expected) <= 1e-4


@pytest.mark.parametrize("other", ["state_dict", "network"])
def test_a_checkpoint_of_the_other_network_is_refused(folder: Path, other: str) -> None:
    load, file = {
        "network": (anatomy_aware.classifier_from_checkpoint, networks.SEGMENTER_FILE),
        "state_dict": (anatomy_aware.segmenter_from_checkpoint, networks.CLASSIFIER_FILE),
    }[other]
    with pytest.raises(UsageError, match="no tensors under"):
        load(folder / file)


def changed(folder: Path, tmp_path: Path, change: object) -> Path:
    content = torch.load(folder / networks.CLASSIFIER_FILE, weights_only=True)
    change(content["state_dict"])  # type: ignore[operator]
    torch.save(content, tmp_path / "changed.ckpt")
    return tmp_path / "changed.ckpt"


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
def test_other_keys_or_shapes_are_refused_by_name(folder: Path, tmp_path: Path, change: object, named: str) -> None:
    with pytest.raises(BundleContractBroken, match=named):
        anatomy_aware.classifier_from_checkpoint(changed(folder, tmp_path, change))


def test_a_training_runs_own_classes_do_not_hinder_loading(folder: Path, tmp_path: Path) -> None:
    content = torch.load(folder / networks.CLASSIFIER_FILE, weights_only=True)
    content["callbacks"] = {"stopper": Unknown(), "space": SimpleNamespace(best=1)}
    torch.save(content, tmp_path / "run.ckpt")
    net = anatomy_aware.classifier_from_checkpoint(tmp_path / "run.ckpt")
    expected = generated_tensor("cls", "model.fc.4.weight", (2, 1024))
    np.testing.assert_array_equal(net.state_dict()["fc.4.weight"].numpy(), expected)


def test_code_in_a_checkpoint_does_not_run(folder: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    torch.save({"state_dict": {}, "callbacks": Hostile(witness)}, tmp_path / "hostile.ckpt")
    with pytest.raises((UsageError, BundleContractBroken)):
        anatomy_aware.classifier_from_checkpoint(tmp_path / "hostile.ckpt")
    assert not witness.exists()
    torch.load(tmp_path / "hostile.ckpt", weights_only=False)
    assert witness.exists()


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint at all", b"PK\x03\x04 broken"])
def test_what_is_no_checkpoint_is_refused_with_its_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "some.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"some\.pt.*no checkpoint can be read"):
        anatomy_aware.segmenter_from_checkpoint(path)


@pytest.mark.parametrize("content", [[1, 2], {"network": 3}, {"network": {"key": 3}}, {}])
def test_a_file_of_another_layout_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(UsageError, match="no tensors under 'network'"):
        anatomy_aware.segmenter_from_checkpoint(tmp_path / "other.pt")


def test_an_exported_graph_has_names_and_static_shapes_and_nothing_of_this_machine(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.PReLU(), torch.nn.InstanceNorm2d(4))
    path = onnx_from_module(net, tmp_path / "net.onnx", (1, 1, 32, 48))
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    assert (source.name, source.shape, result.name, result.shape) == (
        "image",
        [1, 1, 32, 48],
        "logits",
        [1, 4, 32, 48],
    )
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
    assert b"site-packages" not in path.read_bytes()
    image = np.random.default_rng(8).random((1, 1, 32, 48), np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(image)).numpy()
    (found,) = session.run(None, {"image": image})
    assert worst(found, expected) <= 1e-5
    assert worst(session.run(None, {"image": image[..., ::-1].copy()})[0], expected) > 1e-1


def test_export_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU())
    first, second = (onnx_from_module(net, tmp_path / f"{name}.onnx", (1, 1, 16, 16)) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_weights_stored_in_half_give_the_same_answer_in_half_the_bytes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 64, 7, padding=3), torch.nn.ReLU(), torch.nn.Conv2d(64, 8, 5))
    values = np.random.default_rng(1).normal(size=(1, 1, 32, 32)).astype(np.float32)

    def answer(path: Path) -> np.ndarray:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"image": values})
        return np.asarray(found)

    plain = onnx_from_module(net, tmp_path / "plain.onnx", (1, 1, 32, 32))
    rounded = onnx_from_module(round_to_half(net), tmp_path / "rounded.onnx", (1, 1, 32, 32))
    stored = store_in_half(Path(shutil.copy(rounded, tmp_path / "stored.onnx")))
    np.testing.assert_array_equal(answer(stored), answer(rounded))
    assert stored.stat().st_size < 0.6 * rounded.stat().st_size
    unrounded = store_in_half(Path(shutil.copy(plain, tmp_path / "unrounded.onnx")))
    assert np.abs(answer(unrounded) - answer(plain)).max() > 0, "negative control: rounding is a change"
