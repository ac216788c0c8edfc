"""``edge-sacro engine``: build, qualify and look at compiled networks, and go back to the ones before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.commands.bundle import trust_from_options, trust_options

if TYPE_CHECKING:
    from edge_sacro.bundle import Bundle
    from edge_sacro.engine import Opener
    from edge_sacro.engine.store import EngineStore
    from edge_sacro.manifest import NetworkName, Precision

PRECISIONS = click.Choice(["fp32", "fp16", "int8"])


def _options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that several commands have."""
    known = {
        "bundle": click.option("--bundle", default="demonstration", show_default=True, help="Model bundle."),
        "precision": click.option("--precision", type=PRECISIONS, help="Of the networks.  [default: the bundle's]"),
        "store": click.option("--store", required=True, type=click.Path(file_okay=False), help="Folder of engines."),
        "phantoms": click.option(
            "--phantoms", type=click.IntRange(0), help="Simulated radiographs to qualify with.  [default: 2]"
        ),
    }

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            command = known[name](command)
        return command

    return add


def preload_from_options(store: str | None, backend: str) -> None:
    """Begin to import what the runtime will open its networks with."""
    from edge_sacro.engine.opening import preload
    from edge_sacro.engine.serve import builders_of_store
    from edge_sacro.engine.store import EngineStore

    preload([backend] if store is None else builders_of_store(EngineStore(store)))


def opener_from_store(store: str | None, bundle: Bundle, precision: Precision | None) -> Opener:
    """What a runtime opens networks with: the engines in service in a store, or the backend where no store is named.

    Raises:
        UsageError: the command line names a store and a backend.
    """
    from edge_sacro.engine import open_engine
    from edge_sacro.engine.serve import QualifiedEngines
    from edge_sacro.engine.store import EngineStore
    from edge_sacro.errors import UsageError

    if store is None:
        return open_engine
    if click.get_current_context().get_parameter_source("backend") == click.core.ParameterSource.COMMANDLINE:
        raise UsageError("engines have their own backend", source="--backend", remedy="Give --engines or --backend.")
    return QualifiedEngines(EngineStore(store), bundle, precision or bundle.manifest.default_precision)


@click.group(short_help="Compile networks for a device and qualify them.")
def engine() -> None:
    """Compile a bundle's networks for a device, qualify them, and put them into service."""


@engine.command()
def profiles() -> None:
    """List the device profiles."""
    from edge_sacro.engine.profiles import PROFILES

    rows = [(p.name, p.builder, "/".join(p.precisions), p.device) for p in PROFILES.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join([*(text.ljust(width) for text, width in zip(row[:3], widths, strict=True)), row[3]]))


