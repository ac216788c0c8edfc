"""Engines of GPUs in service: opened by their own backend after they have qualified, or refused; never replaced."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.bundle import Bundle
from edge_sacro.engine import NetworkSpec, TensorSpec, build, open_engine, worker
from edge_sacro.engine.base import Engine
from edge_sacro.engine.build import Built, sealed_fields
from edge_sacro.engine.compiled import PLAN_BACKENDS
from edge_sacro.engine.null import NullEngine
from edge_sacro.engine.profiles import profile_from_name
from edge_sacro.engine.seal import Seal, sha256
from edge_sacro.engine.serve import (
    QualifiedEngines,
    order_from_bundle,
    slot_from_bundle,
)
from edge_sacro.engine.store import EngineStore, Qualification
from edge_sacro.engine.worker import BuildRequest, build_all
from edge_sacro.errors import BackendUnavailable, EngineNotQualified
from tests.engines.shelf import tiny_bundle

SPEC = NetworkSpec("n", (TensorSpec("image", (1,)),), (TensorSpec("logits", (1,)),))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "store")


def _plan(store: EngineStore, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> str:
    """Key of an engine that is sealed as TensorRT-RTX's and qualified, whatever its bytes are."""
    monkeypatch.setattr(build, "builder_version", lambda _: "1.7.1")
    order = order_from_bundle(bundle, "classifier", "fp32", profile_from_name("rtx-40"))
    key = store.add(Built(b"plan", Seal(**sealed_fields(order), engine_sha256=sha256(b"plan")), 0.0))
    limits = {"max_difference": 0.0, "mean_difference": 0.0, "max_limit": 1.0, "mean_limit": 1.0, "passed": True}
    counts = {"phantom_inputs": 0, "noise_inputs": 4, "inputs_sha256": "0" * 64, "reference": "none"}
    store.write_qualification(Qualification(key=key, engine_sha256=sha256(b"plan"), **counts, **limits))
    return key


def test_an_engine_of_a_gpu_opens_with_the_gpus_backend(
    bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def opened(spec: NetworkSpec, plan: bytes, threads: int) -> Engine:
        given.append((spec.name, plan, threads))
        return NullEngine(spec, plan, threads)

    monkeypatch.setitem(PLAN_BACKENDS, "tensorrt-rtx", opened)
    key = _plan(store, bundle, monkeypatch)
    store.serve({slot_from_bundle(bundle, "classifier", "fp32"): key})
    engines = QualifiedEngines(store, bundle, "fp32")
    spec = bundle.manifest.networks["classifier"].spec("classifier")
    with engines("onnxruntime", spec, b"", 3).pinned() as engine:
        assert engine.backend == "null"
    assert given == [("classifier", b"plan", 3)]
    store.forget_qualification(key)
    with pytest.raises(EngineNotQualified):
        engines("onnxruntime", spec, b"", 3)
    assert len(given) == 1, "it is not even opened"


def test_an_engine_of_a_gpu_is_refused_where_there_is_none(
    bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    key = _plan(store, bundle, monkeypatch)
    with pytest.raises(BackendUnavailable, match="pycuda cannot be used"):
        QualifiedEngines(store, bundle, "fp32").put_into_service({"classifier": key})
    assert store.service(slot_from_bundle(bundle, "classifier", "fp32")) is None


def test_a_build_on_the_gpu_itself_is_refused_before_it_takes_minutes(
    bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setattr(worker, "engine_from_onnx", lambda _, __: pytest.fail("it was built"))
    request = BuildRequest(bundle.path, bundle.fingerprint, "fp32", "datacentre", str(store.folder), phantoms=0)
    with pytest.raises(BackendUnavailable, match="pycuda cannot be used"):
        build_all(request, lambda _: None)


def test_a_plans_backend_opens_no_onnx_file_and_says_what_to_do() -> None:
    with pytest.raises(BackendUnavailable, match="there is no backend 'tensorrt'") as caught:
        open_engine("tensorrt", SPEC, b"", 1)
    assert "--engines" in caught.value.remedy
