"""Device profiles: what they ask of a machine, and that every setting is in the seal."""

from __future__ import annotations

import platform
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.engine import build, device
from edge_sacro.engine.build import builder_version, engine_from_onnx, ranges_from_text, sealed_fields
from edge_sacro.engine.profiles import PROFILES, DeviceProfile, processor_profile, profile_from_name, release
from edge_sacro.engine.seal import Seal
from edge_sacro.engine.trt_build import PlanOrder
from edge_sacro.errors import BackendUnavailable, EngineBuildFailed, UsageError

HERE = {"x86_64": "x86-cpu", "aarch64": "aarch64-cpu"}[platform.machine()]
NOT_IN_THE_ENGINE = {"name", "device", "builder", "machines", "versions", "precisions", "timing_cache"}


def test_every_field_that_changes_an_engine_changes_its_settings() -> None:
    profile = PROFILES["agx-orin-jetpack7"]
    others: dict[str, Any] = {
        "workspace_mib": 1,
        "batch": 2,
        "targets": ("SM89",),
        "dla_core": 1,
        "hardware_compatible": True,
        "version_compatible": True,
    }
    assert {f.name for f in fields(DeviceProfile)} == NOT_IN_THE_ENGINE | set(others)
    for name, value in others.items():
        assert replace(profile, **{name: value}).settings("fp16") != profile.settings("fp16"), name


def test_ranges_are_part_of_the_settings() -> None:
    profile = PROFILES["agx-orin-jetpack6-dla"]
    one, other = (profile.settings("int8", {"a": limit}) for limit in (1.0, 2.0))
    assert one != other
    assert one != profile.settings("int8")
    assert profile.settings("int8", {"a": 1.0, "b": 2.0}) == profile.settings("int8", {"b": 2.0, "a": 1.0})


def test_no_orin_nano_has_an_accelerator_and_jetpack_7_needs_11_4_for_one() -> None:
    assert all(p.dla_core is None for n, p in PROFILES.items() if "nano" in n)
    seven = PROFILES["agx-orin-jetpack7-dla"]
    assert not seven.supports("10.16.1")
    assert seven.supports("11.4.1")
    assert not seven.weakly_typed
    assert PROFILES["agx-orin-jetpack6-dla"].weakly_typed
    assert not PROFILES["agx-orin-jetpack6"].weakly_typed


@pytest.mark.parametrize(
    ("version", "number"), [("10.3.0", (10, 3)), ("1.7.1.116", (1, 7)), ("11.4.0.106", (11, 4)), ("1.31.1", (1, 31))]
)
def test_versions_are_read_as_numbers(version: str, number: tuple[int, int]) -> None:
    assert release(version) == number


def test_a_name_that_is_no_profile_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UsageError, match=r"x86-cpu.*rtx-40"):
        profile_from_name("gpu")


def test_this_processor_has_a_profile_and_an_unknown_one_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processor_profile().name == HERE
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(UsageError, match="riscv64"):
        processor_profile()


def test_a_builder_that_is_absent_or_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendUnavailable, match="needs tensorrt, and the package 'tensorrt' is not installed"):
        builder_version(PROFILES["datacentre"])
    old = replace(PROFILES[HERE], versions=((0, 1), (0, 2)))
    with pytest.raises(BackendUnavailable, match=r"is for onnxruntime 0\.1 to below 0\.2, and .* is installed"):
        builder_version(old)


def test_a_profile_of_another_processor_or_precision_is_refused() -> None:
    other = next(name for name in ("x86-cpu", "aarch64-cpu") if name != HERE)
    with pytest.raises(EngineBuildFailed, match=f"and this is {platform.machine()}"):
        engine_from_onnx(PlanOrder("n", b"", "fp32", PROFILES[other]))
    with pytest.raises(EngineBuildFailed, match="it takes int8, not fp32"):
        engine_from_onnx(PlanOrder("n", b"", "fp32", replace(PROFILES[HERE], precisions=("int8",))))


def test_a_seal_changes_its_key_with_every_field() -> None:
    seal = Seal(**sealed_fields(PlanOrder("n", b"onnx", "fp32", PROFILES[HERE])), engine_sha256="0" * 64)
    changes: dict[str, Any] = {
        "onnx_sha256": "1" * 64,
        "precision": "int8",
        "builder": "tensorrt",
        "builder_version": "9",
        "profile": "p",
        "device": "d",
        "flags": [],
        "engine_sha256": "1" * 64,
    }
    assert set(changes) == set(Seal.model_fields)
    keys = {seal.key, *(seal.model_copy(update={name: value}).key for name, value in changes.items())}
    assert len(keys) == 1 + len(changes)


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("flags\t\t: fpu avx2 fma avx512_vnni\n", ["avx2", "fma", "avx512_vnni"]),
        ("Features\t: fp asimd asimddp i8mm\n", ["asimd", "asimddp", "i8mm"]),
        ("model name : x\n", []),
    ],
)
def test_a_processor_is_its_instruction_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, features: list[str]
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(text)
    monkeypatch.setattr(device, "CPU_INFO", info)
    assert device.processor_features() == features


class _Driver:
    """libcuda with one device, or with a call that fails."""

    def __init__(self, failing: str = "") -> None:
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            if name == self._failing:
                return 100
            if name == "cuDeviceGetName":
                arguments[0].value = b"Orin"
            if name == "cuDeviceGetAttribute":
                arguments[0]._obj.value = {75: 8, 76: 7}[arguments[1]]
            return 0

        return call


def test_a_gpu_is_its_name_and_compute_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.ctypes, "CDLL", lambda _: _Driver())
    assert device.device_from_profile(PROFILES["orin-nx-jetpack6"]) == f"{platform.machine()} Orin 8.7"
    portable = device.device_from_profile(PROFILES["datacentre-portable"])
    assert portable == f"{platform.machine()} Ampere and later"
    assert device.device_from_profile(PROFILES["rtx-40"]) == f"{platform.machine()} SM89"


@pytest.mark.parametrize("failing", ["cuInit", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute"])
def test_every_status_of_the_driver_is_looked_at(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    monkeypatch.setattr(device.ctypes, "CDLL", lambda _: _Driver(failing))
    with pytest.raises(BackendUnavailable, match=f"{failing} gives status 100"):
        device.gpu_name()


def test_without_a_driver_a_gpus_profile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> None:
        raise OSError("libcuda.so.1: no such file")

    monkeypatch.setattr(device.ctypes, "CDLL", absent)
    with pytest.raises(BackendUnavailable, match="no CUDA driver"):
        device.device_from_profile(PROFILES["datacentre"])


def test_ranges_are_numbers_above_nothing() -> None:
    assert ranges_from_text({"a": 1, "b": 0.5}) == {"a": 1.0, "b": 0.5}
    for wrong in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="the range of a"):
            ranges_from_text({"a": wrong})
    assert build.ranges_from_text({}) == {}
