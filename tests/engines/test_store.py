"""Sealed engines on disk: nothing half-written, nothing foreign, and one rename for a swap."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge_sacro.bundle import Bundle
from edge_sacro.engine.store import EngineStore, Slot
from edge_sacro.errors import EngineError, EngineStale, OutputNotWritten
from tests.engines.shelf import built, tiny_bundle

SLOT, OTHER = Slot("tiny", "classifier", "fp32"), Slot("tiny", "segmenter", "fp32")
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


def test_an_engine_comes_back_as_it_was_sealed(bundle: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "new" / "store")
    engine = built(bundle, "classifier")
    key = store.add(engine)
    assert store.read(key) == (engine.seal, engine.engine)
    assert store.keys() == [key] == store.newest_last()
    assert store.add(engine) == key


def test_an_engine_of_other_bytes_never_overwrites_one(bundle: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    first, second = (store.add(built(bundle, "classifier", mark)) for mark in ("one", "two"))
    assert first != second
    assert first[:32] == second[:32]
    assert store.read(first)[1] != store.read(second)[1]


def test_damage_to_an_engine_or_its_seal_is_seen(bundle: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    key = store.add(built(bundle, "classifier"))
    seal_file, engine_file = tmp_path / f"{key}.json", tmp_path / f"{key}.engine"
    seal, engine = seal_file.read_bytes(), engine_file.read_bytes()
    engine_file.write_bytes(engine[:-1] + b"\0")
    with pytest.raises(EngineStale, match="its SHA-256 is"):
        store.read(key)
    engine_file.unlink()
    with pytest.raises(EngineStale, match="the engine cannot be read"):
        store.read(key)
    engine_file.write_bytes(engine)
    seal_file.write_text(json.dumps({**json.loads(seal), "device": "another"}))
    with pytest.raises(EngineStale, match="the seal's fields give the key"):
        store.read(key)
    seal_file.write_text("{}")
    with pytest.raises(EngineStale, match="its seal cannot be read"):
        store.read(key)
    seal_file.write_bytes(seal)
    assert store.read(key)[1] == engine


def test_what_served_before_comes_back_and_goes_again(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    assert store.service(SLOT) is None
    store.serve({SLOT: A, OTHER: A})
    store.serve({SLOT: B})
    store.serve({SLOT: B})
    service = store.service(SLOT)
    assert service is not None
    assert (service.now, service.before) == (B, A), "serving the same again forgets nothing"
    assert store.rollback([SLOT]) == {SLOT: A}
    assert store.rollback([SLOT]) == {SLOT: B}


def test_a_rollback_of_several_is_all_or_nothing(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    store.serve({SLOT: A, OTHER: A})
    store.serve({SLOT: B})
    with pytest.raises(EngineError, match="nothing served before"):
        store.rollback([SLOT, OTHER])
    service = store.service(SLOT)
    assert service is not None
    assert service.now == B
    store.serve({OTHER: C})
    assert store.rollback([SLOT, OTHER]) == {SLOT: A, OTHER: A}


def test_a_pointer_that_is_damaged_is_an_error_and_not_an_empty_store(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    store.serve({SLOT: A})
    (tmp_path / "serving.json").write_text('{"slots": {"x"')
    with pytest.raises(EngineError, match="it cannot be read"):
        store.service(SLOT)
    with pytest.raises(EngineError, match="it cannot be read"):
        store.serve({SLOT: B})


def test_a_swap_that_dies_before_its_rename_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EngineStore(tmp_path)
    store.serve({SLOT: A})

    def power_cut(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", power_cut)
        with pytest.raises(OutputNotWritten, match="Input/output error"):
            store.serve({SLOT: B})
    service = store.service(SLOT)
    assert service is not None
    assert service.now == A
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "serving.json"], "nothing half-written stays"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = EngineStore(tmp_path / "file" / "store")
    with pytest.raises(OutputNotWritten):
        store.serve({SLOT: A})


def test_timings_are_kept_by_builder_version_and_device(bundle: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    seal = built(bundle, "classifier").seal
    store.write_timing_cache(seal, b"timings")
    assert store.timing_cache(seal).read_bytes() == b"timings"
    for change in ({"builder_version": "2"}, {"device": "other"}, {"builder": "tensorrt"}):
        assert not store.timing_cache(seal.model_copy(update=change)).exists()
    assert store.timing_cache(seal.model_copy(update={"precision": "int8"})).exists()


def test_pruning_leaves_what_serves_and_what_served_before(bundle: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    unused, before, now = (store.add(built(bundle, "classifier", mark)) for mark in ("one", "two", "three"))
    store.serve({SLOT: before})
    store.serve({SLOT: now})
    assert store.prune() == [unused]
    assert store.keys() == sorted([before, now])
    assert not (tmp_path / f"{unused}.json").exists()
    assert store.prune() == []
    (tmp_path / "serving.json").write_text("{")
    with pytest.raises(EngineError):
        store.prune()
    assert store.keys() == sorted([before, now])
