"""``edge-sacro triton``: a model repository for sites that run NVIDIA's Triton Inference Server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sacro.commands import exits_with_code
from edge_sacro.commands.bundle import trust_from_options, trust_options

if TYPE_CHECKING:
    from edge_sacro.manifest import Precision


@click.group(short_help="Write a model repository for Triton.")
def triton() -> None:
    """Write a model repository for NVIDIA's Triton Inference Server."""


@triton.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="New folder to write.")
@click.option("--bundle", default="demonstration", show_default=True, help="Model bundle.")
@trust_options
@click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), help="[default: the bundle's]")
@click.option("--operating-point", metavar="NAME", help="One of the bundle's.  [default: the bundle's]")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Inside one inference.")
@click.option("--deadline", "deadline_s", type=click.FloatRange(0, min_open=True), help="Seconds of one image.")
@exits_with_code
def export(  # noqa: PLR0913, PLR0917 - one parameter an option
    out: Path,
    bundle: str,
    trust: tuple[str, ...],
    state: str | None,
    precision: Precision | None,
    operating_point: str | None,
    threads: int,
    deadline_s: float | None,
) -> None:
    """Write each network as a model of its own, and one model that takes DICOM and answers with the report."""
    from edge_sacro.bundle import load_bundle
    from edge_sacro.triton.repository import Serving, write_repository

    loaded = load_bundle(bundle, trust_from_options(trust, state))
    models = write_repository(loaded, out, Serving(precision, operating_point, threads, deadline_s))
    click.echo(f"{out}: {', '.join(models)}")
    click.echo(loaded.manifest.statement)
