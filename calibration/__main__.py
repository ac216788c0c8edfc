"""``python -m calibration``: measure what a bundle's numbers may vary by."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from calibration.guard_band import as_text, measure_guard_band, write_guard_band
from edge_sacro.bundle import load_bundle
from edge_sacro.phantom import PhantomOptions, write_study


@click.group()
def main() -> None:
    """Measure what a bundle's numbers may vary by."""


@main.command("guard-band")
@click.option("--bundle", required=True, type=click.Path(exists=True, file_okay=False), help="Folder of the bundle.")
@click.option("--phantoms", default=100, show_default=True, help="Simulated radiographs to measure on.")
@click.option("--seed", default=910_000, show_default=True, help="Seed of the radiographs, unseen in training.")
@click.option("--write", is_flag=True, help="Put the band into the bundle's manifest.")
def guard_band(bundle: str, phantoms: int, seed: int, write: bool) -> None:
    """Measure the half-width of the borderline range on simulated radiographs."""
    loaded = load_bundle(Path(bundle).resolve())
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder), phantoms, seed, PhantomOptions())
        measurement = measure_guard_band(loaded, sorted(Path(folder).glob("*.dcm")))
    click.echo(as_text(measurement))
    if write:
        click.echo(f"written to {write_guard_band(loaded, measurement, f'phantoms, seed {seed}')}")


if __name__ == "__main__":
    main()
