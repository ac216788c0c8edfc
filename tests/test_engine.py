"""The seam: contracts checked at load and at every call, vendors' errors mapped, no backend replaced."""

from __future__ import annotations

import sys
import time

import numpy as np
import onnxruntime.capi.onnxruntime_pybind11_state as vendor
import pytest

from edge_sacro.engine import BACKENDS, NetworkSpec, TensorSpec, open_engine
from edge_sacro.engine.ort import ERROR_FROM_VENDOR
from edge_sacro.errors import BackendFailed, BackendUnavailable, BundleContractBroken, DeadlineExceeded
from tests.tiny import CLASSIFIER, WINDOW, classifier, segmenter, slow_classifier

SEGMENTER = NetworkSpec(
    "segmenter",
    (TensorSpec("image", (1, 1, WINDOW, WINDOW)),),
    (TensorSpec("logits", (1, 4, WINDOW, WINDOW)),),
)
CLASSIFIER_SPEC = NetworkSpec(
    "classifier", (TensorSpec("image", (1, 1, *CLASSIFIER)),), (TensorSpec("logits", (1, 2)),)
)


def test_onnx_runtime_computes_what_the_network_says() -> None:
    image = np.random.default_rng(1).uniform(-1, 1, (1, 1, WINDOW, WINDOW)).astype(np.float32)
    logits = open_engine("onnxruntime", SEGMENTER, segmenter(), 1).run({"image": image})["logits"]
    levels = np.array([-1, -1 / 3, 1 / 3, 1]).reshape(1, 4, 1, 1)
    expected = 2 * levels * image - levels**2
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(logits, 2 * levels * image, atol=1e-6)


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_every_backend_holds_inputs_to_the_contract(backend: str) -> None:
    engine = open_engine(backend, CLASSIFIER_SPEC, classifier(), 1)
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
def test_a_network_that_is_not_the_contracts_is_refused_when_opened(spec: NetworkSpec) -> None:
    with pytest.raises(BundleContractBroken, match="the contract says"):
        open_engine("onnxruntime", spec, classifier(), 1)


def test_bytes_that_are_no_network_are_a_coded_error() -> None:
    with pytest.raises(BackendFailed, match="ONNX Runtime"):
        open_engine("onnxruntime", CLASSIFIER_SPEC, b"not a network", 1)


def test_an_unknown_backend_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(BackendUnavailable, match="null, onnxruntime"):
        open_engine("tensorrt", CLASSIFIER_SPEC, classifier(), 1)


def test_a_backend_whose_package_is_absent_is_refused_and_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendUnavailable, match="needs the package 'onnxruntime'"):
        open_engine("onnxruntime", CLASSIFIER_SPEC, classifier(), 1)


def test_the_map_of_onnx_runtimes_errors_is_complete() -> None:
    classes = {n for n, v in vars(vendor).items() if isinstance(v, type) and issubclass(v, Exception)}
    assert classes, "the vendor keeps its exceptions somewhere else now"
    assert classes <= set(ERROR_FROM_VENDOR)


def test_a_deadline_that_passed_or_passes_stops_the_network() -> None:
    engine = open_engine("onnxruntime", CLASSIFIER_SPEC, slow_classifier(), 1)
    inputs = {"image": np.zeros((1, 1, *CLASSIFIER), np.float32)}
    start = time.monotonic()
    assert engine.run(inputs, deadline=start + 600)["logits"].shape == (1, 2)
    whole = time.monotonic() - start
    with pytest.raises(DeadlineExceeded, match="was stopped at the deadline"):
        engine.run(inputs, deadline=time.monotonic() + whole / 4)
    with pytest.raises(DeadlineExceeded, match="passed before"):
        engine.run(inputs, deadline=time.monotonic() - 1)


def test_the_null_backend_says_that_it_computes_nothing() -> None:
    assert not open_engine("null", CLASSIFIER_SPEC, b"", 1).computes
    assert open_engine("onnxruntime", CLASSIFIER_SPEC, classifier(), 1).computes


def test_an_output_is_the_callers_to_keep() -> None:
    engine = open_engine("onnxruntime", CLASSIFIER_SPEC, classifier(), 1)
    first = engine.run({"image": np.zeros((1, 1, *CLASSIFIER), np.float32)})["logits"]
    kept = first.copy()
    engine.run({"image": np.ones((1, 1, *CLASSIFIER), np.float32)})
    np.testing.assert_array_equal(first, kept)
