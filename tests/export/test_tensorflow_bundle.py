"""From a detector, or the folder that the exporter wrote, to a bundle that the runtime takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import torch
from click.testing import CliRunner

from edge_sacro.bundle import load_bundle
from edge_sacro.errors import GraphRefused, UsageError
from edge_sacro.phantom import PhantomOptions, render
from edge_sacro.phantom.dx import bytes_from_phantom
from edge_sacro.runtime import Runtime
from edge_sacro.types import State
from export.bundle_fields import Account
from export.tensorflow.__main__ import main
from export.tensorflow.bundle import (
    Source,
    bundle_from_source,
    compared_detector,
    source_from_export,
    source_from_generated,
)
from export.tensorflow.efficientdet import D4_CONFIG
from export.tensorflow.layers import links_from_module
from export.tensorflow.pipeline import pipeline_from_text
from tests.export.tensorflow_writer import write_model

pytestmark = pytest.mark.heavy

TINY_CONFIG = (
    D4_CONFIG.read_text("utf-8")
    .replace("-b4_", "-b0_")
    .replace(": 1024", ": 128")
    .replace("num_iterations: 7", "num_iterations: 1")
    .replace("_predictor: 4", "_predictor: 1")
    .replace(": 224", ": 16")
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny() -> Source:
    return source_from_generated(pipeline_from_text(TINY_CONFIG))


@pytest.fixture(scope="module")
def bundle(tiny: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    bundle_from_source(tiny, folder, Account("tiny-detector", generated=True))
    return folder


def variables_of(source: Source) -> dict[str, np.ndarray]:
    links = links_from_module(source.net)
    return {
        name: np.ascontiguousarray(link.tensor.detach().numpy().transpose(np.argsort(link.axes)))
        for name, link in links.items()
    }


def test_the_bundle_states_the_detector_and_how_it_was_compared(bundle: Path, tiny: Source) -> None:
    manifest = load_bundle(bundle).manifest
    assert (manifest.system, manifest.classes, manifest.demonstration) == ("noh2021", ["normal", "sacroiliitis"], True)
    detection = manifest.detection
    assert detection is not None
    assert (detection.size, detection.score, detection.iou, detection.boxes) == (128, 0.5, 0.5, 100)
    record = json.loads((bundle / "export.json").read_text())["networks"]["detector"]
    assert record["source"] == {"generated": "noh2021", "sha256": tiny.sha256}
    assert max(record["largest_differences"]["real"].values()) <= 1e-4
    assert record["largest_differences"]["control"]["scores"] > 1e-4


def test_the_runtime_takes_the_bundle(bundle: Path) -> None:
    with Runtime(bundle=bundle) as runtime:
        result = runtime.infer(bytes_from_phantom(render(0, PhantomOptions(spacing_mm=0.4))))
    assert result.state in {State.POSITIVE, State.NEGATIVE, State.BORDERLINE, State.NOT_ASSESSABLE}


def test_a_graph_of_other_weights_is_refused(bundle: Path) -> None:
    model = onnx.load(bundle / "detector.onnx")
    other = source_from_generated(pipeline_from_text(TINY_CONFIG.replace("y_scale: 10.0", "y_scale: 5.0")))
    with pytest.raises(GraphRefused, match="boxes on real input differs"):
        compared_detector(model, other.net)


def test_the_newest_checkpoint_of_an_exported_folder_is_read(tiny: Source, tmp_path: Path) -> None:
    variables = variables_of(tiny)
    (tmp_path / "pipeline.config").write_text(TINY_CONFIG)
    write_model(tmp_path / "checkpoint" / "ckpt-9", {"old": np.zeros(1, np.float32)})
    write_model(tmp_path / "checkpoint" / "ckpt-10", variables)
    found = source_from_export(tmp_path)
    assert found.told == {"file": "checkpoint/ckpt-10", "sha256": found.sha256}
    assert len(found.sha256) == 64
    for mine, theirs in zip(found.net.parameters(), tiny.net.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pipeline.config").write_text(TINY_CONFIG)
    with pytest.raises(UsageError, match="there is no model in it"):
        source_from_export(tmp_path)


@pytest.mark.parametrize("arguments", [["."], ["--generated"]])
def test_the_command_wants_a_folder_or_generated_weights(tmp_path: Path, arguments: list[str]) -> None:
    wrong = [] if arguments == ["."] else [str(tmp_path), *arguments]
    answer = CliRunner().invoke(main, [*wrong, "--out", str(tmp_path / "out")])
    assert (answer.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert "give a folder or --generated" in answer.output
