"""``edge-sacro parity`` and ``python -m bench parity`` from their arguments to their files and exit codes."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result

from bench.parity import parity as bench
from bench.parity_layers import layers_from_calls, worst_layers
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.cli import main
from edge_sacro.errors import BackendUnavailable, BudgetBroken, GraphRefused, InputNotFound, UsageError
from edge_sacro.parity import run
from edge_sacro.parity.budget import BUDGETS
from edge_sacro.parity.document import Document
from edge_sacro.parity.measure import recorded_calls
from tests import tiny
from tests.parity import variants

ORT = ["--against", "onnxruntime:fp32", "--against", "onnxruntime:int8", "--threads", "1"]


def parity(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["parity", *map(str, arguments)])


def test_a_bundle_that_holds_ends_with_zero_and_writes_what_was_asked_for(
    folder: Path, images: list[Path], tmp_path: Path
) -> None:
    outputs = ["--json", tmp_path / "p.json", "--html", tmp_path / "p.html"]
    done = parity(images[0].parent, "--bundle", folder, *ORT, *outputs)
    assert done.exit_code == 0, done.output
    document = Document.model_validate_json((tmp_path / "p.json").read_text())
    assert [each.name for each in document.contenders] == ["onnxruntime:fp32", "onnxruntime:int8"]
    assert [each.reason for each in document.ignored] == ["no DICM preamble"]
    assert "The budget holds." in (tmp_path / "p.html").read_text()
    assert "1 other files were left aside" in done.output
    assert "not for clinical use" in done.output


@pytest.mark.parametrize("control", ["swapped-classes", "perturbed-weights"])
def test_a_control_ends_with_the_exit_code_of_a_broken_budget_after_the_reports_are_written(
    folder: Path, images: list[Path], tmp_path: Path, control: str
) -> None:
    outputs = ["--control", control, "--json", tmp_path / "p.json", "--html", tmp_path / "p.html"]
    done = parity(*images[::2], "--bundle", folder, *ORT, *outputs)
    assert done.exit_code == BudgetBroken.exit_code == 83
    assert "budget_broken" in done.output
    assert json.loads((tmp_path / "p.json").read_text())["control"] == control
    assert "The budget is broken." in (tmp_path / "p.html").read_text()


def test_a_tighter_budget_is_broken_by_the_same_bundle(folder: Path, images: list[Path], tmp_path: Path) -> None:
    tight = BUDGETS["int8"].model_copy(update={"probability": 1e-6})
    (tmp_path / "budget.json").write_text(json.dumps({"int8": tight.model_dump()}))
    done = parity(*images, "--bundle", folder, "--budget", tmp_path / "budget.json", "--against", "onnxruntime:int8")
    assert done.exit_code == BudgetBroken.exit_code
    assert "a probability differs by" in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--against", "onnxruntime"], UsageError.exit_code, "a colon and a precision"),
        (["--against", "abacus:fp32"], UsageError.exit_code, "onnxruntime, openvino"),
        (["--against", "null:fp32"], UsageError.exit_code, "is not a backend"),
        (["--against", "onnxruntime:fp32", "--budget", "BUDGET"], UsageError.exit_code, "no row for fp32"),
        (["--against", "onnxruntime:int8", "--bundle", "FP32"], UsageError.exit_code, "and no int8"),
        (["--phantoms", "0"], InputNotFound.exit_code, "no DICOM file"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_drawn(
    tmp_path: Path, arguments: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "write_study", None)
    (tmp_path / "budget.json").write_text("{}")
    places = {"BUDGET": tmp_path / "budget.json", "FP32": tiny.write_bundle(tmp_path / "fp32")}
    done = parity(*(places.get(each, each) for each in arguments))
    assert done.exit_code == code, done.output
    assert words in done.output


def test_a_backend_that_was_named_and_is_not_installed_is_an_error(
    folder: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    done = parity(images[0], "--bundle", folder, "--against", "openvino:fp32")
    assert done.exit_code == BackendUnavailable.exit_code
    assert "left out" not in done.output


def test_phantoms_are_drawn_with_their_truth(tmp_path: Path) -> None:
    done = parity("--phantoms", "1", "--against", "onnxruntime:fp32", "--json", tmp_path / "p.json")
    assert done.exit_code == 0, done.output
    document = Document.model_validate_json((tmp_path / "p.json").read_text())
    assert [each.name for each in document.instances] == [f"phantom-{run.PHANTOM_SEED}-000.dcm"]
    assert all(each.truth is not None for each in document.instances)


def test_the_record_is_written_into_the_bundle_only_where_the_budget_holds(images: list[Path], tmp_path: Path) -> None:
    folder = variants.write_bundle(tmp_path / "bundle")
    write = ["--bundle", folder, *ORT, "--write-into", folder]
    assert parity(*images[:3], *write, "--control", "swapped-classes").exit_code == BudgetBroken.exit_code
    assert load_bundle(folder).manifest.records == {}
    done = parity(*images[:3], *write)
    assert done.exit_code == 0, done.output
    assert load_bundle(folder).manifest.records == {"parity": "parity.json"}


def test_the_workshop_opens_the_networks_too(folder: Path, images: list[Path], tmp_path: Path) -> None:
    outputs = ["--json", tmp_path / "p.json", "--html", tmp_path / "p.html", "--layer-images", "2"]
    arguments = [*map(str, images[:3]), "--bundle", str(folder), *ORT, *map(str, outputs)]
    done = CliRunner().invoke(bench, arguments)
    assert done.exit_code == 0, done.output
    assert "Activations with the largest error" in done.output
    document = Document.model_validate_json((tmp_path / "p.json").read_text())
    assert {(each.network, each.precision, each.tensor) for each in document.layers} == {
        (network, precision, tensor)
        for precision in ("fp16", "int8")
        for network, tensor in (
            ("segmenter", "logits"),
            ("classifier", "pooled"),
            ("classifier", "mean"),
            ("classifier", "logits"),
        )
    }
    assert all(0 < each.relative_rms < 0.1 for each in document.layers if each.precision == "int8")
    assert "Layers of the classifier" in (tmp_path / "p.html").read_text()
    broken = CliRunner().invoke(bench, [*arguments, "--control", "perturbed-weights"])
    assert broken.exit_code == BudgetBroken.exit_code


def test_an_error_inside_a_network_shows_at_the_layer_where_it_begins(bundle: Bundle, images: list[Path]) -> None:
    layers = layers_from_calls(bundle, recorded_calls(bundle, images[:2], 1))
    int8 = {each.tensor: each for each in layers if each.network == "classifier" and each.precision == "int8"}
    assert [each.operator for each in int8.values()] == ["GlobalAveragePool", "Flatten", "Gemm"]
    assert int8["pooled"].relative_rms == pytest.approx(int8["mean"].relative_rms)
    assert int8["logits"].relative_rms > int8["mean"].relative_rms
    assert worst_layers(layers, 1)[0].startswith("classifier")


def test_graphs_that_share_no_activation_are_refused(bundle: Bundle, images: list[Path]) -> None:
    files = dict(bundle.files)
    model = onnx.load_from_string(files["classifier.int8.onnx"])
    weights = {weight.name for weight in model.graph.initializer}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name if name in weights else f"other_{name}" for name in names]
    files["classifier.int8.onnx"] = model.SerializeToString()
    with pytest.raises(GraphRefused, match="no activation"):
        layers_from_calls(dataclasses.replace(bundle, files=files), recorded_calls(bundle, images[:1], 1))
