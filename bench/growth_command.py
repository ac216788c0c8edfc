"""``python -m bench growth``: how the cost of an assessment grows."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sacro.commands import exits_with_code

if TYPE_CHECKING:
    from bench.growth import Axis

OUT = Path("bench/results/growth.json")


@click.command()
@click.option("--runs", default=5, show_default=True, type=click.IntRange(3), help="Of which the median is taken.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="But where threads grow.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path, dir_okay=False), help="JSON.")
@exits_with_code
def growth(runs: int, threads: int, out: Path) -> None:
    """Measure the bundle that ships on growing images, on more studies and with more threads; fit a power to each.

    The file keeps the load average before and after: on a machine that is not idle, exponents are those of its rest.
    """
    from bench.growth import SEED, by_size, by_studies, by_threads
    from bench.table import machine
    from edge_sacro.phantom import write_study

    def tell(line: str) -> None:
        click.echo(line, err=True)

    before = os.getloadavg()
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as work:
        write_study(Path(work) / "one", 1, SEED)
        (file,) = (Path(work) / "one").glob("*.dcm")
        axes = [
            by_size(Path(work), runs, threads, tell),
            by_studies(file, runs, threads, tell),
            by_threads(file, runs, cores, tell),
        ]
    record = {
        "machine": machine(),
        "cores": cores,
        "threads": threads,
        "runs": runs,
        "load_average": {"before": before, "after": os.getloadavg()},
        "axes": [each.as_dict() for each in axes],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n")
    for each in axes:
        click.echo(text_from_axis(each) + "\n")
    click.echo(
        f"load average: {before[0]:.2f} before, {os.getloadavg()[0]:.2f} after, {cores} processors; {out} written"
    )


def text_from_axis(each: Axis) -> str:
    """Two Markdown tables: medians by point, and the fits."""
    from bench.table import markdown

    stages = list(each.points[0].ms)
    points = [
        [
            point.told,
            *(f"{point.ms[stage]:.1f}" if stage in point.ms else "" for stage in stages),
            f"{point.spread:.2f}",
        ]
        for point in each.points
    ]
    fits = [
        [
            fit.stage,
            f"{fit.exponent:.2f}",
            "" if fit.error is None else f"{fit.error:.2f}",
            " ".join(f"{residual:.2f}" for residual in fit.residuals),
        ]
        for fit in each.fits
    ]
    heads = [each.name, *(f"{stage}, ms" for stage in stages), "largest by least total"]
    return "\n\n".join(
        [markdown(heads, points), markdown(["stage", "exponent", "standard error", "measured by fitted"], fits)]
    )