@engine.command()
@trust_options
@_options("bundle", "precision", "store", "phantoms")
@click.option(
    "--profile", required=True, metavar="NAME", help="Device profile; `edge-sacro engine profiles` lists them."
)
@click.option("--network", "networks", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@click.option(
    "--ranges", type=click.Path(dir_okay=False), metavar="JSON", help="Ranges for int8 on a DLA of JetPack 6."
)
@click.option("--no-serve", is_flag=True, help="Leave what serves in service.")
@exits_with_code
def build(  # noqa: PLR0913, PLR0917 - one parameter an option
    bundle: str,
    trust: tuple[str, ...],
    state: str | None,
    precision: Precision | None,
    store: str,
    phantoms: int | None,
    profile: str,
    networks: tuple[NetworkName, ...],
    ranges: str | None,
    no_serve: bool,
) -> int:
    """Build, seal and qualify engines in a process of their own; those that qualify go into service together.

    Engines of TensorRT-RTX are built with no GPU; where this machine does not run them they are kept, and do not serve.
    """
    from edge_sacro.bundle import load_bundle
    from edge_sacro.engine.background import BuildProcess
    from edge_sacro.engine.qualify import PHANTOMS
    from edge_sacro.engine.store import EngineStore
    from edge_sacro.engine.worker import BuildRequest, orders_from_request

    loaded = load_bundle(bundle, trust_from_options(trust, state))
    chosen = precision or loaded.manifest.default_precision
    request = BuildRequest(
        bundle=bundle,
        fingerprint=loaded.fingerprint,
        precision=chosen,
        profile=profile,
        store=store,
        networks=networks,
        ranges=ranges,
        phantoms=PHANTOMS if phantoms is None else phantoms,
    )
    orders_from_request(loaded, request)
    keys = BuildProcess(request).run(_tell)
    return _serve(loaded, EngineStore(store), keys, chosen, serve=not no_serve)


@engine.command()
@trust_options
@_options("bundle", "precision", "store", "phantoms")
@click.option("--profile", required=True, metavar="NAME", help="Of the engines to qualify.")
@click.option("--no-serve", is_flag=True, help="Leave what serves in service.")
@exits_with_code
def qualify(  # noqa: PLR0913, PLR0917 - one parameter an option
    bundle: str,
    trust: tuple[str, ...],
    state: str | None,
    precision: Precision | None,
    store: str,
    phantoms: int | None,
    profile: str,
    no_serve: bool,
) -> int:
    """Run golden inputs through the engines of a profile; those that qualify go into service together."""
    from edge_sacro.bundle import load_bundle
    from edge_sacro.engine import qualify as qualification
    from edge_sacro.engine.store import EngineStore
    from edge_sacro.errors import EngineError

    loaded, kept = load_bundle(bundle, trust_from_options(trust, state)), EngineStore(store)
    chosen = precision or loaded.manifest.default_precision
    keys = _newest(loaded, kept, chosen, profile)
    if not keys:
        raise EngineError(f"it holds no {chosen} engine of this bundle for {profile}", source=store)
    count = qualification.PHANTOMS if phantoms is None else phantoms
    golden = qualification.golden_inputs(loaded, chosen, count)
    for network, key in keys.items():
        record = qualification.qualify(kept, loaded, network, key, golden)
        _tell({"qualified": {"network": network, **record.model_dump()}})
    return _serve(loaded, kept, keys, chosen, serve=not no_serve)


@engine.command()
@trust_options
@_options("bundle", "store")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of text.")
@exits_with_code
def inspect(bundle: str, trust: tuple[str, ...], state: str | None, store: str, as_json: bool) -> None:
    """Show each engine's seal, whether it is valid here, how it qualified, and what a TensorRT-RTX plan will run."""
    import json

    from edge_sacro.bundle import load_bundle
    from edge_sacro.engine.inspection import inspected, text_from_inspected
    from edge_sacro.engine.store import EngineStore

    loaded, kept = load_bundle(bundle, trust_from_options(trust, state)), EngineStore(store)
    found = [inspected(kept, loaded, key) for key in kept.keys()]  # noqa: SIM118 - a store is no mapping
    if as_json:
        click.echo(json.dumps(found, indent=2, sort_keys=True))
    else:
        click.echo("\n\n".join(map(text_from_inspected, found)) or "it holds no engine")


@engine.command()
@trust_options
@_options("bundle", "precision", "store")
@exits_with_code
def rollback(bundle: str, trust: tuple[str, ...], state: str | None, precision: Precision | None, store: str) -> None:
    """Bring back the engines that served before, all networks at once."""
    from edge_sacro.bundle import load_bundle
    from edge_sacro.engine.serve import QualifiedEngines
    from edge_sacro.engine.store import EngineStore

    loaded = load_bundle(bundle, trust_from_options(trust, state))
    chosen = precision or loaded.manifest.default_precision
    for network, key in QualifiedEngines(EngineStore(store), loaded, chosen).rollback().items():
        click.echo(f"{network}: {key[:16]} serves again")


@engine.command()
@_options("store")
@exits_with_code
def prune(store: str) -> None:
    """Remove the engines that neither serve nor served before."""
    from edge_sacro.engine.store import EngineStore

    removed = EngineStore(store).prune()
    for key in removed:
        click.echo(f"{key[:16]} removed")
    click.echo(f"{len(removed)} engines removed")


def _serve(
    bundle: Bundle, store: EngineStore, keys: Mapping[NetworkName, str], precision: Precision, *, serve: bool
) -> int:
    """Put what may serve into service; exit code 45 where an engine did not qualify."""
    from edge_sacro.engine.compiled import builds_elsewhere
    from edge_sacro.engine.serve import QualifiedEngines, require_qualified

    seals = [store.seal(key) for key in keys.values()]
    if all(store.qualification(key) is None for key in keys.values()) and builds_elsewhere(seals[0].builder):
        named = f"--profile {seals[0].profile} --precision {precision} --store {store.folder}"
        click.echo(f"kept, and none serves; on their device: edge-sacro engine qualify --bundle {bundle.path} {named}")
        return 0
    for key in keys.values():
        require_qualified(store, key)
    if serve:
        QualifiedEngines(store, bundle, precision).put_into_service(keys)
        click.echo(f"{', '.join(keys)}: in service; run them with: edge-sacro infer --engines {store.folder}")
    return 0


def _newest(bundle: Bundle, store: EngineStore, precision: Precision, profile: str) -> dict[NetworkName, str]:
    """The engine last built for each network of the bundle and the profile."""
    from edge_sacro.engine.profiles import profile_from_name
    from edge_sacro.engine.seal import sha256
    from edge_sacro.engine.serve import order_from_bundle

    device = profile_from_name(profile)
    found: dict[NetworkName, str] = {}
    seals = [(key, store.seal(key)) for key in store.newest_last()]
    for network in bundle.manifest.networks:
        model = sha256(order_from_bundle(bundle, network, precision, device).model)
        for key, seal in seals:
            if (seal.onnx_sha256, seal.precision, seal.profile) == (model, precision, profile):
                found[network] = key
    return found


def _tell(message: Mapping[str, Any]) -> None:
    """One line a result; on a terminal also a line that shows how far the builder is."""
    terminal = sys.stderr.isatty()
    if "progress" in message:
        if terminal:
            at = message["progress"]
            line = f"{at['network']}: {at['phase']} {100 * at['part']:3.0f} %"
            click.echo(f"\r\x1b[K{line[:100]}", nl=False, err=True)
        return
    if terminal:
        click.echo("\r\x1b[K", nl=False, err=True)
    if "built" in message:
        built = message["built"]
        size = f"{built['bytes'] / 1e6:.1f} MB"
        click.echo(f"{built['network']}: built in {built['seconds']:.1f} s, {size}, {built['key'][:16]}")
        for warning in built["messages"]:
            click.echo(f"  builder: {warning}")
    if "unqualified" in message:
        click.echo(f"not qualified on this machine: {message['unqualified']['reason']}")
    if "qualified" in message:
        record = cast("dict[str, Any]", message["qualified"])
        click.echo(
            f"{record['network']}: {'qualified' if record['passed'] else 'NOT qualified'}: differs by "
            f"{record['max_difference']:.2g} at most ({record['max_limit']:g} allowed), on "
            f"{record['phantom_inputs']} inputs of phantoms and {record['noise_inputs']} of noise"
        )
