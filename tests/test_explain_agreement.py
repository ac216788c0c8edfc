"""Every backend and precision explains alike, and another class or another network does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from calibration.graph import prepared
from calibration.quantise import qdq_from_float
from calibration.ranges import observe
from edge_sacro.bundle import load_bundle
from edge_sacro.explain import Explanation
from edge_sacro.manifest import Precision
from edge_sacro.phantom import PhantomOptions, write_study
from edge_sacro.runtime import Runtime
from edge_sacro.types import Box, State
from export.explained_bundle import write_explained
from tests import explained_nets, tiny

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8", "fp16")
LEAST_CORRELATION = {"fp32": 0.999999, "fp16": 0.9999, "int8": 0.99}
"""Of a map with that of FP32 on ONNX Runtime, over the pixels that the network saw."""


def correlation(one: Explanation, other: Explanation) -> float:
    part = slice(one.seen.y0, one.seen.y1), slice(one.seen.x0, one.seen.x1)
    return float(np.corrcoef(one.strength[part].ravel(), other.strength[part].ravel())[0, 1])


def peak_distance(one: Explanation, other: Explanation) -> float:
    """Between the peaks, in cells of the map."""
    places = [np.unravel_index(int(each.cells.argmax()), each.cells.shape) for each in (one, other)]
    return float(np.abs(np.subtract(*places)).max())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    classifiers = explained_nets.in_precisions(explained_nets.convolutional())
    return explained_nets.write_anatomy_bundle(tmp_path_factory.mktemp("precisions") / "bundle", classifiers)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn pelvis with a texture in its sacrum that changes no label."""
    coarse = np.random.default_rng(5).uniform(-300, 300, (32, 32))
    texture = coarse.repeat(16, axis=0).repeat(16, axis=1)
    pixels = tiny.drawn_pelvis()
    sacrum = pixels == tiny.LEVELS[2]
    pixels[sacrum] = (pixels + texture)[sacrum]
    return tiny.write_dicom(tmp_path_factory.mktemp("image") / "a.dcm", pixels)


def explanation_of(bundle: Path, image: Path, backend: str, precision: Precision, class_index: int = 1) -> Explanation:
    with Runtime(bundle, backend=backend, precision=precision, threads=1) as runtime:
        _, _, found = runtime.infer_explained(image, class_index=class_index)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def reference(bundle: Path, image: Path) -> Explanation:
    return explanation_of(bundle, image, "onnxruntime", "fp32")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_backend_and_precision_looks_at_the_same_place(
    bundle: Path, image: Path, reference: Explanation, backend: str, precision: Precision
) -> None:
    pytest.importorskip(backend)
    found = explanation_of(bundle, image, backend, precision)
    assert reference.maximum > 0
    assert correlation(reference, found) >= LEAST_CORRELATION[precision]
    assert peak_distance(reference, found) <= 1
    assert found.maximum == pytest.approx(reference.maximum, rel=0.05)
    absence = explanation_of(bundle, image, backend, precision, class_index=0)
    assert absence.maximum > 0
    assert correlation(reference, absence) < 0.5, "negative control: the other class looks elsewhere"
    assert peak_distance(reference, absence) > 1


def test_ranges_that_are_wrong_are_seen_in_the_map(tmp_path: Path, image: Path, reference: Explanation) -> None:
    """Negative control of INT8: activations cut off at a sixteenth of their range."""
    model = prepared(explained_nets.convolutional())
    noise = [{"image": np.random.default_rng(2).random((1, 1, *tiny.CLASSIFIER), dtype=np.float32)}]
    limits = {name: limit / 16 for name, limit in observe(model, noise).limits("minmax").items()}
    classifiers = {"fp32": explained_nets.convolutional(), "int8": qdq_from_float(model, limits).SerializeToString()}
    broken = explained_nets.write_anatomy_bundle(tmp_path / "bundle", classifiers)
    assert correlation(reference, explanation_of(broken, image, "onnxruntime", "int8")) < LEAST_CORRELATION["int8"]


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle; with an explanation added where it has none."""
    shipped = load_bundle()
    if len(shipped.manifest.networks["classifier"].outputs) > 1:
        return Path(shipped.path)
    out = tmp_path_factory.mktemp("demonstration") / "bundle"
    write_explained(shipped, out)
    return out


@pytest.fixture(scope="module")
def one_sided(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A simulated radiograph with definite disease in one joint, by the patient's side."""
    folder = tmp_path_factory.mktemp("one-sided")
    options = {
        "right": PhantomOptions(left_grade=0, right_grade=4),
        "left": PhantomOptions(left_grade=4, right_grade=0),
    }
    for side, each in options.items():
        write_study(folder / side, 1, 930_001, each)
    return {side: next((folder / side).glob("*.dcm")) for side in options}


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_shipped_networks_look_at_the_diseased_joint_in_every_precision(
    demonstration: Path, one_sided: dict[str, Path], side: str
) -> None:
    found: dict[str, Explanation] = {}
    for precision in sorted(load_bundle(demonstration).manifest.precisions):
        with Runtime(demonstration, precision=precision, threads=1) as runtime:
            result, _, explanation = runtime.infer_explained(one_sided[side])
        assert result.state is not State.NOT_ASSESSABLE
        assert explanation is not None
        found[precision] = explanation
        joints = {"left": result.joints.left, "right": result.joints.right}
        parts = {name: _part_of(explanation, Box(*(joint.box_px or []))) for name, joint in joints.items()}
        assert parts[side] > 2 * parts[{"left": "right", "right": "left"}[side]]
    for precision, explanation in found.items():
        assert correlation(found["fp32"], explanation) >= LEAST_CORRELATION[precision]
        assert peak_distance(found["fp32"], explanation) <= 1


def _part_of(explanation: Explanation, box: Box) -> float:
    return float(explanation.strength[box.y0 : box.y1, box.x0 : box.x1].sum() / explanation.strength.sum())


def test_the_shipped_answers_are_the_same_with_an_explanation(demonstration: Path, one_sided: dict[str, Path]) -> None:
    with Runtime(threads=1) as plain, Runtime(demonstration, threads=1) as explained:
        for path in one_sided.values():
            assert tiny.without_timings(plain.infer(path)) == tiny.without_timings(explained.infer(path))
    graph = onnx.load_from_string(load_bundle(demonstration).model("classifier", "fp32", "onnxruntime")).graph
    assert [output.name for output in graph.output] == ["logits", "explanation"]
