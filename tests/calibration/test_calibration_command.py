"""The whole way, from DICOM files to a bundle that holds one more precision, and every way in which it is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

from calibration.__main__ import main
from calibration.accuracy import UNLIMITED, Budget
from calibration.cache import scales_from_cache
from calibration.control import Task, controlled
from calibration.reader import PER_IMAGE, RecordingEngine, dicom_files, inputs_from_files
from calibration.told import table_from_outcome
from calibration.written import write_bundle as write_bundle_of
from edge_sacro.bundle import load_bundle
from edge_sacro.engine import Engine, NetworkSpec, TensorSpec
from edge_sacro.errors import BudgetBroken, CalibrationRefused, UsageError
from edge_sacro.runtime import Runtime
from tests.calibration.nets import classifier_with_explanation, two_convolutions, write_drawings, write_standard_bundle
from tests.tiny import CLASSIFIER, write_bundle, write_dicom


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a fragile layer, calibrated to INT8 and then to FP16."""
    folder = tmp_path_factory.mktemp("calibration")
    write_standard_bundle(folder / "fp32", classifier_with_explanation())
    write_drawings(folder / "calibration", 5, 1)
    write_drawings(folder / "validation", 6, 2)
    shared = ["--images", folder / "calibration", "--count", 5, "--validation", folder / "validation"]
    for precision, before, after in (("int8", "fp32", "with-int8"), ("fp16", "with-int8", "both")):
        plot = ["--plot", folder / f"{precision}.png"] if find_spec("matplotlib") else []
        ended = run(precision, "--bundle", folder / before, *shared, "--out", folder / after, *plot)
        assert ended.exit_code == 0, ended.output
        (folder / f"{precision}.txt").write_text(ended.output)
    return folder


def test_the_layer_that_is_fragile_returns_to_float_and_no_other(place: Path) -> None:
    record = json.loads((place / "with-int8" / "calibration.json").read_text())["int8"]
    network = record["networks"]["classifier"]
    assert network["kept_in_float"] == ["fragile"]
    assert network["head_in_float"] == ["head", "cam", "cam_relu"]
    assert network["quantised"] == 2
    assert network["unconstrained"]["max_dp"] > 0.02, "negative control: without it the budget breaks"
    assert record["figures"]["max_dp"] <= 0.02
    assert network["explanation"][0] >= 0.95
    assert "| fragile | classifier | Conv | error" in (place / "int8.txt").read_text()


def test_the_record_says_which_images_how_and_with_what_and_no_name(place: Path) -> None:
    text = (place / "with-int8" / "calibration.json").read_text()
    record = json.loads(text)["int8"]
    files = dicom_files([place / "calibration"])
    assert record["calibration"]["images"] == [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert len(record["validation"]["images"]) == record["validation"]["truth_known"] == 6
    assert {"edge-sacro", "onnxruntime", "numpy"} <= set(record["versions"])
    assert str(place) not in text
    assert ".dcm" not in text


def test_every_precision_runs_and_agrees_with_fp32(place: Path) -> None:
    bundle = load_bundle(place / "both")
    assert bundle.manifest.precisions == {"fp32", "int8", "fp16"}
    assert bundle.manifest.records == {"calibration": "calibration.json"}
    variants = bundle.manifest.networks["classifier"].variants
    assert [v.file for v in variants if v.backends == ["onnxruntime"]] == ["classifier.onnx"]
    assert set(json.loads(bundle.files["calibration.json"])) == {"int8", "fp16"}
    file = place / "validation" / "0.dcm"
    found = {}
    for precision in ("fp32", "int8", "fp16"):
        with Runtime(bundle, precision=precision, threads=1) as runtime:
            found[precision] = runtime.infer(file).probability
    assert found["int8"] == pytest.approx(found["fp32"], abs=0.02)
    assert found["fp16"] == pytest.approx(found["fp32"], abs=0.002)
    metadata = {p.key: p.value for p in onnx.load(place / "both" / "classifier-int8.onnx").metadata_props}
    assert metadata["edge_sacro.precision"] == "int8"


def test_the_old_bundle_is_left_and_a_folder_that_exists_is_refused(place: Path) -> None:
    assert load_bundle(place / "fp32").manifest.precisions == {"fp32"}
    arguments = ["--images", place / "calibration", "--count", 5, "--validation", place / "validation"]
    ended = run("int8", "--bundle", place / "fp32", *arguments, "--out", place / "both")
    assert ended.exit_code == UsageError.exit_code
    assert "exists already" in ended.output


def test_the_guard_band_is_the_wider_one_and_says_where_it_comes_from(place: Path) -> None:
    before = load_bundle(place / "fp32").manifest.guard_band
    after = load_bundle(place / "both").manifest.guard_band
    assert after.half_width >= before.half_width
    assert after.source.startswith("noise; int8 against fp32 on 6 probabilities asks for")
    assert "; fp16 against fp32" in after.source


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="pictures are drawn with the workshop's matplotlib")
def test_the_layers_are_drawn(place: Path) -> None:
    assert (place / "int8.png").read_bytes().startswith(b"\x89PNG")
    assert not (place / "with-int8" / "int8.png").exists()


