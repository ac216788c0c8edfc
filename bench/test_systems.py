"""Whole assessments by system, backend and precision: ``pytest bench --benchmark-enable --benchmark-only``.

Networks are tiny, so that what is measured is everything round them; the last group has the bundle that ships.
``python -m bench systems`` measures networks of full size.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.manifest import Precision
from edge_sacro.phantom import CtOptions, PhantomOptions, write_ct_study, write_study
from edge_sacro.runtime import Runtime
from edge_sacro.systems import SYSTEMS

BACKENDS = ("onnxruntime", "openvino", "null")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")

tiny: Any = pytest.importorskip("tests.tiny", reason="the tests' tiny networks stand beside a checkout")
bundles: Any = pytest.importorskip("tests.systems.bundles")
variants: Any = pytest.importorskip("tests.parity.variants")


@pytest.fixture(scope="module")
def radiograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One simulated radiograph at full size."""
    folder = tmp_path_factory.mktemp("dx")
    write_study(folder, 1, 930_000, PhantomOptions())
    return next(folder.glob("*.dcm"))


@pytest.fixture(scope="module")
def ct_slice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One simulated CT slice at full size."""
    folder = tmp_path_factory.mktemp("ct")
    write_ct_study(folder, 1, 930_000, CtOptions(slices=1))
    return next(folder.rglob("*.dcm"))


def _available(backend: str) -> str:
    if backend == "openvino" and importlib.util.find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    return backend


def _bundle(system: str, folder: Path) -> Path:
    """The system with tiny networks."""
    makers: dict[str, Callable[[Path], Path]] = {
        "dorfner2024": tiny.write_bundle,
        "dorfner2024-standard": tiny.write_standard_bundle,
        "noh2021": bundles.write_detector_bundle,
    }
    if system in makers:
        return makers[system](folder)
    made: Path = bundles.write_classifier_bundle(folder, system)
    return made


@pytest.mark.benchmark(group="systems, tiny networks, onnxruntime fp32")
@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_system(benchmark: Any, system: str, radiograph: Path, ct_slice: Path, tmp_path: Path) -> None:
    """Every published system's stages round tiny networks."""
    file = ct_slice if "CT" in SYSTEMS[system].modalities else radiograph
    with Runtime(_bundle(system, tmp_path / "bundle"), threads=1) as runtime:
        result = benchmark(runtime.infer, file)
    assert result.state != "refused", result.reason


@pytest.mark.benchmark(group="backends and precisions, tiny networks")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_and_precision(
    benchmark: Any, backend: str, precision: Precision, radiograph: Path, tmp_path: Path
) -> None:
    """What a backend costs round networks that cost nothing."""
    bundle = variants.write_bundle(tmp_path / "bundle")
    with Runtime(bundle, backend=_available(backend), precision=precision, threads=1) as runtime:
        result = benchmark(runtime.infer, radiograph)
    assert (result.backend.name, result.backend.precision) == (backend, precision)


@pytest.mark.benchmark(group="backends and precisions, the bundle that ships")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_demonstration(benchmark: Any, backend: str, precision: Precision, radiograph: Path) -> None:
    """From file to answer, warm."""
    with Runtime(backend=_available(backend), precision=precision, threads=1) as runtime:
        result = benchmark(runtime.infer, radiograph)
    assert result.probability is not None
