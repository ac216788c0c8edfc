"""The builder on TensorRT 10.3 to 11.4 and TensorRT-RTX 1.7, held to the members that each version's bindings have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge_sacro.engine import trt_build
from edge_sacro.engine.profiles import PROFILES, DeviceProfile
from edge_sacro.engine.trt_build import PlanOrder, plan_from_onnx
from edge_sacro.errors import EngineBuildFailed
from tests.engines.fake_trt import VERSIONS, Behaviour, FakeTrt, members

RANGES = {"image": 1.0, "logits": 5.0}
TENSORRT = [name for name in VERSIONS if name.startswith("tensorrt ")]
STRONG = {"STRONGLY_TYPED"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(version: str, **behaviour: Any) -> FakeTrt:
        trt = FakeTrt(version, Behaviour(**behaviour))
        monkeypatch.setattr(trt_build, "vendor_from_builder", lambda _: trt)
        return trt

    return install


def _order(profile: DeviceProfile, precision: Any = "fp16", **more: Any) -> PlanOrder:
    return PlanOrder("segmenter", b"onnx", precision, profile, **more)


def _pairs() -> list[tuple[str, str]]:
    """Every profile with every version that it is for."""
    return [
        (version, profile.name)
        for version, number in VERSIONS.items()
        for profile in PROFILES.values()
        if version.split()[0] == profile.builder and profile.supports(number)
    ]


@pytest.mark.parametrize(("version", "profile"), _pairs())
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (-1, 1, 8, 8)])
def test_nothing_is_touched_that_a_version_has_not(
    installed: Any, version: str, profile: str, shape: tuple[int, ...]
) -> None:
    for precision in PROFILES[profile].precisions:
        trt = installed(version, shape=shape)
        order = _order(PROFILES[profile], precision, ranges=RANGES, timing_cache=b"old")
        plan = plan_from_onnx(order, lambda _, __: None)
        assert plan.content == b"plan"
        assert all(name in members(version, kind) for kind, name in trt.touched)
        assert {"set_memory_pool_limit", "build_serialized_network", "parse"} <= {name for _, name in trt.touched}


def test_the_stand_in_refuses_what_a_version_has_not(installed: Any) -> None:
    trt = installed("tensorrt 11.4")
    with pytest.raises(AttributeError, match="FP16"):
        _ = trt.BuilderFlag.FP16
    with pytest.raises(AttributeError, match="ComputeCapability"):
        _ = trt.ComputeCapability
    assert "FP16" in members("tensorrt 10.16", "BuilderFlag")


def test_every_version_has_a_profile_and_every_profile_a_version() -> None:
    pairs = _pairs()
    assert {version for version, _ in pairs} == set(VERSIONS)
    assert {profile for _, profile in pairs} == {p.name for p in PROFILES.values() if p.builder.startswith("tensorrt")}


@pytest.mark.parametrize("version", TENSORRT)
def test_networks_are_strongly_typed_and_nobody_chooses_a_precision(installed: Any, version: str) -> None:
    trt = installed(version)
    plan_from_onnx(_order(PROFILES["datacentre"], "int8"))
    assert trt.set_values("create_network") == [(1,)]
    assert trt.set_values("set_flag") == []
    assert [repr(flag) for (flag,) in trt.set_values("clear_flag")] == ["BuilderFlag.TF32"]


def test_jetpack_6s_accelerator_is_typed_weakly_and_given_ranges(installed: Any) -> None:
    trt = installed("tensorrt 10.3")
    plan_from_onnx(_order(PROFILES["agx-orin-jetpack6-dla"], "int8", ranges=RANGES))
    assert trt.set_values("create_network") == [(0,)]
    flags = [flag.name for (flag,) in trt.set_values("set_flag")]
    assert flags == ["GPU_FALLBACK", "FP16", "INT8"]
    assert trt.set_values("set_dynamic_range") == [(-1.0, 1.0), (-5.0, 5.0)], "a constant has its own range"
    assert trt.set_values("DLA_core") == [0]


def test_jetpack_7s_accelerator_is_typed_strongly(installed: Any) -> None:
    trt = installed("tensorrt 11.4")
    plan_from_onnx(_order(PROFILES["agx-orin-jetpack7-dla"], "int8"))
    assert [flag.name for (flag,) in trt.set_values("set_flag")] == ["GPU_FALLBACK"]
    assert trt.set_values("set_dynamic_range") == []


@pytest.mark.parametrize(
    ("precision", "ranges", "message"),
    [
        ("int8", None, "int8 needs the ranges"),
        ("int8", {"image": 1.0}, "no range of 1 tensors, the first of them logits"),
        ("fp32", None, "computes in fp16 or int8"),
    ],
)
def test_an_accelerator_without_what_it_needs_is_refused(
    installed: Any, precision: str, ranges: Any, message: str
) -> None:
    installed("tensorrt 10.3")
    with pytest.raises(EngineBuildFailed, match=message):
        plan_from_onnx(_order(PROFILES["agx-orin-jetpack6-dla"], precision, ranges=ranges))


def test_weak_typing_is_refused_where_tensorrt_has_none(installed: Any) -> None:
    installed("tensorrt 11.4")
    with pytest.raises(EngineBuildFailed, match=r"11\.4\.0\.106 types strongly alone"):
        plan_from_onnx(_order(PROFILES["agx-orin-jetpack6-dla"]))


def test_a_board_without_the_core_is_refused(installed: Any) -> None:
    installed("tensorrt 10.3", cores=0)
    with pytest.raises(EngineBuildFailed, match="core 0 is asked for and there are 0"):
        plan_from_onnx(_order(PROFILES["orin-nx-jetpack6-dla"]))


def test_tensorrt_alone_keeps_timings_and_builds_for_other_machines(installed: Any) -> None:
    trt = installed("tensorrt 10.16")
    plan = plan_from_onnx(_order(PROFILES["datacentre-portable"], timing_cache=b"old"))
    assert trt.set_values("create_timing_cache") == [(b"old",)]
    assert plan.timing_cache == b"timings"
    assert [repr(value) for value in trt.set_values("hardware_compatibility_level")] == [
        "HardwareCompatibilityLevel.AMPERE_PLUS"
    ]
    assert [flag.name for (flag,) in trt.set_values("set_flag")] == ["VERSION_COMPATIBLE"]
    rtx = installed("tensorrt-rtx 1.7")
    assert plan_from_onnx(_order(PROFILES["rtx-40"])).timing_cache == b""
    assert rtx.set_values("create_timing_cache") == []
    assert rtx.set_values("num_compute_capabilities") == [1]


def test_a_dynamic_batch_becomes_static(installed: Any) -> None:
    trt = installed("tensorrt 10.3", shape=(-1, 1, 8, 8))
    plan_from_onnx(_order(replace(PROFILES["orin-nano-jetpack6"], batch=2)))
    assert trt.set_values("set_shape") == [("image", *[(2, 1, 8, 8)] * 3)]


@pytest.mark.parametrize(
    ("version", "profile", "behaviour", "message"),
    [
        ("tensorrt 10.3", "orin-nx-jetpack6", {"parses": False}, "Einsum e1: no such operator"),
        (
            "tensorrt 10.3",
            "orin-nx-jetpack6",
            {"builds": False},
            r"a plan \(no implementation for node conv3\)",
        ),
        ("tensorrt 10.3", "orin-nx-jetpack6", {"raises": RuntimeError("bad optional access")}, "bad optional access"),
        ("tensorrt 10.3", "orin-nx-jetpack6", {"refuses": frozenset({"set_timing_cache"})}, "of another device"),
        ("tensorrt-rtx 1.7", "rtx-40", {"refuses": frozenset({"set_compute_capability"})}, "does not compile for SM89"),
        (
            "tensorrt 10.3",
            "orin-nx-jetpack6",
            {"refuses": frozenset({"add_optimization_profile"}), "shape": (-1, 1, 8, 8)},
            "are not accepted",
        ),
    ],
)
def test_every_refusal_of_the_vendor_is_an_error_with_its_own_words(
    installed: Any, version: str, profile: str, behaviour: dict[str, Any], message: str
) -> None:
    installed(version, **behaviour)
    with pytest.raises(EngineBuildFailed, match=message):
        plan_from_onnx(_order(PROFILES[profile]))


def test_a_range_that_is_not_accepted_is_an_error(installed: Any) -> None:
    installed("tensorrt 10.3", refuses=frozenset({"set_dynamic_range"}))
    with pytest.raises(EngineBuildFailed, match=r"the range 1\.0 of image is not accepted"):
        plan_from_onnx(_order(PROFILES["agx-orin-jetpack6-dla"], "int8", ranges=RANGES))


def test_the_vendors_warnings_are_kept(installed: Any) -> None:
    installed("tensorrt 10.3")
    assert plan_from_onnx(_order(PROFILES["orin-nx-jetpack6"])).messages == ("a warning of the vendor's",)
