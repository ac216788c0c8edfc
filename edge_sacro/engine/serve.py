"""Engines in service: opened only where sealed for this bundle and machine and qualified, replaced without a pause."""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Mapping

from edge_sacro.bundle import Bundle
from edge_sacro.engine.base import Engine, NetworkSpec
from edge_sacro.engine.build import sealed_fields
from edge_sacro.engine.compiled import open_compiled
from edge_sacro.engine.opening import PACKAGES
from edge_sacro.engine.profiles import DeviceProfile, Precision, processor_profile, profile_from_name
from edge_sacro.engine.seal import Seal
from edge_sacro.engine.store import EngineStore, Slot
from edge_sacro.engine.swapping import SwappingEngine
from edge_sacro.engine.trt_build import PlanOrder
from edge_sacro.errors import EngineError, EngineNotQualified, EngineStale, UsageError
from edge_sacro.manifest import NetworkName


def order_from_bundle(bundle: Bundle, network: NetworkName, precision: Precision, profile: DeviceProfile) -> PlanOrder:
    """What is to be built for a network of a bundle.

    A weakly typed engine is made from the fp32 file, whatever its own precision.

    Raises:
        UsageError: the bundle has no file of that precision.
    """
    model = bundle.model(network, "fp32" if profile.weakly_typed else precision, profile.builder)
    return PlanOrder(network, model, precision, profile)


def slot_from_bundle(bundle: Bundle, network: NetworkName, precision: Precision) -> Slot:
    """Where a network's engine serves. A new version of the bundle has the same slots, so that old engines are seen."""
    return Slot(bundle.manifest.name, network, precision)


def build_command(store: EngineStore, bundle: Bundle, profile: str, precision: str) -> str:
    """The command that builds the engines of a bundle again."""
    named = ["--bundle", bundle.path, "--profile", profile, "--precision", precision, "--store", str(store.folder)]
    return shlex.join(["edge-sacro", "engine", "build", *named])


def check_seal(store: EngineStore, bundle: Bundle, network: NetworkName, seal: Seal) -> None:
    """Hold a seal to what the same build would give here today.

    Raises:
        EngineStale: a field differs; the message names it with both values, and the command that builds it again.
        BackendUnavailable: the builder is not installed, or its device is not here.
    """
    command = f"Build it again: {build_command(store, bundle, seal.profile, seal.precision)}"
    try:
        profile = profile_from_name(seal.profile)
        order = order_from_bundle(bundle, network, seal.precision, profile)
    except UsageError as error:
        raise EngineStale(error.what, source=network) from error
    expected = sealed_fields(order)
    kept = [flag for flag in seal.flags if flag.startswith("ranges_sha256=")]
    expected["flags"] = sorted([*expected["flags"], *kept])
    for field, value in expected.items():
        found = getattr(seal, field)
        if found != value:
            raise EngineStale(f"its {field} is {found!r}, and here it is {value!r}", source=network, remedy=command)


def require_qualified(store: EngineStore, key: str) -> None:
    """Let an engine pass that has answered the golden inputs.

    Raises:
        EngineNotQualified: there is no record for exactly these bytes, or it says that the answers were wrong.
    """
    record = store.qualification(key)
    if record is None:
        raise EngineNotQualified("it has not been run on the golden inputs", source=key[:16])
    if not record.passed:
        raise EngineNotQualified(
            f"its outputs differ by {record.max_difference:.2g} at most and {record.mean_difference:.2g} on average "
            f"of the reference's range; {record.max_limit:g} and {record.mean_limit:g} are allowed",
            source=key[:16],
        )


def open_sealed(store: EngineStore, bundle: Bundle, key: str, spec: NetworkSpec, threads: int) -> Engine:
    """Open an engine of the store that is sealed for this bundle and this machine, qualified or not.

    Args:
        store: where it is.
        bundle: that it was built from.
        key: of the engine.
        spec: of the network; its name says which one.
        threads: inside one inference, where the backend has threads.

    Raises:
        BackendUnavailable: its package, or the GPU that it runs on, is not here.
        EngineStale: it is another's, or older than something that it depends on.
        BackendFailed: the backend refuses it.
    """
    seal, engine = store.read(key)
    check_seal(store, bundle, _network(bundle, spec.name), seal)
    return open_compiled(seal.builder, spec, engine, threads)


def builders_of_store(store: EngineStore) -> set[str]:
    """Whose engines a store holds, those that are spoilt apart."""
    found: set[str] = set()
    keys = store.keys()
    for key in keys:
        with contextlib.suppress(EngineError):
            found.add(store.seal(key).builder)
    return found


