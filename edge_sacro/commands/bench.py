"""``edge-sacro bench``: what an assessment costs on this machine, and two such measurements beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.commands.bundle import trust_from_options, trust_options

if TYPE_CHECKING:
    from edge_sacro.benchmark.document import Document
    from edge_sacro.benchmark.measure import Plan
    from edge_sacro.benchmark.order import Order
    from edge_sacro.manifest import Precision


class _RunByDefault(click.Group):
    """A group whose ``run`` needs not be named: ``bench --runs 10`` is ``bench run --runs 10``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


def _counts(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Whole numbers from 1 to 64 with commas between them."""
    words = [word.strip() for word in value.split(",") if word.strip()]
    if not all(word.isdigit() and 0 < int(word) <= 64 for word in words):
        raise click.BadParameter(f"{value!r} is not a list of numbers from 1 to 64, such as 1,2,4", context, parameter)
    return tuple(map(int, words))


@click.group(cls=_RunByDefault, short_help="Measure time, memory and energy on this machine; compare two measurements.")
def bench() -> None:
    """Measure time, memory and energy on this machine; compare two measurements."""


@bench.command(short_help="Measure; what `bench` alone does.")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--bundle", default="demonstration", show_default=True, help="Model bundle: a folder or a zip file.")
@trust_options
@click.option("--backend", default="onnxruntime", show_default=True, help="As for infer; never replaced.")
@click.option("--engines", type=click.Path(file_okay=False), help="Folder of engines to serve from, not a --backend.")
@click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), help="[default: the bundle's]")
@click.option("--threads", type=click.IntRange(1), help="Threads of one inference.  [default: all that it may use]")
@click.option("--runs", default=100, show_default=True, type=click.IntRange(1), help="Of each input; p99 needs 100.")
@click.option("--warmup", default=5, show_default=True, type=click.IntRange(1), help="Runs before, not counted.")
@click.option(
    "--streams",
    callback=_counts,
    default="1,2,4",
    show_default=True,
    metavar="N,N",
    help="Callers at once; '' for none.",
)
@click.option(
    "--batch",
    "batches",
    callback=_counts,
    default="8",
    show_default=True,
    metavar="N,N",
    help="Studies given at once, the next read meanwhile; '' for none.",
)
@click.option("--cold", default=3, show_default=True, type=click.IntRange(0, 100), help="Fresh processes to start.")
@click.option("--json", "json_path", metavar="FILE", help="Write the whole measurement.")
@click.option("--html", "html_path", metavar="FILE", help="Write a page with plots.")
@exits_with_code
def run(  # noqa: PLR0913, PLR0917 - one parameter an option
    paths: tuple[str, ...],
    bundle: str,
    trust: tuple[str, ...],
    state: str | None,
    backend: str,
    engines: str | None,
    precision: Precision | None,
    threads: int | None,
    runs: int,
    warmup: int,
    streams: tuple[int, ...],
    batches: tuple[int, ...],
    cold: int,
    json_path: str | None,
    html_path: str | None,
) -> None:
    """Measure what an assessment of DICOM files costs on this machine, or of a phantom where no file is given.

    Cold start in fresh processes, warm times by stage, throughput of several callers at once, memory, and energy
    where the device tells it. Two measurements are compared by: edge-sacro bench compare A.json B.json
    """
    from edge_sacro.benchmark.measure import Plan
    from edge_sacro.benchmark.order import Order
    from edge_sacro.benchmark.text import text_from_document

    source = click.get_current_context().get_parameter_source("backend")
    if engines is not None and source == click.core.ParameterSource.COMMANDLINE:
        from edge_sacro.errors import UsageError

        raise UsageError("engines have their own backend", source="--backend", remedy="Give --engines or --backend.")
    trust_from_options(trust, state)
    order = Order(bundle, backend, precision, threads, engines, trust, state)
    plan = Plan(runs, warmup, streams, batches, cold, tell=lambda line: click.echo(line, err=True))
    document = _measured(order, plan, paths)
    click.echo(text_from_document(document), nl=False)
    for path in _written(document, json_path, html_path):
        click.echo(f"{path} written")


@bench.command(short_help="Say from two measurements which is faster.")
@click.argument("a", metavar="A.json")
@click.argument("b", metavar="B.json")
@click.option("--force", is_flag=True, help="Other inputs, other bundles and busy machines too.")
@click.option("--fail-above", type=click.FloatRange(min=0, min_open=True), metavar="RATIO", help="Exit code 83 above.")
@exits_with_code
def compare(a: str, b: str, force: bool, fail_above: float | None) -> None:
    """Ratios of B's times to A's with 95 % intervals: faster, slower, or cannot tell.

    Exit code 0 whatever they are, but for --fail-above: 83 where the whole assessment's interval lies above RATIO.
    """
    from edge_sacro.benchmark.compare import check_ratio
    from edge_sacro.benchmark.compare import compare as compared
    from edge_sacro.benchmark.document import document_from_file
    from edge_sacro.benchmark.text import text_from_comparison

    found = compared(document_from_file(a), document_from_file(b), force=force)
    click.echo(text_from_comparison(found), nl=False)
    if fail_above is not None:
        check_ratio(found, fail_above)


def _measured(order: Order, plan: Plan, paths: Sequence[str]) -> Document:
    """Measure on the instances found, or on a phantom of the bundle's modality."""
    from tempfile import TemporaryDirectory

    from edge_sacro.benchmark.child import draw_phantom
    from edge_sacro.benchmark.measure import measure
    from edge_sacro.benchmark.order import bundle_from_order
    from edge_sacro.dicom import find_instances
    from edge_sacro.errors import InputNotFound
    from edge_sacro.systems import SYSTEMS

    bundle = bundle_from_order(order)
    if paths:
        files = [each.path for each in find_instances(paths) if each.reason is None]
        if not files:
            raise InputNotFound("it holds no DICOM file", source=", ".join(paths))
        return measure(order, plan, files)
    ct = "CT" in SYSTEMS[bundle.manifest.system].modalities
    with TemporaryDirectory(prefix="edge-sacro-bench-") as folder:
        return measure(order, plan, draw_phantom(Path(folder), ct), simulated=True)


def _written(document: Document, json_path: str | None, html_path: str | None) -> list[str]:
    from edge_sacro.benchmark.document import json_from_document
    from edge_sacro.benchmark.html import html_from_document
    from edge_sacro.bundle_files import write_atomically

    written = []
    for path, content in ((json_path, json_from_document), (html_path, html_from_document)):
        if path is not None:
            write_atomically(Path(path), content(document).encode())
            written.append(path)
    return written
