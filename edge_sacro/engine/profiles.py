"""Device profiles: what an engine is built for, as one table. A setting that changes an engine is nowhere else."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edge_sacro.engine.seal import Builder
from edge_sacro.errors import UsageError

Precision = Literal["fp32", "fp16", "int8"]

_JETPACK6, _JETPACK7 = ((10, 3), (10, 4)), ((10, 13), (12, 0))
_ANY_TENSORRT, _ANY_RTX = ((10, 3), (12, 0)), ((1, 7), (2, 0))


@dataclass(frozen=True)
class DeviceProfile:
    """One kind of device and how engines are built for it.

    Attributes:
        name: what ``--profile`` takes.
        device: what it stands for, in words.
        builder: whose engines run on it.
        machines: processor architectures on which the engine can be built, as ``platform.machine`` names them.
        versions: the builder's versions, from the first up to but not including the second.
        precisions: those that the device is worth building for, the best first.
        workspace_mib: memory that the builder's tactics may use; it stays within what the board leaves free.
        batch: what a dynamic first axis is fixed to. Every engine has static shapes.
        targets: compute capabilities that TensorRT-RTX compiles for with no GPU present, such as ``("SM89",)``; empty
            means its default, 8.0 and later.
        dla_core: deep learning accelerator to run on, the rest falling back to the GPU; None for the GPU alone.
        hardware_compatible: one engine for every GPU from Ampere on, slower than one for the GPU at hand.
        version_compatible: one engine for later versions of TensorRT too.
        timing_cache: whether measured tactics are kept, so that the next build of the same layers is quick.
    """

    name: str
    device: str
    builder: Builder
    machines: tuple[str, ...]
    versions: tuple[tuple[int, int], tuple[int, int]]
    precisions: tuple[Precision, ...]
    workspace_mib: int = 0
    batch: int = 1
    targets: tuple[str, ...] = ()
    dla_core: int | None = None
    hardware_compatible: bool = False
    version_compatible: bool = False
    timing_cache: bool = False

    @property
    def weakly_typed(self) -> bool:
        """Whether precision is the builder's choice: TensorRT 10's DLA takes no Q/DQ, so it is given ranges instead."""
        return self.dla_core is not None and self.versions[1] <= (11, 0)

    def supports(self, version: str) -> bool:
        """Whether this version of the builder is one of the profile's."""
        return self.versions[0] <= release(version) < self.versions[1]

    def settings(self, precision: Precision, ranges: Mapping[str, float] | None = None) -> list[str]:
        """Every setting that changes the engine, ``"name=value"``, sorted, as the seal keeps them.

        Args:
            precision: of the engine.
            ranges: largest magnitude by tensor, for a weakly typed int8 engine; kept as a hash.
        """
        if self.builder == "onnxruntime":
            found = {"optimisation": "all"}
        elif self.builder == "openvino":
            found = {"execution": "accuracy", "inference_precision": "f32"}
        else:
            found = {"batch": str(self.batch), "tf32": "0", "workspace_mib": str(self.workspace_mib)}
            found["typing"] = f"weak-{precision}" if self.weakly_typed else "strong"
            found["dla_core"] = "none" if self.dla_core is None else str(self.dla_core)
            found["targets"] = ",".join(self.targets) or "default"
            found["hardware_compatible"] = str(int(self.hardware_compatible))
            found["version_compatible"] = str(int(self.version_compatible))
        if ranges is not None:
            text = json.dumps(dict(ranges), sort_keys=True, separators=(",", ":"))
            found["ranges_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        return sorted(f"{name}={value}" for name, value in found.items())


def release(version: str) -> tuple[int, int]:
    """Major and minor number of a version such as ``10.3.0`` or ``1.7.1.116``.

    Raises:
        ValueError: it does not begin with two numbers.
    """
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _cpu(machine: str) -> DeviceProfile:
    name = {"x86_64": "x86-cpu", "aarch64": "aarch64-cpu"}[machine]
    return DeviceProfile(
        name, f"{machine} processor", "onnxruntime", (machine,), ((1, 23), (2, 0)), ("fp32", "int8", "fp16")
    )


def _openvino(machine: str) -> DeviceProfile:
    processor = _cpu(machine)
    return replace(
        processor,
        name=f"{processor.name}-openvino",
        device=f"{processor.device}, OpenVINO",
        builder="openvino",
        versions=((2025, 0), (2027, 0)),
    )


def _jetson(board: str, jetpack: int, workspace_mib: int, dla_core: int | None = None) -> DeviceProfile:
    versions = {6: _JETPACK6, 7: _JETPACK7}[jetpack]
    if dla_core is not None and jetpack == 7:
        versions = ((11, 4), (12, 0))
    return DeviceProfile(
        f"{board}-jetpack{jetpack}{'' if dla_core is None else '-dla'}",
        f"Jetson {board}, JetPack {jetpack}{'' if dla_core is None else ', deep learning accelerator'}",
        "tensorrt",
        ("aarch64",),
        versions,
        ("int8", "fp16") if dla_core is not None else ("fp16", "int8", "fp32"),
        workspace_mib=workspace_mib,
        dla_core=dla_core,
        timing_cache=True,
    )


def _rtx(name: str, device: str, *targets: str) -> DeviceProfile:
    precisions: tuple[Precision, ...] = ("fp16", "int8") if "SM75" in targets else ("fp16", "fp32", "int8")
    return DeviceProfile(
        name,
        device,
        "tensorrt-rtx",
        ("x86_64", "aarch64"),
        _ANY_RTX,
        precisions,
        workspace_mib=1024,
        targets=targets,
    )


def _gpu(name: str, device: str, compatible: bool = False) -> DeviceProfile:
    return DeviceProfile(
        name,
        device,
        "tensorrt",
        ("x86_64", "aarch64"),
        _ANY_TENSORRT,
        ("fp16", "int8", "fp32"),
        workspace_mib=2048,
        hardware_compatible=compatible,
        version_compatible=compatible,
        timing_cache=True,
    )


PROFILES: dict[str, DeviceProfile] = {
    profile.name: profile
    for profile in (
        _cpu("x86_64"),
        _cpu("aarch64"),
        _openvino("x86_64"),
        _openvino("aarch64"),
        _jetson("orin-nano", 6, 512),
        _jetson("orin-nano", 7, 512),
        _jetson("orin-nx", 6, 1024),
        _jetson("orin-nx", 6, 1024, dla_core=0),
        _jetson("orin-nx", 7, 1024),
        _jetson("agx-orin", 6, 2048),
        _jetson("agx-orin", 6, 2048, dla_core=0),
        _jetson("agx-orin", 7, 2048),
        _jetson("agx-orin", 7, 2048, dla_core=0),
        _rtx("rtx-20", "GeForce RTX 20, Turing", "SM75"),
        _rtx("rtx-30", "GeForce RTX 30, Ampere", "SM86"),
        _rtx("rtx-40", "GeForce RTX 40, Ada", "SM89"),
        _rtx("rtx-50", "GeForce RTX 50, Blackwell", "SM120"),
        _rtx("rtx-any", "any RTX from compute capability 8.0 on, in one engine"),
        _rtx("a100-rtx", "A100, built with no GPU present", "SM80"),
        _rtx("l4-rtx", "L4 and L40, built with no GPU present", "SM89"),
        _gpu("datacentre", "the data-centre or workstation GPU of this machine"),
        _gpu("datacentre-portable", "every GPU from Ampere on, and later TensorRT versions", compatible=True),
    )
}
"""Every profile by name. NVIDIA lists no DLA in Orin Nano; TensorRT 10.8 to 11.3 build nothing for it."""


def profile_from_name(name: str) -> DeviceProfile:
    """The profile of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in PROFILES:
        raise UsageError(f"there is no device profile {name!r}; known are {', '.join(PROFILES)}", source="profile")
    return PROFILES[name]


def processor_profile() -> DeviceProfile:
    """The profile of this machine's processor, which builds anywhere in a second or two.

    Raises:
        UsageError: there is none for this architecture.
    """
    machine = platform.machine()
    for profile in PROFILES.values():
        if profile.builder == "onnxruntime" and machine in profile.machines:
            return profile
    raise UsageError(f"there is no device profile for the processor {machine}", source="profile")
