"""Grad-CAM added to a graph alone is autograd's of the network that the graph came from; other heads are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper

from edge_sacro.bundle import load_bundle
from edge_sacro.errors import GraphRefused, UsageError
from edge_sacro.runtime import Runtime
from export.explained_bundle import write_explained
from export.explained_graph import explained_from_graph
from export.gate import OPERATORS
from tests import explained_nets, tiny
from tests.systems.bundles import write_detector_bundle

SHAPE = (1, 1, *tiny.CLASSIFIER)


def run(model: onnx.ModelProto | bytes, image: np.ndarray) -> dict[str, np.ndarray]:
    import onnxruntime

    content = model if isinstance(model, bytes) else model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": image}), strict=True))


@pytest.mark.heavy
def test_the_demonstration_networks_maps_are_autograds(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import torch

    from export.demonstration.networks import CLASSIFIER_SIZE, Classifier
    from export.onnx_graph import onnx_from_module, store_in_half

    torch.manual_seed(4)
    torch.set_num_threads(1)
    net = Classifier()
    for name, value in net.state_dict().items():
        if name.endswith(("running_var", "norm.weight", "2.weight")) and value.is_floating_point():
            value.uniform_(0.5, 1.5)
    for stored in (False, True):
        path = onnx_from_module(net, tmp_path / "net.onnx", (1, 1, *CLASSIFIER_SIZE))
        model = onnx.load(store_in_half(path) if stored else path)
        explained = explained_from_graph(model)
        assert {node.op_type for node in explained.graph.node} <= OPERATORS
        image = np.random.default_rng(6).random((1, 1, *CLASSIFIER_SIZE), dtype=np.float32)
        found = run(explained, image)
        assert np.array_equal(found["logits"], run(model, image)["logits"])
        expected = _by_autograd(net, torch.from_numpy(image))
        largest = expected.max()
        tolerance = 5e-3 if stored else 1e-5
        assert found["explanation"].shape == expected.shape == (1, 2, 13, 20)
        assert np.abs(found["explanation"] - expected).max() <= tolerance * largest
        assert np.abs(found["explanation"][:, ::-1] - expected).max() > 0.1 * largest, "negative control"


def _by_autograd(net: Any, image: Any) -> np.ndarray:
    import torch

    with torch.no_grad():
        features = net.features(image)
    features.requires_grad_()
    maps = []
    for logit in net.head(features.mean(dim=(2, 3)))[0]:
        (gradient,) = torch.autograd.grad(logit, features, retain_graph=True)
        maps.append(torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1)))
    return np.asarray(torch.cat(maps).detach()[None])


def test_a_maps_cells_add_up_to_what_the_network_says_of_the_class() -> None:
    """Of a head of one layer without bias the cells are the logit's parts, so that their sum is the logit."""
    weights = {"kernel": np.ones((3, 1, 4, 4), np.float32), "weight": np.array([[0, 1], [0, 2], [0, 0.5]], np.float32)}
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["features"], strides=[4, 4]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
        helper.make_node("Gemm", ["mean", "weight"], ["logits"]),
    ]
    plain = explained_nets.graph(nodes, weights, list(SHAPE), {"logits": [1, 2]})
    image = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    found = run(explained_from_graph(onnx.load_from_string(plain)), image)
    assert found["explanation"].shape == (1, 2, 8, 12)
    np.testing.assert_allclose(found["explanation"][0, 1].sum(), found["logits"][0, 1], rtol=1e-5)
    assert not found["explanation"][0, 0].any()


@pytest.mark.parametrize(
    ("nodes", "named"),
    [
        ([("Sigmoid", ["mean"], "a"), ("Gemm", ["a", "weight"], "logits")], "has a Sigmoid"),
        ([("Gemm", ["mean", "weight"], "a"), ("Relu", ["a"], "logits")], "has a Relu"),
        ([("Flatten", ["image"], "a"), ("Gemm", ["a", "flat"], "logits")], "no mean over rows and columns"),
    ],
)
def test_a_head_of_another_form_is_refused(nodes: list[tuple[str, list[str], str]], named: str) -> None:
    weights = {"weight": np.ones((1, 2), np.float32), "flat": np.ones((32 * 48, 2), np.float32)}
    first = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
    ]
    made = [helper.make_node(kind, inputs, [output]) for kind, inputs, output in nodes]
    plain = explained_nets.graph([*first, *made], weights, list(SHAPE), {"logits": [1, 2]})
    with pytest.raises(GraphRefused, match=named):
        explained_from_graph(onnx.load_from_string(plain))


def test_a_graph_that_explains_itself_is_left_alone() -> None:
    with pytest.raises(GraphRefused, match="outputs are"):
        explained_from_graph(onnx.load_from_string(explained_nets.convolutional()))


def test_a_bundle_gets_its_explanation_in_every_precision_and_answers_as_before(tmp_path: Path) -> None:
    classifiers = explained_nets.in_precisions(explained_nets.convolutional(explained=False))
    before = explained_nets.write_anatomy_bundle(tmp_path / "before", classifiers)
    done = CliRunner().invoke(_main(), ["explain", str(before), "--out", str(tmp_path / "after")])
    assert done.exit_code == 0, done.output
    path = tiny.write_dicom(tmp_path / "a.dcm")
    for precision in ("fp32", "int8", "fp16"):
        with (
            Runtime(before, precision=precision, threads=1) as one,  # type: ignore[arg-type]
            Runtime(tmp_path / "after", precision=precision, threads=1) as two,  # type: ignore[arg-type]
        ):
            assert tiny.without_timings(one.infer(path)) == tiny.without_timings(two.infer(path))
            _, _, found = two.infer_explained(path)
            assert found is not None
            assert found.maximum > 0
    old, new = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("before", "after"))
    assert new["networks"]["classifier"]["outputs"][1] == {"name": "explanation", "shape": [1, 2, 8, 12]}
    assert new["files"]["segmenter.onnx"] == old["files"]["segmenter.onnx"]
    assert new["files"]["classifier-int8.onnx"] != old["files"]["classifier-int8.onnx"]
    done = CliRunner().invoke(_main(), ["explain", str(before), "--out", str(tmp_path / "after")])
    assert done.exit_code == UsageError.exit_code
    assert "exists already" in done.output


def test_a_bundle_without_a_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no classifier"):
        write_explained(load_bundle(write_detector_bundle(tmp_path / "detector")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _main() -> Any:
    from export.__main__ import main

    return main
