"""``python -m bench gpu``: what this machine's GPU computes, held to the reference, and what it takes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code

OUT = Path("bench/results")


@click.command()
@click.option("--bundle", default="demonstration", show_default=True, help="Model bundle.")
@click.option("--profile", default="rtx-any", show_default=True, help="Device profile that engines are built for.")
@click.option(
    "--precision", "precisions", multiple=True, type=click.Choice(["fp32", "fp16", "int8"]), help="[default: all]"
)
@click.option("--runs", default=100, show_default=True, type=click.IntRange(1), help="Timed of each, once it is warm.")
@click.option("--phantoms", default=1, show_default=True, type=click.IntRange(0), help="To compare engines on.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path, file_okay=False), help="Folder.")
@exits_with_code
def gpu(bundle: str, profile: str, precisions: tuple[str, ...], runs: int, phantoms: int, out: Path) -> None:
    """Hold the kernels to the reference and engines to ONNX Runtime, and time both, into gpu-NAME.json.

    Without a GPU all is done up to the launch, and what was not is told. Exit code 41: something could not be done.
    83: an answer differs by more than is allowed, or a wrong one would pass.
    """
    from bench.gpu import Measured, Options, measure, text_from_measured
    from edge_sacro.bundle import load_bundle
    from edge_sacro.bundle_files import write_atomically
    from edge_sacro.errors import BackendUnavailable, BudgetBroken

    options = Options(profile, precisions or Options.precisions, runs, phantoms)  # type: ignore[arg-type]

    def keep(found: Measured) -> None:
        if found.device is not None:
            out.mkdir(parents=True, exist_ok=True)
            text = json.dumps(found.record, indent=1, sort_keys=True) + "\n"
            write_atomically(out / found.file_name, text.encode())

    found = measure(load_bundle(bundle), options, lambda line: click.echo(line, err=True), keep)
    keep(found)
    click.echo(text_from_measured(found))
    if found.device is not None:
        click.echo(f"{out / found.file_name} written")
    if found.broken:
        raise BudgetBroken(f"{len(found.broken)} comparisons do not hold: {', '.join(found.broken)}", source="gpu")
    if found.undone:
        what, error = found.undone[0]
        more = f" (and {len(found.undone) - 1} more)" if len(found.undone) > 1 else ""
        raise BackendUnavailable(f"{what}{more}: {error.what}", source=error.source, remedy=error.remedy)
