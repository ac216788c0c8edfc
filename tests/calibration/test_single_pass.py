"""One pass in the place of windows: a network of pixels gets it, one that its windows change does not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import helper, numpy_helper

from calibration.__main__ import main
from calibration.single_pass import LEAST_OVERLAP, resized_model, single_pass
from edge_sacro.bundle import load_bundle
from edge_sacro.errors import BudgetBroken, GraphRefused, UsageError
from edge_sacro.runtime import Runtime
from tests.calibration.nets import write_drawings
from tests.tiny import SIZE, classifier, manifest_fields, segmenter, without_timings

WINDOW = 64
SHAPE = [1, 1, WINDOW, WINDOW]


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def windowed(folder: Path, content: bytes) -> Path:
    """A bundle of nine windows of 64 in 128."""
    files = {"segmenter.onnx": content, "classifier.onnx": classifier()}
    networks = manifest_fields()["networks"]
    networks["segmenter"]["inputs"][0]["shape"] = SHAPE
    networks["segmenter"]["outputs"][0]["shape"] = [1, 4, WINDOW, WINDOW]
    fields = manifest_fields(
        networks=networks,
        segmentation={"size": SIZE, "window": WINDOW, "overlap": 0.5, "dilation_fraction": 0.05},
        files={name: hashlib.sha256(each).hexdigest() for name, each in files.items()},
    )
    folder.mkdir()
    for name, each in files.items():
        (folder / name).write_bytes(each)
    (folder / "manifest.json").write_text(json.dumps(fields))
    return folder


def with_statistics(part: float) -> bytes:
    """The tiny segmenter behind the loss of a part of its input's sum, which grows with the input."""
    model = onnx.load_from_string(resized_model(segmenter(), WINDOW))
    model.graph.initializer.append(numpy_helper.from_array(np.array(part, np.float32), "part"))
    model.graph.node[0].input[0] = "rest"
    nodes = [
        helper.make_node("ReduceSum", ["image"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "part"], ["some"]),
        helper.make_node("Sub", ["image", "some"], ["rest"]),
    ]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawings(tmp_path_factory.mktemp("study") / "files", 4, 3)


def test_a_network_of_pixels_answers_alike_and_the_record_says_so(tmp_path: Path, study: Path) -> None:
    bundle = windowed(tmp_path / "windows", resized_model(segmenter(), WINDOW))
    result = run("single-pass", "--bundle", bundle, "--validation", study, "--out", tmp_path / "single")
    assert result.exit_code == 0, result.output
    assert "in the place of 9 windows" in result.output
    manifest = load_bundle(tmp_path / "single").manifest
    assert manifest.segmentation is not None
    assert (manifest.segmentation.size, manifest.segmentation.window) == (SIZE, SIZE)
    record = json.loads((tmp_path / "single" / "calibration.json").read_text())["single_pass"]
    assert record["figures"]["least_iou"] >= LEAST_OVERLAP
    assert record["figures"]["max_dp"] < 1e-4
    assert len(record["images"]) == 4
    with Runtime(str(bundle)) as nine, Runtime(str(tmp_path / "single")) as one:
        for file in study.glob("*.dcm"):
            pair = [without_timings(runtime.infer(file)) for runtime in (nine, one)]
            assert pair[0] == pair[1]


def test_statistics_that_are_nearly_nothing_pass_and_others_do_not(tmp_path: Path, study: Path) -> None:
    files = sorted(study.glob("*.dcm"))
    for part, passes in ((1e-6, True), (8e-5, False)):
        bundle = load_bundle(windowed(tmp_path / str(part), with_statistics(part)))
        if passes:
            assert single_pass(bundle, files, {}, "onnxruntime").passes == 9
            continue
        with pytest.raises(BudgetBroken):
            single_pass(bundle, files, {}, "onnxruntime")


def test_where_the_budget_is_broken_nothing_is_written(tmp_path: Path, study: Path) -> None:
    bundle = windowed(tmp_path / "windows", with_statistics(8e-5))
    result = run("single-pass", "--bundle", bundle, "--validation", study, "--out", tmp_path / "single")
    assert result.exit_code == BudgetBroken.exit_code, result.output
    assert not (tmp_path / "single").exists()


def test_a_bundle_without_windows_or_with_a_graph_of_fixed_shapes_is_refused(tmp_path: Path, study: Path) -> None:
    files = sorted(study.glob("*.dcm"))
    whole = windowed(tmp_path / "windows", resized_model(segmenter(), WINDOW))
    made = single_pass(load_bundle(whole), files, {}, "onnxruntime").bundle
    with pytest.raises(UsageError, match="no sliding windows"):
        single_pass(made, files, {}, "onnxruntime")
    model = onnx.load_from_string(resized_model(segmenter(), WINDOW))
    model.graph.initializer.append(numpy_helper.from_array(np.array(SHAPE, np.int64), "shape"))
    model.graph.node[0].input[0] = "same"
    model.graph.node.insert(0, helper.make_node("Reshape", ["image", "shape"], ["same"]))
    with pytest.raises(GraphRefused, match="of a 128 x 128 input would be"):
        resized_model(model.SerializeToString(), SIZE)