class QualifiedEngines:
    """The engines of one bundle and precision out of a store: an ``opener`` for a runtime, and their exchange.

    Args:
        store: of the engines.
        bundle: that the runtime has; engines of any other are refused.
        precision: that the runtime has.
    """

    takes_models = False

    def __init__(self, store: EngineStore, bundle: Bundle, precision: Precision) -> None:
        self.store, self.bundle, self.precision = store, bundle, precision
        self._opened: dict[NetworkName, tuple[SwappingEngine, int]] = {}
        self._turn = threading.Lock()

    @property
    def side_by_side(self) -> set[str]:
        """What the store's engines run on, where all run on the processor and several threads may open them at once."""
        builders = builders_of_store(self.store)
        return builders if builders <= set(PACKAGES) else set()

    def __call__(self, backend: str, spec: NetworkSpec, model: bytes, threads: int) -> SwappingEngine:
        """Open what serves for a network; the backend is the engine's own, and the model is what its seal names.

        Raises:
            EngineError: no engine serves, or it is stale or not qualified.
            BackendUnavailable: its package, or the GPU that it runs on, is not here.
        """
        del backend, model
        network = _network(self.bundle, spec.name)
        service = self.store.service(slot_from_bundle(self.bundle, network, self.precision))
        if service is None:
            command = build_command(self.store, self.bundle, processor_profile().name, self.precision)
            raise EngineError(
                f"no engine serves {self.precision} in {self.store.folder}",
                source=network,
                remedy=f"Build one: {command}",
            )
        engine = SwappingEngine(spec, service.now, self._open(service.now, spec, threads), self._turn)
        self._opened[network] = (engine, threads)
        return engine

    def put_into_service(self, keys: Mapping[NetworkName, str]) -> None:
        """Open engines, put all of them into service at once, and let the runtime's next assessment use them.

        Raises:
            EngineError: one of them is stale or not qualified; nothing has changed then.
            BackendError: one of them cannot be opened; nothing has changed then.
        """
        fresh = self._opened_anew(keys)
        self.store.serve({slot_from_bundle(self.bundle, n, self.precision): key for n, key in keys.items()})
        self._exchange(keys, fresh)

    def rollback(self) -> dict[NetworkName, str]:
        """Bring back the engines that served before, all at once; their keys.

        Raises:
            EngineError: nothing served before, or it may not serve any more; nothing has changed then.
        """
        slots = {name: slot_from_bundle(self.bundle, name, self.precision) for name in self.bundle.manifest.networks}
        before: dict[NetworkName, str] = {}
        for name, slot in slots.items():
            service = self.store.service(slot)
            if service is None or service.before is None:
                raise EngineError("nothing served before", source=str(slot), remedy="Build or qualify another engine.")
            before[name] = service.before
        fresh = self._opened_anew(before)
        self.store.rollback(list(slots.values()))
        self._exchange(before, fresh)
        return before

    def refresh(self) -> list[NetworkName]:
        """Follow the store where another process has changed what serves; the networks whose engine is another now.

        Raises:
            EngineError, BackendError: as ``put_into_service``; what served in this process goes on serving.
        """
        keys: dict[NetworkName, str] = {}
        for network, (engine, _) in self._opened.items():
            service = self.store.service(slot_from_bundle(self.bundle, network, self.precision))
            if service is not None and service.now != engine.key:
                keys[network] = service.now
        self._exchange(keys, self._opened_anew(keys))
        return list(keys)

    def _opened_anew(self, keys: Mapping[NetworkName, str]) -> dict[NetworkName, Engine]:
        """Open engines for the networks that run; those that nobody has opened are only looked at."""
        fresh: dict[NetworkName, Engine] = {}
        try:
            for network, key in keys.items():
                spec = self.bundle.manifest.networks[network].spec(network)
                _, threads = self._opened.get(network, (None, 1))
                fresh[network] = self._open(key, spec, threads)
        except Exception:
            for engine in fresh.values():
                engine.close()
            raise
        return fresh

    def _exchange(self, keys: Mapping[NetworkName, str], fresh: Mapping[NetworkName, Engine]) -> None:
        with self._turn:
            for network, engine in fresh.items():
                running = self._opened.get(network)
                if running is None:
                    engine.close()
                else:
                    running[0].swap(keys[network], engine)

    def _open(self, key: str, spec: NetworkSpec, threads: int) -> Engine:
        self.store.seal(key)  # an engine that is gone is stale, and not unqualified
        require_qualified(self.store, key)
        return open_sealed(self.store, self.bundle, key, spec, threads)


def _network(bundle: Bundle, name: str) -> NetworkName:
    return next(network for network in bundle.manifest.networks if network == name)
