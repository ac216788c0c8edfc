"""Engines in service as contenders: measured under their own backend, or an error that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_sacro.bundle import Bundle
from edge_sacro.cli import main
from edge_sacro.engine.serve import QualifiedEngines
from edge_sacro.engine.store import EngineStore
from edge_sacro.errors import EngineError, EngineStale, UsageError
from edge_sacro.parity.measure import Setup, measure
from tests.engines.shelf import qualified, tiny_bundle
from tests.tiny import write_dicom


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="module")
def store(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    found = EngineStore(tmp_path_factory.mktemp("engines"))
    QualifiedEngines(found, bundle, "fp32").put_into_service(qualified(found, bundle))
    return found


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dicom(tmp_path_factory.mktemp("images") / "a.dcm")


def test_engines_in_service_are_measured_beside_what_is_named(bundle: Bundle, store: EngineStore, image: Path) -> None:
    measured = measure(bundle, [image], Setup([("onnxruntime", "fp32")], threads=1, engines=store))
    assert [each.name for each in measured.contenders] == ["onnxruntime:fp32", "engines:fp32"]
    engines = measured.contenders[1]
    assert engines.version.startswith("onnxruntime 1.")
    assert engines.breaches == []
    assert engines.summary.with_probability == 1
    assert measured.holds


def test_the_control_shows_that_wrong_engines_are_noticed(bundle: Bundle, store: EngineStore, image: Path) -> None:
    measured = measure(
        bundle, [image], Setup([("onnxruntime", "fp32")], control="swapped-classes", threads=1, engines=store)
    )
    assert all(each.breaches for each in measured.contenders)
    with pytest.raises(UsageError, match="engines have their own weights"):
        measure(bundle, [image], Setup(control="perturbed-weights", threads=1, engines=store))


def test_a_store_that_serves_nothing_or_stale_engines_is_an_error_and_not_left_out(
    bundle: Bundle, store: EngineStore, image: Path, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="no engines of this bundle serve"):
        measure(bundle, [image], Setup(threads=1, engines=EngineStore(tmp_path)))
    moved = EngineStore(tmp_path)
    for path in store.folder.iterdir():
        if not path.name.endswith(".engine"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(EngineStale):
        measure(bundle, [image], Setup(threads=1, engines=moved))


def test_the_command_takes_a_store(bundle: Bundle, store: EngineStore, image: Path) -> None:
    options = [
        "--bundle",
        bundle.path,
        "--against",
        "onnxruntime:fp32",
        "--engines",
        str(store.folder),
        "--threads",
        "1",
    ]
    done = CliRunner().invoke(main, ["parity", str(image), *options])
    assert done.exit_code == 0, done.output
    assert "engines:fp32" in done.stdout