def test_the_cache_has_every_activation_of_the_fp32_file(place: Path, tmp_path: Path) -> None:
    ended = run("cache", "--bundle", place / "both", "--tensorrt", "8.5.2", "--out", tmp_path)
    assert ended.exit_code == 0
    assert "0 tensors lack a scale" in ended.output
    assert "['fragile']" in ended.output
    header, scales = scales_from_cache((tmp_path / "classifier.cache").read_text())
    assert header == "TRT-8502-EntropyCalibration2"
    assert {"image", "lifted", "back", "features"} <= set(scales)
    assert scales["lifted"] == pytest.approx(101 / 127, abs=0.01)
    ended = run("cache", "--bundle", place / "fp32", "--out", tmp_path / "none")
    assert ended.exit_code == UsageError.exit_code
    assert "run int8 first" in ended.output


def test_a_bundle_that_cannot_keep_the_budget_is_refused_and_nothing_is_written(place: Path, tmp_path: Path) -> None:
    write_standard_bundle(tmp_path / "steep", classifier_with_explanation(gain=1500.0, middle=0.664))
    arguments = ["--images", place / "calibration", "--count", 5, "--validation", place / "validation"]
    ended = run("int8", "--bundle", tmp_path / "steep", *arguments, "--out", tmp_path / "out")
    assert ended.exit_code == BudgetBroken.exit_code
    assert "no network can be int8 within the budget" in ended.output
    assert "max_dp" in ended.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["steep"]


