"""``python -m bench parity``: the device's parity run, and the error inside each network beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bench.parity_layers import layers_from_calls, worst_layers
from edge_sacro.bundle import load_bundle
from edge_sacro.commands import exits_with_code
from edge_sacro.commands.parity import parity_options, setup_from_options
from edge_sacro.parity import run
from edge_sacro.parity.control import Control
from edge_sacro.parity.document import Document
from edge_sacro.parity.measure import recorded_calls
from edge_sacro.parity.text import text_from_document


@click.command()
@parity_options
@click.option("--layer-images", default=4, show_default=True, type=click.IntRange(1), help="Images to open layers on.")
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
    layer_images: int,
) -> None:
    """As `edge-sacro parity`, and every activation inside the quantised networks beside the FP32 ones.

    Layers are those of the bundle's own files, whatever the control. Exit code 83: the budget is broken.
    """
    setup = setup_from_options(against, engines, budget, control, threads)
    loaded = load_bundle(bundle)

    def with_layers(document: Document, files: Sequence[Path]) -> Document:
        calls = recorded_calls(loaded, files[:layer_images], threads)
        return document.model_copy(update={"layers": layers_from_calls(loaded, calls)})

    document = run.parity(loaded, paths, phantoms, setup, with_layers)
    click.echo(text_from_document(document), nl=False)
    if document.layers:
        click.echo("\nActivations with the largest error:\n" + "\n".join(worst_layers(document.layers)))
    for path in run.write_outputs(document, run.Outputs(json_path, html_path, write_into)):
        click.echo(f"{path} written")
    run.check_budget(document)
