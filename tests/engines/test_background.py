"""Building behind a running service: progress, the swap, and builders that crash, hang or refuse."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.bundle import Bundle
from edge_sacro.engine import background
from edge_sacro.engine.background import BackgroundBuild, BuildProcess
from edge_sacro.engine.serve import QualifiedEngines, slot_from_bundle
from edge_sacro.engine.store import EngineStore
from edge_sacro.engine.worker import BuildRequest, build_all
from edge_sacro.errors import BundleFileCorrupt, EngineBuildFailed, UsageError
from edge_sacro.runtime import Runtime
from tests.engines.shelf import NETWORKS, PROFILE, qualified, tiny_bundle
from tests.tiny import without_timings, write_dicom


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "store")


def _request(bundle: Bundle, store: EngineStore, **changes: Any) -> BuildRequest:
    request = BuildRequest(bundle.path, bundle.fingerprint, "fp32", PROFILE, str(store.folder), phantoms=0)
    return replace(request, **changes)


def test_another_engine_serves_while_one_is_built_and_the_new_one_takes_over(
    bundle: Bundle, store: EngineStore, tmp_path: Path
) -> None:
    old = qualified(store, bundle, "old")
    engines = QualifiedEngines(store, bundle, "fp32")
    engines.put_into_service(old)
    image = write_dicom(tmp_path / "a.dcm")
    messages: list[Mapping[str, Any]] = []
    with Runtime(bundle, opener=engines, threads=1) as runtime:
        expected = without_timings(runtime.infer(image))
        work = BackgroundBuild(engines, _request(bundle, store), messages.append)
        while work.state == "building":
            assert without_timings(runtime.infer(image)) == expected
        assert work.wait(60) == "serving", work.error
        assert without_timings(runtime.infer(image)) == expected
        for network in NETWORKS:
            service = store.service(slot_from_bundle(bundle, network, "fp32"))
            assert service is not None
            assert service.before == old[network]
            assert service.now != old[network]
            assert engines._opened[network][0].key == service.now
        assert engines.rollback() == old
    assert work._process._process.returncode == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "engine-build"]
    kinds = [kind for message in messages for kind in message]
    assert kinds.count("built") == kinds.count("qualified") == len(NETWORKS)
    assert "progress" in kinds


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it ended with signal 11"),
        ("import sys; sys.exit('no library')", "it ended with status 1; its last words: no library"),
        ("import time; time.sleep(60)", "it took more than 1 s"),
        ("print('{\"progress\": {\"network\"', end='')", "it ended with status 0"),
    ],
)
def test_a_builder_that_crashes_or_hangs_touches_nothing_that_serves(
    bundle: Bundle,
    store: EngineStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    message: str,
) -> None:
    keys = qualified(store, bundle)
    engines = QualifiedEngines(store, bundle, "fp32")
    engines.put_into_service(keys)
    files = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    monkeypatch.setattr(background, "_CODE", code)
    with Runtime(bundle, opener=engines, threads=1) as runtime:
        work = BackgroundBuild(engines, _request(bundle, store), timeout_s=1)
        assert work.wait(30) == "failed"
        assert isinstance(work.error, EngineBuildFailed)
        assert message in str(work.error)
        assert runtime.infer(write_dicom(tmp_path / "a.dcm")).probability is not None
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == files


def test_a_build_can_be_given_up(bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_CODE", "import time; time.sleep(60)")
    work = BackgroundBuild(QualifiedEngines(store, bundle, "fp32"), _request(bundle, store))
    assert work.wait(0.1) == "building"
    work.cancel()
    assert work.wait(30) == "failed"
    assert "signal 9" in str(work.error)


def test_errors_of_the_process_come_back_as_they_are(bundle: Bundle, store: EngineStore) -> None:
    with pytest.raises(UsageError, match="no precision 'int8'"):
        BuildProcess(_request(bundle, store, precision="int8")).run()


def test_a_bundle_that_changed_since_it_was_checked_is_refused(bundle: Bundle, store: EngineStore) -> None:
    with pytest.raises(BundleFileCorrupt, match="it has changed since it was checked"):
        build_all(_request(bundle, store, fingerprint="0" * 64), lambda _: None)
    assert not store.folder.exists()


def test_networks_and_ranges_that_cannot_be_meant_are_refused(
    bundle: Bundle, store: EngineStore, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no network detector; it has segmenter, classifier"):
        build_all(_request(bundle, store, networks=("detector",)), lambda _: None)
    for number, text in enumerate(["[1]", '{"a": 0}', '{"a": "x"}', "{"]):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        with pytest.raises(UsageError, match="it is no JSON object of ranges"):
            build_all(_request(bundle, store, ranges=str(path)), lambda _: None)


def test_an_engine_that_qualified_is_not_put_to_the_test_again(bundle: Bundle, store: EngineStore) -> None:
    told: list[dict[str, Any]] = []
    build_all(_request(bundle, store, networks=("classifier",)), told.append)
    (record,) = store.folder.glob("*.qualified.json")
    first = record.stat().st_mtime_ns
    build_all(_request(bundle, store, networks=("classifier",)), told.append)
    assert record.stat().st_mtime_ns == first
    assert sum("qualified" in message for message in told) == 2


def test_an_engine_that_does_not_qualify_does_not_take_over(
    bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = qualified(store, bundle)
    engines = QualifiedEngines(store, bundle, "fp32")
    engines.put_into_service(keys)
    strict = "from edge_sacro.engine import qualify; qualify.LIMITS = {'fp32': qualify.Limits(-1.0, -1.0)};"
    monkeypatch.setattr(background, "_CODE", background._CODE.replace("from edge_sacro", strict + "from edge_sacro", 1))
    other = EngineStore(tmp_path / "other")
    work = BackgroundBuild(QualifiedEngines(other, bundle, "fp32"), _request(bundle, other))
    assert work.wait(60) == "failed"
    assert "engine_not_qualified" in str(work.error)
    assert other.service(slot_from_bundle(bundle, "classifier", "fp32")) is None
