"""``edge-sacro batch``: many instances on many processes or machines, into one table."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.commands.bundle import trust_from_options, trust_options

if TYPE_CHECKING:
    from edge_sacro.batch.run import Outcome, Plan, Setup
    from edge_sacro.batch.sources import Instances

SET_ASIDE_EXIT_CODE = 3
"""The batch is complete, and at least one instance has no answer, because its workers died or failed."""

TOKEN = "EDGE_SACRO_DICOMWEB_TOKEN"  # noqa: S105 - the variable's name
"""Environment variable that a DICOMweb server's bearer token is taken from."""


def _options(command: Any) -> Any:
    """The options, in the order in which help shows them."""
    file = click.Path(dir_okay=False, path_type=Path)
    folder = click.Path(file_okay=False, path_type=Path)
    options = [
        click.option("--out", required=True, type=file, metavar="FILE.parquet", help="Table to write."),
        click.option("--work", type=folder, help="Folder that the answers are kept in.  [default: OUT.work]"),
        click.option("--timings", type=file, metavar="FILE.parquet", help="Table of times and workers to write."),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Processes of this machine, or actors of a Ray cluster.",
        ),
        click.option("--workers", type=click.IntRange(1, 4096), help="How many.  [default: one a processor]"),
        click.option("--ray-address", metavar="HOST:PORT", help="Of a Ray cluster.  [default: one on this machine]"),
        click.option("--shared-disk", is_flag=True, help="Workers read the paths themselves."),
        click.option("--bundle", default="demonstration", show_default=True, help="Model bundle."),
        trust_options,
        click.option("--backend", default="onnxruntime", show_default=True, help="As for infer; never replaced."),
        click.option("--engines", type=folder, help="Folder of engines to serve from, the same on each node."),
        click.option("--precision", help="fp32, fp16 or int8.  [default: the bundle's]"),
        click.option("--threads", type=click.IntRange(1), help="Of one worker.  [default: processors by workers]"),
        click.option("--deadline", "deadline_s", type=click.FloatRange(0, min_open=True), help="Seconds of one image."),
        click.option("--operating-point", metavar="NAME", help="One of the bundle's.  [default: the bundle's]"),
        click.option("--override", "overrides", multiple=True, metavar="CODE", help="As for infer."),
        click.option(
            "--instance-limit",
            default=600.0,
            show_default=True,
            type=click.FloatRange(0, min_open=True),
            help="Seconds after which a worker is ended.",
        ),
        click.option("--memory", "memory_mib", type=click.IntRange(64), help="MiB a worker.  [default: a fair share]"),
        click.option("--recycle", default=5000, show_default=True, type=click.IntRange(1), help="Instances a worker."),
        click.option("--again", is_flag=True, help="Try once more what was set aside."),
        click.option("--query", "queries", multiple=True, metavar="KEY=VALUE", help="Of DICOMweb studies; repeatable."),
        click.option("--token-file", type=file, help=f"Bearer token for DICOMweb; else {TOKEN}."),
        click.option("--ca", type=file, help="Certificates that a DICOMweb server is verified with."),
        click.option("--progress", "every_s", default=10.0, show_default=True, help="Seconds between progress lines."),
        click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(short_help="Assess many instances into one Parquet table, and go on where it stopped.")
@click.argument("source", nargs=-1, required=True, metavar="SOURCE...")
@_options
@exits_with_code
def batch(source: tuple[str, ...], **options: Any) -> int:
    """Assess all instances of files and folders, or of one DICOMweb server (https://…), into one Parquet table.

    There is exactly one row for each instance and frame, whatever dies meanwhile. The same command again goes on where
    it stopped. An instance that takes its worker down twice is set aside, with a row that says so.

    Exit code 0: each instance has its answer, which may be a refusal. 3: at least one was set aside. 102: told to stop.
    Others: why the batch cannot go on, as docs/errors.md lists them.
    """
    from edge_sacro.batch.progress import Watcher
    from edge_sacro.batch.run import run_batch
    from edge_sacro.bundle import load_bundle
    from edge_sacro.errors import InputNotFound

    loaded = load_bundle(options["bundle"], trust_from_options(options["trust"], options["state"]))
    with (
        closing(_instances(source, options)) as instances,
        Watcher(options["every_s"], lambda line: click.echo(line, err=True)) as watch,
    ):
        if not instances.labels:
            raise InputNotFound("it holds no DICOM file", source=", ".join(source))
        plan = _plan(options)
        if plan.engine == "local":
            loaded = loaded.without_files()  # each worker reads them, and they are large
        outcome = run_batch(instances, loaded, _setup(options), plan, watch=watch)
    _say(outcome, as_json=options["as_json"])
    return SET_ASIDE_EXIT_CODE if outcome.tally.states["set_aside"] else 0


