"""The demonstration networks as they are shipped: contract, size, and figures on phantoms that no training saw."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

import torch

import edge_sacro
from edge_sacro.bundle import load_bundle
from edge_sacro.locate import CLASSES
from export.demonstration.data import phantom_source
from export.demonstration.evaluate import FIRST_HELD_OUT_SEED, Case, Evaluator, dice
from export.demonstration.manifest import manifest_fields, sealed_bundle
from export.demonstration.metrics import metrics_from_cases
from export.demonstration.networks import CLASSIFIER_SIZE, SEGMENTER_SIZE, Segmenter
from export.demonstration.operating import OperatingFigures
from export.onnx_graph import onnx_from_module

pytestmark = pytest.mark.heavy

FOLDER = Path(edge_sacro.__file__).parent / "bundles" / "demonstration"
MOST_BYTES = 8_000_000
HELD_OUT = range(FIRST_HELD_OUT_SEED + 30_000, FIRST_HELD_OUT_SEED + 30_006)
LEAST_IOU = 0.7
"""Of the mean over these few phantoms; docs/demonstration/metrics.json has the figure of 200."""


def _cases(bundle: Path) -> list[Case]:
    evaluator = Evaluator(bundle)
    try:
        return [evaluator.case(phantom_source(seed)) for seed in HELD_OUT]
    finally:
        evaluator.close()


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return _cases(FOLDER)


def test_both_networks_have_the_systems_contract() -> None:
    networks = load_bundle(FOLDER).manifest.networks
    size = [SEGMENTER_SIZE, SEGMENTER_SIZE]
    shapes = {
        "segmenter": ([1, 1, *size], [("logits", [1, CLASSES, *size])]),
        "classifier": ([1, 1, *CLASSIFIER_SIZE], [("logits", [1, 2]), ("explanation", [1, 2, 13, 20])]),
    }
    for name, (image, outputs) in shapes.items():
        network = networks[name]  # type: ignore[index]
        assert [(tensor.name, tensor.shape) for tensor in network.inputs] == [("image", image)]
        assert [(tensor.name, tensor.shape) for tensor in network.outputs] == outputs


def test_the_shipped_files_stay_small_and_name_no_path() -> None:
    files = sorted(FOLDER.iterdir())
    networks = ["classifier-fp16.onnx", "classifier-int8-ort.onnx", "classifier-int8.onnx", "classifier.onnx"]
    records = ["calibration.json", "manifest.json"]
    assert [file.name for file in files] == sorted([*networks, *records, "segmenter.onnx"])
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    assert not any(b"/" + folder in file.read_bytes() for file in files for folder in (b"tmp/", b"home/", b"root/"))
    for file in (each for each in files if each.suffix == ".onnx"):
        model = onnx.load(file)
        onnx.checker.check_model(model)
        assert {entry.domain: entry.version for entry in model.opset_import}[""] == 18
        assert not any(node.doc_string for node in model.graph.node)


def test_joints_of_unseen_phantoms_are_found(cases: list[Case]) -> None:
    ious = [value for case in cases for value in case.ious]
    assert len(ious) >= len(cases)
    assert np.mean(ious) > LEAST_IOU
    exchanged = [
        found.iou(true)
        for case in cases
        for found, true in zip(case.found, reversed(case.truth), strict=True)
        if found and true
    ]
    assert max(exchanged) == 0, "negative control: never the other side's joint"


def test_an_untrained_segmenter_finds_nothing(tmp_path: Path, cases: list[Case]) -> None:
    """Negative control of the figures: the same runtime, the same images, fresh weights."""
    torch.manual_seed(0)
    shutil.copy(FOLDER / "classifier.onnx", tmp_path / "classifier.onnx")
    shape = (1, 1, SEGMENTER_SIZE, SEGMENTER_SIZE)
    files = {
        "segmenter": onnx_from_module(Segmenter(), tmp_path / "segmenter.onnx", shape),
        "classifier": tmp_path / "classifier.onnx",
    }
    fields = manifest_fields(OperatingFigures(0.5, 0.0, 0.0, 0), with_simulator=False)
    sealed_bundle(tmp_path / "bundle", files, fields)
    untrained = [value for case in _cases(tmp_path / "bundle") for value in case.ious]
    assert np.mean(untrained) < 0.3
    assert np.mean([value for case in cases for value in case.ious]) > np.mean(untrained) + 0.3


def test_segmentation_agrees_with_what_was_taught(cases: list[Case]) -> None:
    assert np.mean([case.dice for case in cases]) > 0.8
    assert dice(np.array([True, False]), np.array([False, True])) == 0


def test_probabilities_rise_with_disease(cases: list[Case]) -> None:
    figures = metrics_from_cases(cases, [])
    sick = [case.probability for case in cases if case.positive and case.probability is not None]
    well = [case.probability for case in cases if not case.positive and case.probability is not None]
    assert sick, "the seeds hold diseased phantoms"
    assert well, "the seeds hold healthy ones"
    assert np.mean(sick) > np.mean(well) + 0.2
    assert figures["images"] == len(cases)
