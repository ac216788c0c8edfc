"""What this machine is to a builder: its GPU's name and compute capability, or its processor's instruction set."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path

from edge_sacro.engine.profiles import DeviceProfile
from edge_sacro.errors import BackendUnavailable

_X86 = ("avx2", "f16c", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16")
_X86_LATER = ("avx512_fp16", "amx_int8", "amx_bf16")
_ARM = ("asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2")
INSTRUCTION_SETS = (*_X86, *_X86_LATER, *_ARM)
"""Features, as Linux names them, by which ONNX Runtime chooses kernels and memory layouts."""

CPU_INFO = Path("/proc/cpuinfo")
_MAJOR, _MINOR = 75, 76


def device_from_profile(profile: DeviceProfile) -> str:
    """What an engine of this profile is bound to, as its seal says.

    An engine for compiled-in targets is bound to those and to the processor that loads it; whether the GPU is one of
    them is for the backend that loads it to ask. Any other engine is bound to the machine that builds it.

    Raises:
        BackendUnavailable: the device is this machine's GPU and there is none.
    """
    machine = platform.machine()
    if profile.builder == "tensorrt-rtx":
        return f"{machine} {'+'.join(profile.targets) or 'SM80 and later'}"
    if profile.builder == "tensorrt":
        return f"{machine} Ampere and later" if profile.hardware_compatible else f"{machine} {gpu_name()}"
    return processor()


def processor() -> str:
    """The machine and its processor's features, such as ``"x86_64 avx2+f16c+fma"``."""
    return f"{platform.machine()} {'+'.join(processor_features())}".rstrip()


def processor_features() -> list[str]:
    """Those of ``INSTRUCTION_SETS`` that this processor has, in the table's order."""
    found: set[str] = set()
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text(errors="replace").splitlines():
            key, _, values = line.partition(":")
            if key.strip().lower() in {"flags", "features"}:
                found.update(values.split())
                break
    return [name for name in INSTRUCTION_SETS if name in found]


def gpu_name() -> str:
    """Name and compute capability of the first CUDA device, such as ``"Orin 8.7"``.

    Raises:
        BackendUnavailable: there is no CUDA driver, or it has no device; the message has the driver's own status.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise _unavailable(f"no CUDA driver: {error}") from error
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    text = ctypes.create_string_buffer(256)
    calls = (
        ("cuInit", (0,)),
        ("cuDeviceGet", (ctypes.byref(device), 0)),
        ("cuDeviceGetName", (text, len(text), device)),
        ("cuDeviceGetAttribute", (ctypes.byref(major), _MAJOR, device)),
        ("cuDeviceGetAttribute", (ctypes.byref(minor), _MINOR, device)),
    )
    for name, arguments in calls:
        status = getattr(driver, name)(*arguments)
        if status != 0:
            raise _unavailable(f"{name} gives status {status}")
    return f"{text.value.decode(errors='replace')} {major.value}.{minor.value}"


def _unavailable(what: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"this profile builds on the GPU itself, and {what}",
        source="device",
        remedy="Build on the device, or choose a profile of TensorRT-RTX, which builds with no GPU.",
    )
