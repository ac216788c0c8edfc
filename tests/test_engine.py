"""The seam: contracts checked at load and at every call, vendors' errors mapped, no backend replaced."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime.capi.onnxruntime_pybind11_state as vendor
import pytest

from edge_sacro.bundle import load_bundle
from edge_sacro.engine import BACKENDS, Engine, NetworkSpec, TensorSpec, open_engine, ort, ov
from edge_sacro.errors import BackendFailed, BackendUnavailable, BundleContractBroken, DeadlineExceeded
from tests.parity.variants import half, quantised
from tests.tiny import CLASSIFIER, WINDOW, classifier, segmenter, slow_classifier

Array = npt.NDArray[np.float32]

SEGMENTER = NetworkSpec(
    "segmenter",
    (TensorSpec("image", (1, 1, WINDOW, WINDOW)),),
    (TensorSpec("logits", (1, 4, WINDOW, WINDOW)),),
)
CLASSIFIER_SPEC = NetworkSpec(
    "classifier", (TensorSpec("image", (1, 1, *CLASSIFIER)),), (TensorSpec("logits", (1, 2)),)
)


COMPUTING = ("onnxruntime", "openvino")
"""Backends that compute on any processor; the table below is run by each."""


def opened(backend: str, spec: NetworkSpec, model: bytes, threads: int = 1) -> Engine:
    """Open a network, or skip the test where the backend's extra is not installed."""
    if backend == "openvino":
        pytest.importorskip("openvino", reason="the extra edge-sacro[openvino] is not installed")
    return open_engine(backend, spec, model, threads)


def expected_segmentation(image: Array) -> Array:
    levels = np.array([-1, -1 / 3, 1 / 3, 1], np.float32).reshape(1, 4, 1, 1)
    return np.asarray(2 * levels * image - levels**2, np.float32)


def expected_classification(image: Array) -> Array:
    return np.array([[0.0, 8 * (image.mean() - 0.5)]], np.float32)


NETWORKS: dict[str, tuple[NetworkSpec, bytes, Callable[[Array], Array], float]] = {
    "segmenter": (SEGMENTER, segmenter(), expected_segmentation, 1e-6),
    "segmenter in half": (SEGMENTER, half(segmenter()), expected_segmentation, 5e-3),
    "segmenter in INT8": (SEGMENTER, quantised(segmenter()), expected_segmentation, 2e-2),
    "classifier": (CLASSIFIER_SPEC, classifier(), expected_classification, 1e-5),
    "classifier in half": (CLASSIFIER_SPEC, half(classifier()), expected_classification, 2e-2),
    "classifier in INT8": (CLASSIFIER_SPEC, quantised(classifier()), expected_classification, 4e-2),
}
"""Network, what it must answer, and how far from it: rounding of its precision over its few terms."""


@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.parametrize("backend", COMPUTING)
def test_every_backend_computes_what_the_networks_say(backend: str, network: str) -> None:
    spec, model, expected, tolerance = NETWORKS[network]
    image = np.random.default_rng(1).uniform(-1, 1, spec.inputs[0].shape).astype(np.float32)
    logits = opened(backend, spec, model).run({"image": image})["logits"]
    np.testing.assert_allclose(logits, expected(image), atol=tolerance)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(logits, expected(image + np.float32(0.1)), atol=tolerance)


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_every_backend_holds_inputs_to_the_contract(backend: str) -> None:
    engine = opened(backend, CLASSIFIER_SPEC, classifier())
    good = np.zeros((1, 1, *CLASSIFIER), np.float32)
    assert engine.run({"image": good})["logits"].shape == (1, 2)
    for bad in ({"image": good[0]}, {"picture": good}, {"image": good.astype(np.float64)}, {}):
        with pytest.raises(BundleContractBroken):
            engine.run(bad)
    with pytest.raises(BackendFailed, match="not finite"):
        engine.run({"image": good + np.float32(np.nan)})


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec("classifier", (TensorSpec("picture", (1, 1, *CLASSIFIER)),), CLASSIFIER_SPEC.outputs),
        NetworkSpec("classifier", (TensorSpec("image", (1, 1, 32, 32)),), CLASSIFIER_SPEC.outputs),
        NetworkSpec("classifier", CLASSIFIER_SPEC.inputs, (TensorSpec("logits", (1, 3)),)),
        NetworkSpec("classifier", CLASSIFIER_SPEC.inputs, (TensorSpec("probabilities", (1, 2)),)),
    ],
)
@pytest.mark.parametrize("backend", COMPUTING)
def test_a_network_that_is_not_the_contracts_is_refused_when_opened(backend: str, spec: NetworkSpec) -> None:
    with pytest.raises(BundleContractBroken, match="the contract says"):
        opened(backend, spec, classifier())


@pytest.mark.parametrize("backend", COMPUTING)
@pytest.mark.parametrize("change", ["a free axis", "another type"])
def test_a_network_of_free_axes_or_other_types_is_refused_when_opened(backend: str, change: str) -> None:
    model = onnx.load_from_string(classifier())
    if change == "a free axis":
        for value in (model.graph.input[0], model.graph.output[0]):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    else:
        model = onnx.load_from_string(half(classifier()))
        cast = model.graph.node.pop()
        model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
        model.graph.node.append(onnx.helper.make_node("Identity", [cast.input[0]], ["logits"]))
    with pytest.raises(BundleContractBroken, match="the contract says"):
        opened(backend, CLASSIFIER_SPEC, model.SerializeToString())


