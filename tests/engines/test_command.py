"""``edge-sacro engine`` and ``infer --engines`` as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_sacro.bundle import load_bundle
from edge_sacro.cli import main
from edge_sacro.engine.compiled import PLAN_BACKENDS
from edge_sacro.engine.ort import OrtEngine
from edge_sacro.engine.store import EngineStore
from tests.engines.shelf import PROFILE, built, qualified
from tests.tiny import write_bundle, write_dicom


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny"))


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def _engine(command: str, bundle: str, store: Path, *arguments: str) -> Result:
    return _run("engine", command, "--bundle", bundle, "--store", store, *arguments)


def test_build_serve_replace_and_go_back(bundle: str, tmp_path: Path) -> None:
    store, image = tmp_path / "store", write_dicom(tmp_path / "a.dcm")
    done = _engine("build", bundle, store, "--profile", PROFILE, "--phantoms", "0")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("built in") == done.stdout.count(": qualified: differs by") == 2
    assert f"edge-sacro infer --engines {store}" in done.stdout
    assert "\x1b" not in done.output, "progress is for terminals"
    answers = [_run("infer", "--json", "--bundle", bundle, *more, image) for more in ((), ("--engines", str(store)))]
    first, second = (json.loads(each.stdout)["results"][0] for each in answers)
    assert first["probability"] == second["probability"]
    assert second["backend"]["name"] == "onnxruntime"
    assert _engine("rollback", bundle, store).exit_code == 43
    qualified(EngineStore(store), load_bundle(bundle), "later")
    again = _engine("qualify", bundle, store, "--profile", PROFILE, "--phantoms", "0")
    assert again.exit_code == 0, again.output
    back = _engine("rollback", bundle, store)
    assert back.exit_code == 0
    assert back.stdout.count("serves again") == 2
    assert "0 engines removed" in _run("engine", "prune", "--store", store).stdout


def test_inspect_tells_the_seal_the_record_and_what_serves(bundle: str, tmp_path: Path) -> None:
    assert "it holds no engine" in _engine("inspect", bundle, tmp_path / "none").stdout
    store, loaded = EngineStore(tmp_path / "store"), load_bundle(bundle)
    keys = qualified(store, loaded)
    stranger = built(loaded, "classifier", "stranger")
    store.add(stranger)
    (store.folder / f"{'e' * 64}.engine").write_bytes(b"")
    text = _engine("inspect", bundle, store.folder).stdout
    assert text.count("valid here") == 3
    assert text.count("REFUSED") == 1
    assert text.count("not qualified") == 1
    assert "in service" not in text
    found = {each["key"]: each for each in json.loads(_engine("inspect", bundle, store.folder, "--json").stdout)}
    assert found[keys["classifier"]]["qualification"]["passed"]
    assert found[stranger.seal.key]["qualification"] is None
    assert found["e" * 64]["valid"] is False
    assert found[keys["segmenter"]]["network"] == "segmenter"


def test_inspect_of_another_bundles_engines_refuses_them(bundle: str, tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "store")
    store.add(built(load_bundle(bundle), "classifier"))
    text = _run("engine", "inspect", "--store", store.folder).stdout
    assert "built from none of this bundle's networks" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--profile", "toaster"), 2, "no device profile"),
        (("--profile", PROFILE, "--precision", "int8"), 2, "no precision"),
        (("--profile", PROFILE, "--network", "detector"), 2, "no network detector"),
        (("--profile", "orin-nx-jetpack6"), 46, "it builds on aarch64"),
    ],
)
def test_a_build_that_cannot_be_meant_has_its_own_exit_code(
    bundle: str, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    if "orin-nx-jetpack6" in arguments and PROFILE == "aarch64-cpu":
        pytest.skip("this is an aarch64 machine")
    done = _engine("build", bundle, tmp_path / "store", *arguments)
    assert done.exit_code == code, done.output
    assert message in done.stderr


def test_qualify_without_an_engine_says_so(bundle: str, tmp_path: Path) -> None:
    done = _engine("qualify", bundle, tmp_path, "--profile", PROFILE)
    assert done.exit_code == 43
    assert f"it holds no fp32 engine of this bundle for {PROFILE}" in done.stderr


def test_engines_and_a_backend_exclude_each_other(bundle: str, tmp_path: Path) -> None:
    image = write_dicom(tmp_path / "a.dcm")
    done = _run("infer", "--bundle", bundle, "--engines", tmp_path, "--backend", "null", image)
    assert done.exit_code == 2
    assert "engines have their own backend" in done.stderr


def test_infer_from_an_empty_store_is_refused_and_no_backend_takes_its_place(bundle: str, tmp_path: Path) -> None:
    image = write_dicom(tmp_path / "a.dcm")
    done = _run("infer", "--bundle", bundle, "--engines", tmp_path / "empty", image)
    assert done.exit_code == 43
    assert done.stdout == ""


def test_profiles_are_listed() -> None:
    text = _run("engine", "profiles").stdout
    assert "orin-nano-jetpack6" in text
    assert len(text.splitlines()) >= 15


class _StandIn(OrtEngine):
    """Answers as TensorRT-RTX's backend would."""

    backend = "tensorrt-rtx"

    def state(self) -> dict[str, str]:
        return {"launch": "graph"}


def test_an_engine_of_a_gpu_is_kept_where_there_is_none_and_serves_where_there_is_one(
    bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    store, loaded = tmp_path / "store", load_bundle(bundle)
    done = _engine("build", bundle, store, "--profile", "rtx-any", "--phantoms", "0")
    assert done.exit_code == 0, done.output
    if "not qualified on this machine" not in done.stdout:
        pytest.skip("this machine has a GPU; tests/gpu runs the engines")
    assert "kept, and none serves; on their device: edge-sacro engine qualify" in done.stdout
    assert not (store / "serving.json").exists()
    assert "kernels; 0 of" in (text := _engine("inspect", bundle, store).stdout)
    assert "sm80" in text
    refused = _engine("qualify", bundle, store, "--profile", "rtx-any", "--phantoms", "0")
    assert refused.exit_code == 41
    assert refused.stderr.count("[backend_unavailable]") == 1
    monkeypatch.setitem(
        PLAN_BACKENDS,
        "tensorrt-rtx",
        lambda spec, _, threads: _StandIn(spec, loaded.model(spec.name, "fp32", "onnxruntime"), threads),
    )
    done = _engine("qualify", bundle, store, "--profile", "rtx-any", "--phantoms", "0")
    assert done.exit_code == 0, done.output
    assert "ran there with launch: graph" in _engine("inspect", bundle, store).stdout
    answer = _run("infer", "--json", "--bundle", bundle, "--engines", store, write_dicom(tmp_path / "a.dcm"))
    assert json.loads(answer.stdout)["results"][0]["backend"]["name"] == "tensorrt-rtx"
