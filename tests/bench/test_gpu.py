"""The GPU's benchmark without a GPU: its comparisons find what is wrong, and what could not be done is told."""

from __future__ import annotations

import ctypes
import json
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench import gpu_kernels
from bench.__main__ import main
from bench.gpu import Measured
from bench.gpu_engines import assessed, engines_from_bundle, rows_from_engines
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.cuda.session import Session
from edge_sacro.errors import BackendUnavailable, BundleContractBroken
from tests.cuda.emulated import EmulatedDevice, build
from tests.cuda.radiographs import twelve_bit
from tests.engines.shelf import PROFILE, noise, tiny_bundle
from tests.tiny import write_dicom


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("kernels"))


def _never(what: str, error: Exception) -> None:
    raise AssertionError(f"{what}: {error}")


def test_every_input_is_compared_and_the_mirrored_one_does_not_pass(library: Path) -> None:
    with Session(EmulatedDevice(library)) as session:
        rows = gpu_kernels.rows_from_comparison(session, twelve_bit(120, 160))
    assert [row["input"] for row in rows] == [each.name for each in gpu_kernels.inputs()]
    assert all(row["passed"] for row in rows)
    assert all(row["control"] > 0.01 for row in rows)


def test_a_kernel_that_is_wrong_is_found(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tuple(
        replace(each, reference=lambda radiograph, each=each: each.reference(radiograph) + np.float32(1e-3))
        for each in gpu_kernels.inputs()[-1:]
    )
    monkeypatch.setattr(gpu_kernels, "inputs", lambda: wrong)
    with Session(EmulatedDevice(library)) as session:
        rows = gpu_kernels.rows_from_comparison(session, twelve_bit(120, 160))
    assert [row["passed"] for row in rows] == [False]
    assert Measured(record={"kernels": rows}).broken == [row["input"] for row in rows]


def test_stages_have_times_and_rates(library: Path) -> None:
    with Session(EmulatedDevice(library)) as session:
        stages = gpu_kernels.timed_stages(session, twelve_bit(120, 160), 2, 10.0)
    assert {"gray table", "noh2021", "dorfner2024 classifier"} <= set(stages)
    assert all(stage["ms"]["n"] == 2 and stage["ms"]["p50"] > 0 for stage in stages.values())
    for stage in stages.values():
        assert stage["of_copy"] == pytest.approx(stage["gb_s"] / 10.0, rel=1e-2, abs=1e-3)


def test_engines_are_held_to_onnx_runtime_and_other_weights_do_not_pass() -> None:
    bundle = load_bundle("demonstration")
    made, builds = engines_from_bundle(bundle, PROFILE, ("fp32", "fp16", "int8"), _never)
    assert [row["precision"] for row in builds if row["network"] == "classifier"] == ["fp32", "fp16", "int8"]
    classifiers = [each for each in made if each.network == "classifier"]
    rows = list(rows_from_engines(bundle, classifiers, noise(bundle).inputs, 2, _never))
    assert len(rows) == 3
    for row in rows:
        assert row["passed"], row
        assert row["difference"] < row["limit"] < row["control"]
        assert row["ms"]["n"] == 2


def test_an_engine_of_another_network_is_no_result(bundle: Bundle) -> None:
    made, _ = engines_from_bundle(bundle, PROFILE, ("fp32", "int8"), _never)
    assert [(each.network, each.precision) for each in made] == [("segmenter", "fp32"), ("classifier", "fp32")]
    swapped = [replace(made[0], built=made[1].built)]
    told: list[tuple[str, Exception]] = []
    undone = lambda what, why: told.append((what, why))  # noqa: E731
    assert list(rows_from_engines(bundle, swapped, noise(bundle).inputs, 1, undone)) == []
    assert [(what, type(why)) for what, why in told] == [("run segmenter fp32", BundleContractBroken)]


def test_assessments_are_timed_by_stage(bundle: Bundle, tmp_path: Path) -> None:
    made, _ = engines_from_bundle(bundle, PROFILE, ("fp32",), _never)
    found = assessed(bundle, made, "fp32", write_dicom(tmp_path / "a.dcm").read_bytes(), 3)
    assert found["backend"] == "onnxruntime"
    assert found["stages_ms"]["total"]["n"] == 3
    assert {"read", "total"} <= set(found["stages_ms"])


def test_without_a_gpu_the_command_says_what_it_could_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        pass
    else:
        pytest.skip("this machine has a CUDA driver")

    def made(bundle: Any, profile: str, precisions: Any, undone: Any) -> tuple[list[Any], list[Any]]:
        undone("build classifier fp32", BackendUnavailable("it is not built in this test", source="test"))
        return [], []

    monkeypatch.setattr("bench.gpu.engines_from_bundle", made)
    done = CliRunner().invoke(main, ["gpu", "--runs", "1", "--phantoms", "0", "--out", str(tmp_path)])
    assert done.exit_code == 41, done.output
    assert "GPU: none" in done.stdout
    assert re.search("not done: use a GPU: (pycuda cannot be used|there is no CUDA device)", done.stdout)
    assert "not done: run the kernels" in done.stdout
    assert "use a GPU (and 2 more)" in done.stderr
    assert list(tmp_path.iterdir()) == [], "there is no device to name a file by"


class _Copying:
    """A GPU that can copy."""

    name = "Test GPU 9.9"

    def __init__(self, _: str) -> None: ...

    def current(self, _: str) -> Any:
        return nullcontext()

    def tensor(self, spec: Any, memory: str) -> Any:
        assert memory == "copied"
        return SimpleNamespace(address=0, nbytes=4 * spec.shape[0], free=lambda: None)

    def copy(self, *_: int) -> None: ...

    def wait(self) -> None: ...

    def close(self) -> None: ...


def test_what_a_device_did_is_kept_when_a_later_step_fails_in_an_unknown_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise AttributeError("this pycuda has no such function")

    row = {"network": "classifier", "precision": "fp32", "seconds": 1.0, "bytes": 9, "builder_version": "1"}
    made = [SimpleNamespace(precision="fp32", network="classifier", order=SimpleNamespace(model=b"no ONNX"))]
    monkeypatch.setattr("bench.gpu.Gpu", _Copying)
    monkeypatch.setattr("bench.gpu.engines_from_bundle", lambda *_: (made, [row]))
    monkeypatch.setattr("bench.gpu.rows_from_engines", lambda *_: iter(()))
    monkeypatch.setattr("bench.gpu.assessed", fails)
    monkeypatch.setattr("edge_sacro.cuda.gpu.open_gpu", fails)
    done = CliRunner().invoke(main, ["gpu", "--runs", "1", "--phantoms", "0", "--out", str(tmp_path)])
    assert done.exit_code == 41, done.output
    record = json.loads((tmp_path / "gpu-test-gpu-9-9.json").read_text())
    assert record["copy_gb_s"] > 0
    assert record["builds"] == [row]
    assert [each["what"] for each in record["undone"]] == ["run the kernels", "assess in fp32"]
    assert "AttributeError: this pycuda has no such function" in record["undone"][0]["why"]


def test_a_machine_that_is_stopped_in_the_middle_has_kept_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.gpu.Gpu", _Copying)
    monkeypatch.setattr("bench.gpu.engines_from_bundle", stopped)
    done = CliRunner().invoke(main, ["gpu", "--runs", "1", "--phantoms", "0", "--out", str(tmp_path)])
    assert done.exit_code != 0
    assert json.loads((tmp_path / "gpu-test-gpu-9-9.json").read_text())["copy_gb_s"] > 0


def test_a_devices_file_is_named_after_it() -> None:
    assert Measured(device="NVIDIA Orin (nvgpu) 8.7").file_name == "gpu-nvidia-orin-nvgpu-8-7.json"
