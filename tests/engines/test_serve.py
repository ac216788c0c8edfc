"""Engines in service: stale and foreign ones are refused by name, and an exchange disturbs no assessment."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine import NetworkSpec, TensorSpec, build
from edge_sacro.engine.base import Array, Engine
from edge_sacro.engine.seal import sha256
from edge_sacro.engine.serve import (
    QualifiedEngines,
    check_seal,
    open_sealed,
    slot_from_bundle,
)
from edge_sacro.engine.store import EngineStore
from edge_sacro.engine.swapping import SwappingEngine
from edge_sacro.errors import EngineError, EngineNotQualified, EngineStale
from edge_sacro.runtime import Runtime
from tests.engines.shelf import NETWORKS, PROFILE, built, noise, qualified, tiny_bundle
from tests.tiny import classifier, manifest_fields, without_timings, write_bundle, write_dicom

SPEC = NetworkSpec("n", (TensorSpec("image", (1,)),), (TensorSpec("logits", (1,)),))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "store")


def _serving(store: EngineStore, bundle: Bundle, mark: str = "") -> dict[Any, str]:
    keys = qualified(store, bundle, mark)
    QualifiedEngines(store, bundle, "fp32").put_into_service(keys)
    return keys


def test_a_runtime_of_engines_answers_as_one_of_the_bundle(bundle: Bundle, store: EngineStore, tmp_path: Path) -> None:
    _serving(store, bundle)
    image = write_dicom(tmp_path / "a.dcm")
    with Runtime(bundle, threads=1) as plain, Runtime(bundle, opener=QualifiedEngines(store, bundle, "fp32")) as one:
        assert without_timings(one.infer(image)) == without_timings(plain.infer(image))


def test_a_store_without_an_engine_tells_the_command_that_builds_one(bundle: Bundle, store: EngineStore) -> None:
    with pytest.raises(EngineError, match="no engine serves fp32") as caught:
        Runtime(bundle, opener=QualifiedEngines(store, bundle, "fp32"))
    assert f"edge-sacro engine build --bundle {bundle.path} --profile {PROFILE} --precision fp32" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("onnx_sha256", "0" * 64),
        ("builder_version", "1.23.0"),
        ("device", "x86_64 avx2"),
        ("flags", ["optimisation=none"]),
    ],
)
def test_a_stale_or_foreign_engine_is_refused_by_field_with_the_command(
    bundle: Bundle, store: EngineStore, field: str, value: Any
) -> None:
    engine = built(bundle, "classifier")
    check_seal(store, bundle, "classifier", engine.seal)
    other = replace(engine, seal=engine.seal.model_copy(update={field: value}))
    key = store.add(other)
    with pytest.raises(EngineStale, match=f"its {field} is") as caught:
        open_sealed(store, bundle, key, bundle.manifest.networks["classifier"].spec("classifier"), 1)
    expected = f"edge-sacro engine build --bundle {bundle.path} --profile {PROFILE} --precision fp32 --store"
    assert expected in str(caught.value)


def test_a_new_release_of_the_bundle_makes_its_engines_stale(
    bundle: Bundle, store: EngineStore, tmp_path: Path
) -> None:
    _serving(store, bundle)
    folder = write_bundle(tmp_path / "next")
    (folder / "classifier.onnx").write_bytes(classifier(gain=9.0))
    files = {name: sha256((folder / name).read_bytes()) for name in ("segmenter.onnx", "classifier.onnx")}
    (folder / "manifest.json").write_text(json.dumps(manifest_fields(files=files)))
    released = load_bundle(folder)
    with pytest.raises(EngineStale, match="classifier: its onnx_sha256 is"):
        Runtime(released, opener=QualifiedEngines(store, released, "fp32"))


def test_a_profile_that_is_no_more_makes_an_engine_stale(bundle: Bundle, store: EngineStore) -> None:
    seal = built(bundle, "classifier").seal.model_copy(update={"profile": "gone"})
    with pytest.raises(EngineStale, match="no device profile 'gone'"):
        check_seal(store, bundle, "classifier", seal)


def test_a_new_version_of_the_builder_makes_an_engine_stale(
    bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serving(store, bundle)
    monkeypatch.setattr(build, "builder_version", lambda _: "1.99.0")
    with pytest.raises(EngineStale, match=r"its builder_version is .* and here it is '1\.99\.0'"):
        Runtime(bundle, opener=QualifiedEngines(store, bundle, "fp32"))


def test_an_engine_that_is_not_qualified_does_not_serve(bundle: Bundle, store: EngineStore) -> None:
    _serving(store, bundle)
    engines = QualifiedEngines(store, bundle, "fp32")
    stranger = store.add(built(bundle, "classifier", "not qualified"))
    with pytest.raises(EngineNotQualified):
        engines.put_into_service({"classifier": stranger})
    store.serve({slot_from_bundle(bundle, "classifier", "fp32"): stranger})
    with pytest.raises(EngineNotQualified):
        Runtime(bundle, opener=QualifiedEngines(store, bundle, "fp32"))


def test_a_swap_and_a_rollback_reach_a_runtime_that_runs(bundle: Bundle, store: EngineStore, tmp_path: Path) -> None:
    first = _serving(store, bundle)
    engines = QualifiedEngines(store, bundle, "fp32")
    image = write_dicom(tmp_path / "a.dcm")
    with Runtime(bundle, opener=engines) as runtime:
        before = without_timings(runtime.infer(image))
        second = qualified(store, bundle, "second")
        engines.put_into_service(second)
        assert _running(engines) == second
        assert without_timings(runtime.infer(image)) == before
        assert engines.rollback() == first
        assert _running(engines) == first
        assert without_timings(runtime.infer(image)) == before


def test_a_rollback_to_an_engine_that_is_gone_changes_nothing(bundle: Bundle, store: EngineStore) -> None:
    first = _serving(store, bundle)
    second = qualified(store, bundle, "second")
    engines = QualifiedEngines(store, bundle, "fp32")
    engines.put_into_service(second)
    (store.folder / f"{first['classifier']}.engine").unlink()
    with pytest.raises(EngineStale):
        engines.rollback()
    service = store.service(slot_from_bundle(bundle, "segmenter", "fp32"))
    assert service is not None
    assert service.now == second["segmenter"]


def test_a_change_by_another_process_is_followed(bundle: Bundle, store: EngineStore) -> None:
    first = _serving(store, bundle)
    engines = QualifiedEngines(store, bundle, "fp32")
    with Runtime(bundle, opener=engines):
        assert engines.refresh() == []
        second = qualified(store, bundle, "second")
        QualifiedEngines(store, bundle, "fp32").put_into_service({"classifier": second["classifier"]})
        assert engines.refresh() == ["classifier"]
        assert _running(engines) == {**first, "classifier": second["classifier"]}
        store.serve({slot_from_bundle(bundle, "classifier", "fp32"): "f" * 64})
        with pytest.raises(EngineStale):
            engines.refresh()
        assert _running(engines)["classifier"] == second["classifier"]


def test_nothing_before_means_no_rollback(bundle: Bundle, store: EngineStore) -> None:
    _serving(store, bundle)
    with pytest.raises(EngineError, match="nothing served before"):
        QualifiedEngines(store, bundle, "fp32").rollback()


class _Slow(Engine):
    """Answers its number when it is let go."""

    backend = "slow"

    def __init__(self, number: float) -> None:
        super().__init__(SPEC)
        self.vendor_version = str(number)
        self.number, self.closed = number, False
        self.began, self.go = threading.Event(), threading.Event()

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        del inputs, deadline
        self.began.set()
        assert self.go.wait(10)
        assert not self.closed
        return {"logits": np.array([self.number], np.float32)}

    def close(self) -> None:
        self.closed = True


def test_a_run_that_began_on_an_engine_ends_on_it_and_closes_it_after() -> None:
    old, new = _Slow(1), _Slow(2)
    engine = SwappingEngine(SPEC, "a", old)
    given = {"image": np.zeros(1, np.float32)}
    answers: list[float] = []
    thread = threading.Thread(target=lambda: answers.append(float(engine.run(given)["logits"][0])))
    thread.start()
    assert old.began.wait(10)
    engine.swap("b", new)
    assert (engine.key, engine.vendor_version, old.closed) == ("b", "2", False)
    new.go.set()
    assert float(engine.run(given)["logits"][0]) == 2
    old.go.set()
    thread.join(10)
    assert answers == [1.0]
    assert old.closed
    assert not new.closed
    engine.close()
    assert new.closed


def test_one_assessment_has_one_engine_however_often_it_runs() -> None:
    old, new = _Slow(1), _Slow(2)
    engine = SwappingEngine(SPEC, "a", old)
    with engine.pinned() as pinned, engine.pinned() as again:
        engine.swap("b", new)
        assert pinned is again is old
        assert not old.closed
    assert old.closed
    with engine.pinned() as pinned:
        assert pinned is new


def test_the_report_names_what_computed_and_not_what_serves_by_then(bundle: Bundle, tmp_path: Path) -> None:
    class Swapped(Engine):
        """An engine of the null backend that is exchanged while it runs."""

        backend = "first"

        def __init__(self, spec: NetworkSpec, exchange: Any) -> None:
            super().__init__(spec)
            self.vendor_version, self._exchange = "1", exchange

        def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
            del inputs, deadline
            self._exchange()
            return {each.name: np.zeros(each.shape, np.float32) for each in self.spec.outputs}

    class Later(Swapped):
        backend = "later"

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        later = Later(spec, lambda: None)
        engine = SwappingEngine(spec, "a", Swapped(spec, lambda: engine.swap("b", later)))
        return engine

    with Runtime(bundle, opener=opener) as runtime:
        image = write_dicom(tmp_path / "a.dcm")
        assert runtime.infer(image).backend.name == "first"
        assert runtime.infer(image).backend.name == "later+first", "the classifier was not reached, so not exchanged"


def _running(engines: QualifiedEngines) -> dict[Any, str]:
    return {network: engines._opened[network][0].key for network in NETWORKS}


def test_noise_reaches_both_networks(bundle: Bundle) -> None:
    assert {network: len(inputs) for network, inputs in noise(bundle).inputs.items()} == dict.fromkeys(NETWORKS, 4)
