"""``edge-sacro parity``: every precision and backend against FP32, held to a budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.commands.bundle import trust_from_options, trust_options

if TYPE_CHECKING:
    from edge_sacro.parity.control import Control
    from edge_sacro.parity.measure import Setup

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("paths", nargs=-1, metavar="[PATH...]"),
    click.option("--bundle", default="demonstration", show_default=True, help="Model bundle: a folder or a zip file."),
    click.option(
        "--phantoms", type=click.IntRange(0, 10_000), help="Simulated radiographs to add.  [default: 30 without PATH]"
    ),
    click.option(
        "--against",
        multiple=True,
        metavar="BACKEND:PRECISION",
        help="Contender; may be repeated.  [default: every backend that is here, in every precision]",
    ),
    click.option("--engines", metavar="STORE", help="Folder whose engines in service are contenders too."),
    click.option("--budget", metavar="FILE", help="JSON table of what is allowed.  [default: docs/parity.md]"),
    click.option(
        "--control",
        type=click.Choice(["perturbed-weights", "swapped-classes"]),
        help="Make the contenders wrong on purpose: exit code 83 is then due.",
    ),
    click.option("--threads", type=click.IntRange(1), help="Threads of one inference.  [default: all that it may use]"),
    click.option("--json", "json_path", metavar="FILE", help="Write the whole measurement."),
    click.option("--html", "html_path", metavar="FILE", help="Write a page with plots."),
    click.option("--write-into", metavar="FOLDER", help="Put the record into this bundle, where the budget holds."),
)


def parity_options(command: Command) -> Command:
    """The options of a parity run, for the device's command and the workshop's."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def setup_from_options(
    against: tuple[str, ...], engines: str | None, budget: str | None, control: Control | None, threads: int | None
) -> Setup:
    """What to measure against, and how."""
    from edge_sacro import console
    from edge_sacro.engine.store import EngineStore
    from edge_sacro.parity.budget import BUDGETS, budgets_from_file
    from edge_sacro.parity.measure import Setup
    from edge_sacro.parity.run import contenders_from_names

    budgets = BUDGETS if budget is None else budgets_from_file(budget)
    store = None if engines is None else EngineStore(engines)
    return Setup(contenders_from_names(against), budgets, control, threads, store, console.with_progress)


@click.command(short_help="Hold every precision and backend against FP32.")
@parity_options
@trust_options
@exits_with_code
def parity(  # noqa: PLR0913, PLR0917 - one parameter an option
    paths: tuple[str, ...],
    bundle: str,
    phantoms: int | None,
    against: tuple[str, ...],
    engines: str | None,
    budget: str | None,
    control: Control | None,
    threads: int | None,
    json_path: str | None,
    html_path: str | None,
    write_into: str | None,
    trust: tuple[str, ...],
    state: str | None,
) -> None:
    """Hold every precision and backend against FP32 on onnxruntime, on DICOM files or on simulated radiographs.

    Compares the networks' tensors, the boxes, the probabilities and the decisions at every cut-off. Exit code 83: the
    budget is broken; what was asked for is written all the same.
    """
    from edge_sacro.bundle import load_bundle
    from edge_sacro.parity import run
    from edge_sacro.parity.text import text_from_document

    setup = setup_from_options(against, engines, budget, control, threads)
    loaded = load_bundle(bundle, trust_from_options(trust, state))
    document = run.parity(loaded, paths, phantoms, setup)
    click.echo(text_from_document(document), nl=False)
    for path in run.write_outputs(document, run.Outputs(json_path, html_path, write_into)):
        click.echo(f"{path} written")
    run.check_budget(document)
