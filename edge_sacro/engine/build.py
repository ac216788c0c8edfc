"""From an ONNX file and a device profile to a sealed engine, whoever builds it."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_sacro.engine import ort_build, ov_build, trt_build
from edge_sacro.engine.device import device_from_profile
from edge_sacro.engine.profiles import DeviceProfile
from edge_sacro.engine.seal import Builder, Seal, sha256
from edge_sacro.engine.silence import silence
from edge_sacro.engine.trt_build import Plan, PlanOrder, Progress
from edge_sacro.errors import BackendUnavailable, EngineBuildFailed


@dataclass(frozen=True)
class Built:
    """A sealed engine that nobody has stored yet.

    Attributes:
        engine: its bytes.
        seal: what they depend on.
        seconds: that the builder took.
        timing_cache: for the next build on this device, or empty.
        messages: the builder's warnings.
    """

    engine: bytes
    seal: Seal
    seconds: float
    timing_cache: bytes = b""
    messages: tuple[str, ...] = ()


def engine_from_onnx(order: PlanOrder, progress: Progress | None = None) -> Built:
    """Build and seal an engine.

    Args:
        order: the network, its precision and the profile.
        progress: told the builder's phases, from whatever thread the builder uses.

    Raises:
        BackendUnavailable: the builder or the device it builds on is not here, or of another version.
        EngineBuildFailed: the builder refused the network or a setting, with the builder's message.
    """
    require_buildable(order)
    profile = order.profile
    fields = sealed_fields(order)
    start = time.perf_counter()
    if profile.builder == "onnxruntime":
        plan = Plan(ort_build.graph_from_onnx(order.name, order.model), b"", 0, ())
    elif profile.builder == "openvino":
        plan = Plan(ov_build.blob_from_onnx(order.name, order.model), b"", 0, ())
    else:
        plan = trt_build.plan_from_onnx(order, progress)
    seconds = time.perf_counter() - start
    seal = Seal(**fields, engine_sha256=sha256(plan.content))
    return Built(plan.content, seal, seconds, plan.timing_cache, plan.messages)


def require_buildable(order: PlanOrder) -> None:
    """Hold an order to what its profile takes, before anything is loaded.

    Raises:
        EngineBuildFailed: the profile builds on another processor, or not in this precision.
    """
    profile = order.profile
    if platform.machine() not in profile.machines:
        known = " or ".join(profile.machines)
        raise EngineBuildFailed(f"it builds on {known}, and this is {platform.machine()}", source=profile.name)
    if order.precision not in profile.precisions:
        known = ", ".join(profile.precisions)
        raise EngineBuildFailed(f"it takes {known}, not {order.precision}", source=profile.name)


def sealed_fields(order: PlanOrder) -> dict[str, Any]:
    """The fields of the seal that this order gives on this machine today, the engine's own hash apart.

    Raises:
        BackendUnavailable: the builder or its device is not here, or the builder's version is none of the profile's.
    """
    profile = order.profile
    return {
        "onnx_sha256": sha256(order.model),
        "precision": order.precision,
        "builder": profile.builder,
        "builder_version": builder_version(profile),
        "profile": profile.name,
        "device": device_from_profile(profile),
        "flags": profile.settings(order.precision, order.ranges),
    }


def builder_version(profile: DeviceProfile) -> str:
    """The installed version of a profile's builder.

    Raises:
        BackendUnavailable: it is not installed, or none of the profile's versions.
    """
    try:
        version = str(_vendor(profile.builder).__version__)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError)
        why = f"the package {error.name!r} is not installed" if absent else f"it cannot be loaded: {error}"
        raise BackendUnavailable(
            f"profile {profile.name} needs {profile.builder}, and {why}",
            source="builder",
            remedy="Install the builder's package, or choose the profile of another builder.",
        ) from error
    if not profile.supports(version):
        first, last = (".".join(map(str, each)) for each in profile.versions)
        raise BackendUnavailable(
            f"profile {profile.name} is for {profile.builder} {first} to below {last}, and {version} is installed",
            source="builder",
            remedy="Choose the profile of the installed version.",
        )
    return version


def ranges_from_text(text: Mapping[str, Any]) -> dict[str, float]:
    """Largest magnitudes by tensor from parsed JSON.

    Raises:
        ValueError: one is no number above 0.
    """
    found = {name: float(value) for name, value in text.items()}
    wrong = [name for name, value in found.items() if not 0 < value < float("inf")]
    if wrong:
        raise ValueError(f"the range of {wrong[0]} is {found[wrong[0]]}")
    return found


def _vendor(builder: Builder) -> Any:
    if builder == "onnxruntime":
        silence()
        import onnxruntime

        return onnxruntime
    if builder == "openvino":
        silence()
        import openvino

        return openvino
    return trt_build.vendor_from_builder(builder)
