"""Networks are opened side by side only where their opener says so; none stays open where one of them cannot be."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine import Engine, NetworkSpec, opening, serve
from edge_sacro.engine.opening import open_networks, preload
from edge_sacro.engine.profiles import profile_from_name
from edge_sacro.engine.serve import QualifiedEngines, builders_of_store
from edge_sacro.engine.store import EngineStore
from edge_sacro.errors import BackendFailed, BundleFileCorrupt, Int8Inexact, UsageError
from edge_sacro.runtime import Runtime
from tests.engines.shelf import PROFILE, qualified, tiny_bundle
from tests.openers import NotesClosing
from tests.tiny import write_bundle


class Opener(NotesClosing):
    """Notes in which thread each network is opened, and which are closed; the one that is named fails."""

    def __init__(self, fails: str = "", meets: int = 1, patience_s: float = 10.0) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []
        self._fails, self._met = fails, threading.Barrier(meets, timeout=patience_s)

    def __call__(self, backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        self.threads.append(threading.current_thread())
        self._met.wait()
        if spec.name == self._fails:
            raise BackendFailed("it failed", source=spec.name)
        return super().__call__(backend, spec, model, threads)


class SideBySide(Opener):
    side_by_side = frozenset({"onnxruntime"})


class FromElsewhere(SideBySide):
    """It needs no model, as a store does not."""

    takes_models = False

    def __call__(self, backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        assert (backend, model) == ("onnxruntime", b"")
        return super().__call__("null", spec, model, threads)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(write_bundle(tmp_path / "tiny"))


def test_an_opener_is_called_in_this_thread_where_it_says_nothing(bundle: Bundle) -> None:
    """A GPU's context belongs to the thread that opened it."""
    opener = Opener()
    assert list(open_networks(bundle, "fp32", "onnxruntime", 1, opener)) == list(bundle.manifest.networks)
    assert opener.threads == [threading.current_thread()] * 2


def test_one_that_says_so_is_called_by_several_threads_at_once(bundle: Bundle) -> None:
    opener = SideBySide(meets=2)  # neither goes on before both are there
    assert list(open_networks(bundle, "fp32", "onnxruntime", 1, opener)) == list(bundle.manifest.networks)
    assert len(set(opener.threads)) == 2
    assert threading.current_thread() not in opener.threads
    with pytest.raises(threading.BrokenBarrierError):
        open_networks(bundle, "fp32", "onnxruntime", 1, Opener(meets=2, patience_s=0.1))


@pytest.mark.parametrize("kind", [Opener, SideBySide])
@pytest.mark.parametrize("fails", ["segmenter", "classifier"])
def test_where_one_fails_the_others_are_closed(bundle: Bundle, kind: type[Opener], fails: str) -> None:
    opener = kind(fails)
    with pytest.raises(BackendFailed, match=fails):
        Runtime(bundle, opener=opener)
    assert fails not in opener.closed
    assert len(opener.closed) == len(opener.threads) - 1


def test_a_network_that_changed_since_the_bundle_was_checked_is_not_opened(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    loaded = load_bundle(folder)
    path = folder / "classifier.onnx"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleFileCorrupt, match=r"classifier\.onnx.*changed since"):
        Runtime(loaded)
    path.unlink()
    with pytest.raises(BundleFileCorrupt, match=r"classifier\.onnx.*unreadable"):
        Runtime(loaded)
    path.write_bytes(content)
    Runtime(loaded).close()


def test_a_bundles_networks_are_not_read_for_one_that_has_them_from_elsewhere(tmp_path: Path, bundle: Bundle) -> None:
    assert QualifiedEngines(EngineStore(tmp_path / "store"), bundle, "fp32").takes_models is False
    given: list[bytes] = []

    class Elsewhere(Opener):
        takes_models = False

        def __call__(self, backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
            given.append(model)
            return super().__call__(backend, spec, bundle.files[f"{spec.name}.onnx"], threads)

    assert len(open_networks(bundle, "fp32", "onnxruntime", 1, Elsewhere())) == 2
    assert given == [b"", b""]
    with pytest.raises(UsageError, match="no precision 'int8'"):
        open_networks(bundle, "int8", "onnxruntime", 1, Elsewhere())


def test_a_store_is_opened_side_by_side_where_no_gpu_has_to_do_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, store = tiny_bundle(tmp_path / "tiny"), EngineStore(tmp_path / "store")
    engines = QualifiedEngines(store, bundle, "fp32")
    assert not engines.side_by_side
    qualified(store, bundle, "")
    assert engines.side_by_side == builders_of_store(store) == {profile_from_name(PROFILE).builder}
    monkeypatch.setattr(serve, "PACKAGES", {})
    assert not engines.side_by_side


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_int8_sums_are_tried_while_the_networks_are_opened(
    bundle: Bundle, precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def inexact(backend: str) -> None:
        tried.append(backend)
        raise Int8Inexact("they are cut off", source=backend)

    monkeypatch.setattr(opening, "check_int8", inexact)
    monkeypatch.setattr(Bundle, "model_file", lambda *asked: f"{asked[1]}.onnx")
    found = open_networks(bundle, precision, "onnxruntime", 1, SideBySide())
    assert len(found) == 2, "the runtime asks again, and tells"
    assert tried == (["onnxruntime"] if precision == "int8" else [])
    tried.clear()
    open_networks(bundle, precision, "onnxruntime", 1, FromElsewhere())
    assert tried == [], "a store's engines were held to it when they qualified"


def test_what_is_imported_ahead_is_there_when_the_process_ends_and_what_is_absent_is_nobodys_error() -> None:
    code = (
        "import sys, threading\n"
        "from edge_sacro.engine import opening\n"
        "opening.PACKAGES['none'] = 'edge_sacro_has_no_such_package'\n"
        "opening.preload(['none', 'null', 'tensorrt', 'onnxruntime'])\n"
        "waiting = [each for each in threading.enumerate() if each.name == 'preload']\n"
        "assert 'ORT_DISABLE_TELEMETRY' in __import__('os').environ\n"
        "for each in waiting: each.join()\n"
        "print('onnxruntime' in sys.modules, len(waiting))\n"
        "opening.preload(['onnxruntime', 'openvino'])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "1"]
    assert run.stderr == ""


def test_backends_that_import_nothing_start_no_thread(monkeypatch: Any) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    preload(["null", "tensorrt"])
