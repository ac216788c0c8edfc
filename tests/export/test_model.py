"""The command from files to a bundle: what it refuses, and that a refusal writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

import torch
from click.testing import CliRunner, Result

from edge_sacro.bundle import load_bundle
from edge_sacro.errors import BundleContractBroken, GraphRefused, InputNotFound, UsageError
from edge_sacro.phantom import PhantomOptions, render, write_dx
from edge_sacro.runtime import Runtime
from export.__main__ import main
from export.comparison import compared
from export.model import graph_from_module
from export.networks.classifier import Classifier
from tests.export.graphs import CONTRACT, SOURCE, keras

pytestmark = pytest.mark.heavy

REAL = np.random.default_rng(1).random((1, 3, 8, 12)).astype(np.float32)
NOISE = np.random.default_rng(2).normal(size=(1, 3, 8, 12)).astype(np.float32)


class Small(Classifier):
    """A classifier of the small contract."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.linear = torch.nn.Linear(4, 2)

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.convolution(image))

    def head(self) -> list[torch.nn.Module]:
        return [self.linear]


def command(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["model", *arguments, "--out", str(out)])


def test_a_graph_is_compared_with_the_module_it_comes_from() -> None:
    net = Small().eval()
    model, _, differences = graph_from_module(net, CONTRACT, (REAL, NOISE), SOURCE)
    assert max(differences.real["logits"], differences.random["logits"]) <= 1e-6
    assert differences.control["logits"] > 1e-4
    with torch.no_grad():
        net.linear.weight[0, 0] += 0.01
    with pytest.raises(GraphRefused, match="logits on real input differs"):
        compared(model, net, REAL, NOISE, "small")


def test_a_comparison_that_could_not_fail_is_refused() -> None:
    net = Small().eval()
    with pytest.raises(GraphRefused, match="the comparison shows nothing"):
        graph_from_module(net, CONTRACT, (np.zeros_like(REAL), NOISE), SOURCE)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["dorfner2024"], "Give --weights segmenter=FILE --weights classifier=FILE."),
        (["dorfner2024", "--weights", "classifier=a.pt"], "the networks given are classifier"),
        (["bressem2021", "--generated", "--weights", "classifier=a.pt"], "weights are given and asked to be generated"),
        (["bressem2021", "--weights", "a.pt"], "'a.pt' is not NETWORK=FILE"),
        (["bressem2021", "--weights", "classifier=a.pt", "--weights", "classifier=b.pt"], "names a network twice"),
        (["nothing", "--generated"], "no system 'nothing' can be exported here"),
        (["noh2021", "--generated"], "Detectors of TensorFlow are made by python -m export.tensorflow."),
        (["bressem2021", "--weights", "classifier=absent.pt"], "absent.pt: there is no such file"),
        (["bressem2021", "--weights", "classifier=absent.onnx"], "absent.onnx: there is no such file"),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused(tmp_path: Path, arguments: list[str], named: str) -> None:
    done = command(tmp_path / "bundle", *arguments)
    assert done.exit_code == UsageError.exit_code
    assert named in " ".join(done.output.split())
    assert not (tmp_path / "bundle").exists()


def test_another_networks_checkpoint_is_refused_by_its_keys(tmp_path: Path) -> None:
    torch.save(Small().state_dict(), tmp_path / "a.pth")
    done = command(tmp_path / "bundle", "fu2024-resnet101", "--weights", f"classifier={tmp_path / 'a.pth'}")
    assert done.exit_code == BundleContractBroken.exit_code
    assert "626 missing: conv1.weight" in done.output
    assert "4 unexpected: convolution.weight" in done.output
    assert not (tmp_path / "bundle").exists()


def test_an_absent_radiograph_is_refused(tmp_path: Path) -> None:
    done = command(tmp_path / "bundle", "bressem2021", "--generated", "--radiograph", str(tmp_path / "absent.dcm"))
    assert done.exit_code in {2, InputNotFound.exit_code}
    assert "absent.dcm" in done.output


def test_a_graph_that_keras_exported_becomes_a_bundle(tmp_path: Path) -> None:
    model = keras("Softmax")
    for axis, size in ((1, 768), (2, 768)):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    onnx.save(model, tmp_path / "keras.onnx")
    radiograph = tmp_path / "a.dcm"
    write_dx(render(3, PhantomOptions(spacing_mm=0.6)), radiograph)
    weights = f"classifier={tmp_path / 'keras.onnx'}"
    done = command(tmp_path / "bundle", "bressem2021", "--weights", weights, "--radiograph", str(radiograph))
    assert done.exit_code == 0, done.output
    bundle = load_bundle(tmp_path / "bundle")
    told = json.loads((tmp_path / "bundle/export.json").read_text())["networks"]["classifier"]
    assert told["compared_with"] == "the file as given, in ONNX Runtime"
    assert told["largest_differences"]["real"]["probabilities"] <= 1e-6
    assert [tensor.name for tensor in bundle.manifest.networks["classifier"].inputs] == ["image"]
    with Runtime(bundle, threads=1) as runtime:
        assert runtime.infer(radiograph).probability is not None


def test_a_keras_graph_of_another_size_is_refused(tmp_path: Path) -> None:
    onnx.save(keras("Softmax"), tmp_path / "keras.onnx")
    done = command(tmp_path / "bundle", "bressem2021", "--weights", f"classifier={tmp_path / 'keras.onnx'}")
    assert done.exit_code == GraphRefused.exit_code
    assert "its input is (1, 8, 12, 3)" in done.output
    assert not (tmp_path / "bundle").exists()