@pytest.mark.parametrize(("backend", "vendor"), [("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")])
def test_bytes_that_are_no_network_are_a_coded_error(backend: str, vendor: str) -> None:
    with pytest.raises(BackendFailed, match=f"{vendor}: "):
        opened(backend, CLASSIFIER_SPEC, b"not a network")


def test_an_unknown_backend_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(BackendUnavailable, match="null, onnxruntime"):
        open_engine("abacus", CLASSIFIER_SPEC, classifier(), 1)


@pytest.mark.parametrize("backend", COMPUTING)
def test_a_backend_whose_package_is_absent_is_refused_and_not_replaced(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(BackendUnavailable, match=f"needs the package '{backend}'"):
        open_engine(backend, CLASSIFIER_SPEC, classifier(), 1)


def test_the_map_of_onnx_runtimes_errors_is_complete() -> None:
    classes = {n for n, v in vars(vendor).items() if isinstance(v, type) and issubclass(v, Exception)}
    assert classes, "the vendor keeps its exceptions somewhere else now"
    assert classes <= set(ort.ERROR_FROM_VENDOR)


def test_the_map_of_openvinos_errors_is_complete() -> None:
    pytest.importorskip("openvino", reason="the extra edge-sacro[openvino] is not installed")
    binding = importlib.import_module("openvino._pyopenvino")
    wrapper = importlib.import_module("openvino.exceptions")
    classes = {
        name
        for module in (binding, wrapper)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert {"OpConversionFailure", "UserInputError"} <= classes, "the vendor keeps its exceptions somewhere else now"
    assert classes <= set(ov.ERROR_FROM_VENDOR)
    of_the_binding = {"IndexError", "MemoryError", "OverflowError", "RuntimeError", "ValueError"}
    assert of_the_binding <= set(ov.ERROR_FROM_VENDOR), "what pybind11 makes of C++ exceptions"


@pytest.mark.parametrize("engine", [ort, ov])
def test_an_error_that_no_table_lists_is_not_caught(engine: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        engine._mapped(ZeroDivisionError(), "classifier")


@pytest.mark.parametrize("backend", COMPUTING)
def test_a_deadline_that_passed_or_passes_stops_the_network(backend: str) -> None:
    engine = opened(backend, CLASSIFIER_SPEC, slow_classifier(layers=16))
    inputs = {"image": np.zeros((1, 1, *CLASSIFIER), np.float32)}
    start = time.monotonic()
    assert engine.run(inputs, deadline=start + 600)["logits"].shape == (1, 2)
    whole = time.monotonic() - start
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="was stopped at the deadline"):
        engine.run(inputs, deadline=start + whole / 16)
    assert time.monotonic() - start < 0.8 * whole, "it ran on to its end"
    with pytest.raises(DeadlineExceeded, match="passed before"):
        engine.run(inputs, deadline=time.monotonic() - 1)
    assert engine.run(inputs)["logits"].shape == (1, 2), "a stopped network serves the next one"


def test_openvino_computes_in_single_precision() -> None:
    engine = opened("openvino", CLASSIFIER_SPEC, classifier())
    hint = engine._compiled.get_property("INFERENCE_PRECISION_HINT")  # type: ignore[attr-defined]
    assert hint.get_type_name() == "f32"


@pytest.mark.parametrize("backend", COMPUTING)
def test_a_small_networks_result_depends_neither_on_threads_nor_on_the_call(backend: str) -> None:
    image = np.random.default_rng(2).uniform(-1, 1, (1, 1, WINDOW, WINDOW)).astype(np.float32)
    answers = [
        opened(backend, SEGMENTER, segmenter(), threads).run({"image": image})["logits"] for threads in (1, 2, 2)
    ]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[1], answers[2])


@pytest.mark.parametrize("backend", COMPUTING)
def test_threads_move_a_deep_network_by_rounding_at_most_and_repeating_it_by_nothing(backend: str) -> None:
    bundle = load_bundle()
    spec = bundle.manifest.networks["segmenter"].spec("segmenter")
    model = bundle.model("segmenter", "fp32", backend)
    image = np.random.default_rng(3).uniform(-1, 1, spec.inputs[0].shape).astype(np.float32)
    one, two, again = (opened(backend, spec, model, n).run({"image": image})["logits"] for n in (1, 2, 2))
    np.testing.assert_array_equal(two, again)
    np.testing.assert_allclose(two, one, rtol=0, atol=0 if backend == "onnxruntime" else 1e-3)


@pytest.mark.parametrize("backend", COMPUTING)
def test_one_engine_serves_several_threads_at_once(backend: str) -> None:
    engine = opened(backend, SEGMENTER, segmenter())
    images = [np.full((1, 1, WINDOW, WINDOW), value, np.float32) for value in np.linspace(-1, 1, 24)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda image: engine.run({"image": image})["logits"], images))
    for image, answer in zip(images, answers, strict=True):
        np.testing.assert_allclose(answer, expected_segmentation(image), atol=1e-6)


def test_the_null_backend_says_that_it_computes_nothing() -> None:
    assert not open_engine("null", CLASSIFIER_SPEC, b"", 1).computes
    assert open_engine("onnxruntime", CLASSIFIER_SPEC, classifier(), 1).computes


@pytest.mark.parametrize("backend", COMPUTING)
def test_an_output_is_the_callers_to_keep(backend: str) -> None:
    engine = opened(backend, CLASSIFIER_SPEC, classifier())
    first = engine.run({"image": np.zeros((1, 1, *CLASSIFIER), np.float32)})["logits"]
    kept = first.copy()
    engine.run({"image": np.ones((1, 1, *CLASSIFIER), np.float32)})
    engine.close()
    np.testing.assert_array_equal(first, kept)
