"""Qualification: engines that compute something else are found, whatever their seal says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.bundle import Bundle
from edge_sacro.engine import open_engine
from edge_sacro.engine import qualify as qualification
from edge_sacro.engine.build import engine_from_onnx
from edge_sacro.engine.ort import OrtEngine
from edge_sacro.engine.profiles import PROFILES, profile_from_name
from edge_sacro.engine.qualify import LIMITS, golden_inputs, qualify
from edge_sacro.engine.serve import order_from_bundle, require_qualified
from edge_sacro.engine.store import EngineStore
from edge_sacro.engine.trt_build import PlanOrder
from edge_sacro.errors import BackendFailed, EngineNotQualified
from tests.engines.graphs import GRAPHS, Precision, residual, spec
from tests.engines.shelf import PROFILE, built, noise, resealed, tiny_bundle
from tests.tiny import classifier


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


def test_the_engine_of_the_bundles_own_network_passes(bundle: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    key = store.add(built(bundle, "classifier"))
    record = qualify(store, bundle, "classifier", key, noise(bundle))
    assert record.passed
    assert record.max_difference <= 1e-5
    assert (record.phantom_inputs, record.noise_inputs) == (0, 4)
    assert record.reference.startswith("onnxruntime ")
    require_qualified(store, key)


@pytest.mark.parametrize("gain", [8.0 * 1.01, -8.0])
def test_an_engine_of_perturbed_weights_fails_whatever_its_seal_says(
    bundle: Bundle, tmp_path: Path, gain: float
) -> None:
    store = EngineStore(tmp_path)
    wrong = engine_from_onnx(PlanOrder("classifier", classifier(gain), "fp32", profile_from_name(PROFILE)))
    key = store.add(resealed(built(bundle, "classifier"), wrong.engine))
    record = qualify(store, bundle, "classifier", key, noise(bundle))
    assert not record.passed
    with pytest.raises(EngineNotQualified, match=r"differ by .* at most"):
        require_qualified(store, key)


def test_an_engine_without_a_record_may_not_serve(bundle: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    key = store.add(built(bundle, "classifier"))
    with pytest.raises(EngineNotQualified, match="has not been run on the golden inputs"):
        require_qualified(store, key)


def test_a_record_of_other_bytes_is_no_record(bundle: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    first, second = (store.add(built(bundle, "classifier", mark)) for mark in ("one", "two"))
    qualify(store, bundle, "classifier", first, noise(bundle))
    text = (tmp_path / f"{first}.qualified.json").read_text()
    (tmp_path / f"{second}.qualified.json").write_text(text)
    with pytest.raises(EngineNotQualified):
        require_qualified(store, second)
    forged = {**json.loads(text), "key": second}
    (tmp_path / f"{second}.qualified.json").write_text(json.dumps(forged))
    with pytest.raises(EngineNotQualified):
        require_qualified(store, second)
    require_qualified(store, first)


def test_an_engine_that_breaks_on_a_golden_input_loses_its_record(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EngineStore(tmp_path)
    key = store.add(built(bundle, "classifier"))
    qualify(store, bundle, "classifier", key, noise(bundle))

    def broken(*_: Any, **__: Any) -> None:
        raise BackendFailed("illegal instruction")

    monkeypatch.setattr(qualification, "_differences", broken)
    with pytest.raises(BackendFailed):
        qualify(store, bundle, "classifier", key, noise(bundle))
    with pytest.raises(EngineNotQualified):
        require_qualified(store, key)


@pytest.mark.heavy
def test_golden_inputs_are_the_same_every_time_and_phantoms_reach_the_networks() -> None:
    from edge_sacro.bundle import load_bundle

    shipped = load_bundle()
    golden = golden_inputs(shipped, "fp32", phantoms=1)
    assert golden.phantom_inputs["segmenter"] >= 1
    assert golden.phantom_inputs["classifier"] == 1
    for network in shipped.manifest.networks:
        inputs = golden.inputs[network]
        assert len(inputs) == golden.phantom_inputs[network] + 4
        seen, noisy = inputs[0]["image"], inputs[-1]["image"]
        assert seen.min() <= noisy.min() <= noisy.max() <= seen.max()
        assert float(np.std(seen)) > 0.01
    assert noise(shipped).sha256("segmenter") == noise(shipped).sha256("segmenter")
    assert golden.sha256("segmenter") != noise(shipped).sha256("segmenter")


@pytest.mark.parametrize("precision", sorted(LIMITS))
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_limits_hold_for_this_processors_engines_and_tell_other_weights(name: str, precision: Precision) -> None:
    _, model = GRAPHS[name](precision)
    _, other = GRAPHS[name](precision, 1)  # type: ignore[call-arg]
    profile = profile_from_name(PROFILE)
    described = spec(model)
    shape = described.inputs[0].shape
    golden = [{"image": np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)} for seed in range(4)]
    reference = OrtEngine(described, model, 1, optimise=False)
    limits = LIMITS[precision]
    found = []
    for each in (model, other):
        engine = engine_from_onnx(PlanOrder("n", each, precision, profile))
        found.append(
            qualification._differences(open_engine("onnxruntime", described, engine.engine, 1), reference, golden)
        )
    (maximum, mean), (wrong, wrong_mean) = found
    assert maximum <= limits.maximum
    assert mean <= limits.mean
    assert wrong > limits.maximum or wrong_mean > limits.mean


def test_weakly_typed_engines_are_held_to_the_fp32_file(bundle: Bundle) -> None:
    accelerator = replace(PROFILES["agx-orin-jetpack6-dla"], precisions=("int8",))
    order = order_from_bundle(bundle, "classifier", "int8", accelerator)
    assert order.model == bundle.files["classifier.onnx"]
    assert residual("int8")[1] != residual("fp32")[1]