def test_too_few_images_are_refused_by_name_and_reason(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    shutil.copytree(place / "calibration", folder)
    shutil.copyfile(folder / "0.dcm", folder / "again.dcm")
    write_dicom(folder / "chest.dcm", BodyPartExamined="CHEST")
    arguments = ["--images", folder, "--count", 6, "--validation", place / "validation", "--out", tmp_path / "out"]
    ended = run("int8", "--bundle", place / "fp32", *arguments)
    assert ended.exit_code == CalibrationRefused.exit_code
    assert "5 of 7 files gave inputs, and 6 are asked for" in ended.output
    assert "chest.dcm: wrong_body_part" in ended.output
    assert "again.dcm: the same file again" in ended.output
    assert not (tmp_path / "out").exists()


def test_images_of_both_sets_are_refused(place: Path, tmp_path: Path) -> None:
    arguments = ["--images", place / "validation", "--count", 5, "--validation", place / "validation"]
    ended = run("int8", "--bundle", place / "fp32", *arguments, "--out", tmp_path / "out")
    assert ended.exit_code == UsageError.exit_code
    assert "5 images are both" in ended.output


def test_a_network_that_is_to_stay_whole_must_exist(place: Path, tmp_path: Path) -> None:
    arguments = ["--images", place / "calibration", "--count", 5, "--validation", place / "validation"]
    ended = run("int8", "--bundle", place / "fp32", *arguments, "--out", tmp_path / "out", "--whole", "detector")
    assert ended.exit_code == UsageError.exit_code
    assert "no networks ['detector']" in ended.output


def test_a_network_that_is_to_stay_whole_shares_its_fp32_file(tmp_path: Path, place: Path) -> None:
    """The tiny segmenter's nearest level is exact in float; its classifier is a head alone, so nothing is left."""
    write_bundle(tmp_path / "b", guard_band={"half_width": 0.01, "source": "noise"})
    for number in range(4):
        folder = tmp_path / ("one", "two")[number % 2]
        folder.mkdir(exist_ok=True)
        write_dicom(folder / f"{number}.dcm", KVP=70 + number)
    arguments = ["--images", tmp_path / "one", "--count", 2, "--validation", tmp_path / "two"]
    ended = run("int8", "--bundle", tmp_path / "b", *arguments, "--out", tmp_path / "o", "--whole", "classifier")
    assert ended.exit_code == 0, ended.output
    networks = load_bundle(tmp_path / "o").manifest.networks
    assert networks["classifier"].file("int8", "tensorrt") == "classifier.onnx"
    assert networks["segmenter"].file("int8", "tensorrt") == "segmenter-int8.onnx"


def test_what_is_recorded_is_what_the_runtime_feeds_its_networks(place: Path) -> None:
    bundle = load_bundle(place / "fp32")
    files = dicom_files([place / "calibration"])
    reading = inputs_from_files(bundle, files, 2)
    assert reading.files == tuple(files[:2])
    first = reading.inputs["classifier"][0]["image"]
    assert first.shape == (1, 1, *CLASSIFIER)
    seen: list[Any] = []

    class Watching(Engine):
        backend = "onnxruntime"
        vendor_version = "test"

        def _run(self, inputs: Any, _deadline: float | None) -> Any:
            seen.append(inputs["image"].copy())
            return {each.name: np.zeros(each.shape, np.float32) for each in self.spec.outputs}

    with Runtime(bundle, opener=lambda *given: Watching(given[1])) as runtime:
        runtime.infer(files[0])
    np.testing.assert_array_equal(first, seen[0])
    with pytest.raises(CalibrationRefused, match="0 of 0 files"):
        inputs_from_files(bundle, [])


def test_of_many_windows_the_first_the_last_and_equal_steps_between_are_kept() -> None:
    class Still(Engine):
        backend = "null"
        vendor_version = "test"

        def _run(self, inputs: Any, _deadline: float | None) -> Any:
            return {"y": inputs["x"]}

    spec = NetworkSpec("net", (TensorSpec("x", (1,)),), (TensorSpec("y", (1,)),))
    engine = RecordingEngine(Still(spec))
    for number in range(9):
        engine.run({"x": np.array([number], np.float32)})
    taken = [each["x"].item() for each in engine.taken()]
    assert len(taken) == PER_IMAGE
    assert (taken[0], taken[-1]) == (0, 8)
    assert engine.taken() == []


def test_onnxruntimes_own_file_is_recorded_with_what_it_has_on_integers_and_what_in_float_and_why(
    place: Path, tmp_path: Path
) -> None:
    record = json.loads((place / "with-int8" / "calibration.json").read_text())["int8"]
    assert record["networks"]["classifier"]["onnxruntime"] == {
        "integer": 0,
        "in_float": {
            "shift": "its output is not quantised: it goes to Conv",
            "easy": "its output is not quantised: it goes to Conv, GlobalAveragePool",
        },
        "kernels": {"Conv": 1, "FusedConv": 3, "Gemm": 1},
        "unlike": [],
    }
    assert record["figures_onnxruntime"]["max_dp"] == 0, "the FP32 file serves"
    write_standard_bundle(tmp_path / "fp32", two_convolutions(), explained=False)
    bundle = load_bundle(tmp_path / "fp32")
    reading = inputs_from_files(bundle, dicom_files([place / "validation"]), 6)
    read = replace(reading, images=())
    task = Task(bundle, reading, read, {}, UNLIMITED, "onnxruntime", frozenset(), frozenset(), str)
    outcome = controlled(task, "int8")
    network = load_bundle(write_bundle_of(task, outcome, "int8", tmp_path / "int8")).manifest.networks["classifier"]
    assert network.file("int8", "onnxruntime") == "classifier-int8-ort.onnx"
    assert network.file("int8", "openvino") == network.file("int8", "tensorrt") == "classifier-int8.onnx"
    record = json.loads((tmp_path / "int8" / "calibration.json").read_text())["int8"]["networks"]["classifier"]
    assert record["quantised"] == 2
    assert record["onnxruntime"]["integer"] == record["onnxruntime"]["kernels"]["QLinearConv"] == 1
    assert set(record["onnxruntime"]["in_float"]) == {"second"}
    assert "| second | classifier | | on ONNX Runtime: its output is not" in table_from_outcome(
        outcome, "int8", {"classifier": (1, 1)}
    )


def test_without_a_budget_no_image_is_assessed_and_no_layer_returns_to_float(place: Path) -> None:
    bundle = load_bundle(str(place / "fp32"))
    reading = inputs_from_files(bundle, dicom_files([place / "validation"]), 6)
    read = replace(reading, files=())  # any assessment would miss its files
    task = Task(bundle, reading, replace(read, images=()), {}, UNLIMITED, "onnxruntime", frozenset(), frozenset(), str)
    outcome = controlled(task, "int8")
    (network,) = outcome.networks
    assert network.kept == ()
    assert outcome.figures.images == 0
    assert outcome.pairs.half_width == 0
    with pytest.raises(CalibrationRefused):
        controlled(replace(task, budget=Budget()), "int8")
