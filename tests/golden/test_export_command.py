"""What ``python -m export model`` writes from the published checkpoints: a bundle that tells where it comes from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

from click.testing import CliRunner

from edge_sacro.bundle import load_bundle
from edge_sacro.errors import GraphRefused
from edge_sacro.runtime import Runtime
from edge_sacro.systems import SYSTEMS
from export.__main__ import main
from tests.golden import networks
from tests.golden.arrays import golden, worst

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def record(published_bundle: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((published_bundle / "export.json").read_text())
    return found


def test_the_runtime_opens_it_with_the_published_operating_points(published_bundle: Path) -> None:
    manifest = load_bundle(published_bundle).manifest
    assert manifest.system == "dorfner2024"
    assert [point.operating_point() for point in manifest.operating_points] == list(
        SYSTEMS["dorfner2024"].operating_points
    )
    assert manifest.segmentation is not None
    assert (manifest.segmentation.size, manifest.segmentation.window) == (768, 512)
    assert manifest.records == {"export": "export.json"}
    assert not manifest.demonstration
    assert manifest.guard_band.half_width >= 0.001
    Runtime(published_bundle, threads=1).close()


def test_the_record_names_the_checkpoints_and_the_measured_differences(
    published_bundle: Path, record: dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]
) -> None:
    for name, file in (("segmenter", networks.SEGMENTER_FILE), ("classifier", networks.CLASSIFIER_FILE)):
        told = record["networks"][name]
        content = (published_bundle.parent / file).read_bytes()
        assert told["source"] == {"file": file, "sha256": hashlib.sha256(content).hexdigest()}
        differences = told["largest_differences"]
        largest = differences["largest"]["logits"]
        assert 0 < differences["real"]["logits"] < 1e-4 * max(1, largest)
        assert 0 < differences["random"]["logits"] < 1e-4 * max(1, largest)
        assert differences["control"]["logits"] > 100 * differences["real"]["logits"]
    assert record["networks"]["classifier"]["largest_differences"]["autograd"] <= 1e-5  # type: ignore[operator]
    assert set(record["versions"]) >= {"torch", "onnx", "onnxruntime", "exporter"}


@pytest.mark.parametrize(("name", "gigamacs"), [("segmenter", 55.3), ("classifier", 21.1)])
def test_costs_are_those_of_the_published_networks(
    record: dict[str, dict[str, dict[str, float]]], name: str, gigamacs: float
) -> None:
    assert record["networks"][name]["gigamacs"] == pytest.approx(gigamacs, abs=0.06)


def test_the_graphs_say_whose_they_are(published_bundle: Path) -> None:
    for name, file in (("segmenter", networks.SEGMENTER_FILE), ("classifier", networks.CLASSIFIER_FILE)):
        model = onnx.load(published_bundle / f"{name}.onnx")
        said = {entry.key: entry.value for entry in model.metadata_props}
        assert said["edge_sacro.network"] == name
        assert (
            said["edge_sacro.source_sha256"]
            == hashlib.sha256((published_bundle.parent / file).read_bytes()).hexdigest()
        )
    assert json.loads(said["edge_sacro.classes"])[1] == "definite radiographic sacroiliitis"


def test_its_classifier_meets_the_published_logits_and_explains_itself(published_bundle: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(published_bundle / "classifier.onnx", providers=["CPUExecutionProvider"])
    noise = np.random.Generator(np.random.PCG64(99)).random((1, 1, 416, 628)).astype(np.float32)
    logits, maps = session.run(["logits", "explanation"], {"image": noise})
    assert worst(logits, golden("classifier")["rand_pcg64_99/logits"]) <= 1e-4
    assert maps.shape == (1, 2, 13, 20)
    assert maps.min() == 0 < maps.max()
    mirrored, _ = session.run(["logits", "explanation"], {"image": noise[..., ::-1].copy()})
    assert worst(mirrored, golden("classifier")["rand_pcg64_99/logits"]) > 1e-4


def test_check_tells_what_the_graph_is(published_bundle: Path) -> None:
    file = str(published_bundle / "classifier.onnx")
    done = CliRunner().invoke(main, ["check", file, "--system", "dorfner2024", "--network", "classifier"])
    assert done.exit_code == 0, done.output
    assert "output explanation (1, 2, 13, 20)" in done.output
    assert "21.13 GMAC" in done.output
    done = CliRunner().invoke(main, ["check", file, "--system", "dorfner2024", "--network", "segmenter"])
    assert done.exit_code == GraphRefused.exit_code
    assert "the contract says image (1, 1, 512, 512)" in done.output
