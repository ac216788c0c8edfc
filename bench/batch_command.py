"""``python -m bench batch``: how batches grow with workers, and what a killed node costs."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code

OUT = Path("bench/results/batch.json")


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--bundle", default="demonstration", show_default=True, help="Model bundle.")
@click.option(
    "--count", default=24, show_default=True, type=click.IntRange(2), help="Phantoms, where no path is given."
)
@click.option("--workers", default="1,2,4", show_default=True, metavar="N,N", help="To measure with; '' for none.")
@click.option("--waiting", default="", metavar="N,N", help="Workers that wait 0.2 s in place of computing.")
@click.option("--kill-at", type=click.FloatRange(0, 1), metavar="PART", help="Two Ray nodes; one is killed there.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path, dir_okay=False), help="JSON.")
@exits_with_code
def batch(  # noqa: PLR0913, PLR0917 - one parameter an option
    paths: tuple[str, ...], bundle: str, count: int, workers: str, waiting: str, kill_at: float | None, out: Path
) -> None:
    """Measure batches of files, or of phantoms: instances a second against workers, each of one thread.

    With --kill-at also one batch on two Ray nodes of this machine, of which one is killed; every row is checked.
    """
    from bench.batch import driver_alone, killed, records, throughput
    from bench.table import machine, markdown
    from edge_sacro.bundle import load_bundle
    from edge_sacro.phantom import write_study

    def tell(line: str) -> None:
        click.echo(line, err=True)

    loaded = load_bundle(bundle)
    numbers, waits = ([int(each) for each in told.split(",") if each.strip()] for told in (workers, waiting))
    with tempfile.TemporaryDirectory(prefix="edge-sacro-batch-") as made:
        work = Path(made)
        if not paths:
            write_study(work / "in", count, 978_000)
            paths = (str(work / "in"),)
        before = os.getloadavg()[0]
        points = throughput(paths, loaded, numbers, work, tell)
        waited = driver_alone(paths, loaded, waits, work, tell)
        record = {
            "machine": machine(),
            "cores": os.cpu_count(),
            "load_average_before": before,
            "points": records(points),
            "waiting": records(waited),
            "killed": None if kill_at is None else killed(paths, loaded, kill_at, work, tell),
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    rows = [
        [str(each.workers), f"{each.per_second:.2f}", f"{each.steady_per_second:.2f}", f"{each.load_average:.1f}"]
        for each in (*points, *waited)
    ]
    click.echo(markdown(["workers", "instances a second", "once all are ready", "load average"], rows))
    click.echo(f"{out} written")