def _instances(source: tuple[str, ...], options: dict[str, Any]) -> Instances:
    from edge_sacro.batch.sources import FolderInstances
    from edge_sacro.errors import UsageError

    addresses = [each for each in source if each.startswith(("http://", "https://"))]
    if not addresses:
        if options["queries"] or options["token_file"] or options["ca"]:
            raise UsageError("--query, --token-file and --ca are for a DICOMweb server", source=source[0])
        return FolderInstances(source)
    if len(source) > 1:
        raise UsageError("a DICOMweb server is the only source of its batch", source=addresses[0])
    if options["shared_disk"]:
        raise UsageError("--shared-disk is for paths", source=addresses[0])
    from edge_sacro.batch.dicomweb import WebInstances, access_from_options

    access = access_from_options(addresses[0], options["token_file"], options["ca"])
    return WebInstances(access, options["queries"])


def _setup(options: dict[str, Any]) -> Setup:
    from edge_sacro.batch.run import Setup
    from edge_sacro.errors import UsageError

    engines = options["engines"]
    given = click.get_current_context().get_parameter_source("backend")
    if engines is not None and given == click.core.ParameterSource.COMMANDLINE:
        raise UsageError("engines have their own backend", source="--backend", remedy="Give --engines or --backend.")
    return Setup(
        backend=options["backend"],
        precision=options["precision"],
        operating_point=options["operating_point"],
        threads=options["threads"],
        overrides=options["overrides"],
        deadline_s=options["deadline_s"],
        engines=None if engines is None else str(engines.resolve()),
    )


def _plan(options: dict[str, Any]) -> Plan:
    from edge_sacro.batch.run import Plan, limits_from_options
    from edge_sacro.errors import UsageError

    if options["ray_address"] and options["engine"] != "ray":
        raise UsageError("--ray-address is for --engine ray", source="--ray-address")
    return Plan(
        out=options["out"],
        work=options["work"],
        timings=options["timings"],
        engine=options["engine"],
        workers=options["workers"],
        address=options["ray_address"],
        whole=not options["shared_disk"],
        again=options["again"],
        limits=limits_from_options(
            options["instance_limit"], options["memory_mib"], options["recycle"], options["workers"]
        ),
    )


def _say(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome.summary, sort_keys=True, indent=2))
        return
    tally, counts = outcome.tally, outcome.counts
    click.echo(f"{outcome.summary['out']}: {tally.rows} rows of {tally.instances} instances in {counts.listed} places")
    for state, number in sorted(tally.states.items()):
        click.echo(f"  {state:15} {number}")
    for code, number in sorted(tally.reason_codes.items()):
        click.echo(f"    {code}: {number}")
    for each in tally.set_aside:
        click.echo(f"  set aside: {each['path']}: {each['reason']} [{each['reason_code']}]")
    if tally.uids_of_several:
        click.echo(f"  {tally.uids_of_several} SOP Instance UIDs stand for instances of different bytes")
    lost = ", ".join(f"{number} x {why}" for why, number in sorted(counts.lost.items()))
    if lost:
        click.echo(f"  workers lost: {lost}; {counts.resent} instances were sent again")
    click.echo(f"  {outcome.summary['answered_now']} answered now, {outcome.summary['seconds']} s")
    click.echo(outcome.summary["bundle"]["statement"])
