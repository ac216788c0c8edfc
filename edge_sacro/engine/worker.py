"""The building process: builds, stores and qualifies the engines of a bundle, and says so in lines of JSON.

A builder that crashes, hangs or fills the memory ends this process and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine.build import engine_from_onnx, ranges_from_text, require_buildable, sealed_fields
from edge_sacro.engine.compiled import builds_elsewhere
from edge_sacro.engine.profiles import Precision, profile_from_name
from edge_sacro.engine.qualify import PHANTOMS, golden_inputs, qualify
from edge_sacro.engine.seal import Seal
from edge_sacro.engine.serve import open_sealed, order_from_bundle
from edge_sacro.engine.store import EngineStore
from edge_sacro.engine.trt_build import PlanOrder
from edge_sacro.engine.trt_memory import pycuda_driver
from edge_sacro.errors import (
    BackendUnavailable,
    BundleFileCorrupt,
    EdgeSacroError,
    EngineStale,
    InternalError,
    UsageError,
)
from edge_sacro.manifest import NetworkName

_NICE = 10
"""What serves has the processor first."""

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class BuildRequest:
    """What a building process is asked for.

    Attributes:
        bundle, fingerprint: path of the bundle, and what its reader found there; the process takes no other.
        precision, profile: of the engines.
        store: folder that they are kept in.
        networks: those to build; all of the bundle's where empty.
        ranges: path of a JSON file with the largest magnitude by tensor, or None.
        phantoms: radiographs that engines are qualified with.
    """

    bundle: str
    fingerprint: str
    precision: Precision
    profile: str
    store: str
    networks: tuple[NetworkName, ...] = ()
    ranges: str | None = None
    phantoms: int = PHANTOMS


def main() -> None:
    """Do what the first argument asks for. Messages go to the first standard output, the vendors' chatter to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    os.nice(_NICE)

    def tell(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")

    fields = json.loads(sys.argv[1])
    try:
        keys = build_all(BuildRequest(**{**fields, "networks": tuple(fields["networks"])}), tell)
    except EdgeSacroError as error:
        tell({"error": {"code": error.code, "what": error.what, "source": error.source, "remedy": error.remedy}})
    except Exception as error:  # noqa: BLE001 - the process ends with it, and its parent raises it
        tell({"error": {"code": InternalError.code, "what": f"{type(error).__name__}: {error}", "source": "builder"}})
    else:
        tell({"done": keys})


def build_all(request: BuildRequest, tell: Tell) -> dict[NetworkName, str]:
    """Build, store and qualify; the engines' keys by network.

    Engines that are built with no device are kept unqualified where this machine does not run them, and that is told.

    Raises:
        BackendUnavailable: engines that are built on the GPU itself could not run here.
        EdgeSacroError: as the loading, the building, the storing and the qualifying do.
    """
    bundle, store = load_bundle(request.bundle), EngineStore(request.store)
    if bundle.fingerprint != request.fingerprint:
        raise BundleFileCorrupt("it has changed since it was checked", source=request.bundle)
    orders = orders_from_request(bundle, request)
    if profile_from_name(request.profile).builder == "tensorrt":
        pycuda_driver()  # minutes of building would end with an engine that cannot be qualified
    keys: dict[NetworkName, str] = {}
    for name, given in orders.items():
        order = replace(given, timing_cache=_timings(store, given))
        built = engine_from_onnx(order, lambda phase, part, name=name: tell(_progress(name, phase, part)))  # type: ignore[misc]
        if built.timing_cache:
            store.write_timing_cache(built.seal, built.timing_cache)
        keys[name] = store.add(built)
        tell(
            {
                "built": {
                    "network": name,
                    "key": keys[name],
                    "seconds": round(built.seconds, 3),
                    "bytes": len(built.engine),
                    "messages": list(built.messages),
                }
            }
        )
    try:
        _qualify_all(bundle, store, request, keys, tell)
    except (BackendUnavailable, EngineStale) as error:
        if not builds_elsewhere(profile_from_name(request.profile).builder):
            raise
        tell({"unqualified": {"reason": str(error)}})
    return keys


def _qualify_all(
    bundle: Bundle, store: EngineStore, request: BuildRequest, keys: Mapping[NetworkName, str], tell: Tell
) -> None:
    """Run golden inputs through each engine that has not answered these very ones rightly.

    Raises:
        BackendError: an engine cannot be run here.
    """
    for name, key in keys.items():  # before phantoms are rendered, which takes longer
        open_sealed(store, bundle, key, bundle.manifest.networks[name].spec(name), 1).close()
    tell(_progress("all networks", "golden inputs", 0.0))
    golden = golden_inputs(bundle, request.precision, request.phantoms)
    for name, key in keys.items():
        record = store.qualification(key)
        if record is None or not record.passed or record.inputs_sha256 != golden.sha256(name):
            record = qualify(store, bundle, name, key, golden)
        tell({"qualified": {"network": name, **record.model_dump()}})


def orders_from_request(bundle: Bundle, request: BuildRequest) -> dict[NetworkName, PlanOrder]:
    """What a request comes to for each network, checked as far as it can be before anything is built.

    Raises:
        UsageError: there is no such profile, network, precision or file of ranges.
        EngineBuildFailed: the profile builds on another processor, or not in this precision.
    """
    profile = profile_from_name(request.profile)
    networks = request.networks or tuple(bundle.manifest.networks)
    unknown = [name for name in networks if name not in bundle.manifest.networks]
    if unknown:
        known = ", ".join(bundle.manifest.networks)
        raise UsageError(f"the bundle has no network {unknown[0]}; it has {known}", source="network")
    ranges = None if request.ranges is None else _ranges(request.ranges)
    orders = {
        name: replace(order_from_bundle(bundle, name, request.precision, profile), ranges=ranges) for name in networks
    }
    for order in orders.values():
        require_buildable(order)
    return orders


def request_text(request: BuildRequest) -> str:
    """A request as ``main`` reads it."""
    return json.dumps(asdict(request))


def _progress(network: str, phase: str, part: float) -> dict[str, Any]:
    return {"progress": {"network": network, "phase": phase, "part": round(part, 4)}}


def _timings(store: EngineStore, order: PlanOrder) -> bytes:
    if not order.profile.timing_cache:
        return b""
    path = store.timing_cache(Seal(**sealed_fields(order), engine_sha256="0" * 64))
    return path.read_bytes() if path.is_file() else b""


def _ranges(path: str) -> dict[str, float]:
    try:
        return ranges_from_text(json.loads(Path(path).read_text()))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"it is no JSON object of ranges above 0: {error}", source=path) from error
