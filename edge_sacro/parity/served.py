"""The engines in service in a store, as a contender."""

from __future__ import annotations

from edge_sacro.bundle import Bundle
from edge_sacro.engine import Engine, NetworkSpec, Opener
from edge_sacro.engine.serve import QualifiedEngines, slot_from_bundle
from edge_sacro.engine.store import EngineStore
from edge_sacro.errors import EngineError
from edge_sacro.manifest import Precision

ENGINES = "engines"
"""The name, in a backend's place, of the engines in service in a store."""


def served_precisions(store: EngineStore, bundle: Bundle) -> list[Precision]:
    """The bundle's precisions in which an engine serves for each of its networks.

    Raises:
        EngineError: there is none, or ``serving.json`` is damaged.
    """
    networks = bundle.manifest.networks
    found = [
        precision
        for precision in bundle.manifest.precisions
        if all(store.service(slot_from_bundle(bundle, network, precision)) for network in networks)
    ]
    if not found:
        raise EngineError("no engines of this bundle serve", source=str(store.folder))
    return found


def opener_from_store(store: EngineStore, bundle: Bundle, precision: Precision) -> Opener:
    """The engines that serve now, by themselves: what replaces them meanwhile is another contender."""
    engines = QualifiedEngines(store, bundle, precision)

    def opened(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        return engines(backend, spec, model, threads).engine

    return opened
