"""One engine of a store as a person wants to see it."""

from __future__ import annotations

from typing import Any

from edge_sacro.bundle import Bundle
from edge_sacro.engine.audit import audit_from_plan
from edge_sacro.engine.profiles import profile_from_name
from edge_sacro.engine.seal import Seal, sha256
from edge_sacro.engine.serve import check_seal, order_from_bundle, slot_from_bundle
from edge_sacro.engine.store import EngineStore
from edge_sacro.errors import BackendError, EngineStale, UsageError
from edge_sacro.manifest import NetworkName


def inspected(store: EngineStore, bundle: Bundle, key: str) -> dict[str, Any]:
    """What there is to know of an engine: seal, validity for this bundle and machine, qualification, service, audit.

    Args:
        store: where it is.
        bundle: that it should be for.
        key: of the engine.
    """
    try:
        seal, engine = store.read(key)
    except EngineStale as error:
        return {"key": key, "valid": False, "reason": str(error)}
    network = network_from_seal(bundle, seal)
    reason = _reason(store, bundle, network, seal)
    record = store.qualification(key)
    found: dict[str, Any] = {
        "key": key,
        "seal": seal.model_dump(),
        "network": network,
        "bytes": len(engine),
        "valid": reason is None,
        "reason": reason,
        "qualification": None if record is None else record.model_dump(),
        "serves": False,
    }
    if network is not None:
        service = store.service(slot_from_bundle(bundle, network, seal.precision))
        found["serves"] = service is not None and service.now == key
    if seal.builder.startswith("tensorrt"):
        audit = audit_from_plan(engine)
        found["audit"] = {
            "kernels": len(audit.kernels),
            "weighted": audit.weighted,
            "weighted_in_int8": audit.in_int8,
            "device_bytes": audit.device_bytes,
            "targets": list(audit.targets),
            "counts": audit.counts(),
        }
    return found


def network_from_seal(bundle: Bundle, seal: Seal) -> NetworkName | None:
    """The network of the bundle that an engine was built from, or None."""
    for network in bundle.manifest.networks:
        try:
            order = order_from_bundle(bundle, network, seal.precision, profile_from_name(seal.profile))
        except UsageError:
            continue
        if sha256(order.model) == seal.onnx_sha256:
            return network
    return None


def text_from_inspected(found: dict[str, Any]) -> str:
    """The same as lines of text."""
    lines = [f"{found['key'][:16]}  {'valid here' if found['valid'] else 'REFUSED'}"]
    if found["reason"]:
        lines.append(f"  {found['reason']}")
    if "seal" not in found:
        return "\n".join(lines)
    seal, record = found["seal"], found["qualification"]
    lines[0] += ", in service" if found["serves"] else ""
    lines.append(f"  {found['network'] or 'no network of this bundle'}, {seal['precision']}, {found['bytes']} bytes")
    lines.append(f"  {seal['builder']} {seal['builder_version']}, profile {seal['profile']}, for {seal['device']}")
    lines.append(f"  {' '.join(seal['flags'])}")
    if record is None:
        lines.append("  not qualified")
    else:
        passed = "qualified" if record["passed"] else "NOT qualified"
        lines.append(f"  {passed}: differs by {record['max_difference']:.2g} of {record['max_limit']:g} allowed")
        if record["state"]:
            lines.append("  ran there with " + ", ".join(f"{name}: {value}" for name, value in record["state"].items()))
    if "audit" in found:
        audit = found["audit"]
        if audit["kernels"]:
            int8 = f"{audit['weighted_in_int8']} of {audit['weighted']} with weights in int8"
            activations = f"{audit['device_bytes'] / 1e6:.1f} MB of activations"
            lines.append(f"  {audit['kernels']} kernels; {int8}; {activations}; {' '.join(audit['targets'])}")
        else:
            lines.append("  the plan holds no program text; look at it on its device")
    return "\n".join(lines)


def _reason(store: EngineStore, bundle: Bundle, network: NetworkName | None, seal: Seal) -> str | None:
    """Why it may not run here, or None."""
    if network is None:
        return "it was built from none of this bundle's networks"
    try:
        check_seal(store, bundle, network, seal)
    except BackendError as error:
        return str(error)
    return None
