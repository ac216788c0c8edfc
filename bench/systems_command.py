"""``python -m bench systems``: the table of what every published system costs on this machine's CPU."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code

OUT = Path("bench/results/systems.json")


@click.command()
@click.option("--system", "names", multiple=True, metavar="NAME", help="Repeatable.  [default: all]")
@click.option("--images", default=5, show_default=True, type=click.IntRange(1), help="To compare decisions on.")
@click.option("--runs", default=10, show_default=True, type=click.IntRange(1), help="Timed assessments.")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1), help="Inside one inference.")
@click.option("--again", is_flag=True, help="Measure systems that have their rows already.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder to keep bundles and images in.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path, dir_okay=False), help="JSON.")
@exits_with_code
def systems(  # noqa: PLR0913, PLR0917 - one parameter an option
    names: tuple[str, ...], images: int, runs: int, threads: int, again: bool, keep: Path | None, out: Path
) -> None:
    """Measure every published system in FP32 and INT8 on the CPU, at full size with generated weights.

    Each row is written as it is made, and a system that has its rows is not measured again, so that a run that was
    stopped goes on where it was.
    """
    from bench.systems import PRECISIONS, Options, Row, rows_from_system, table_from_rows
    from bench.table import asked_systems, keep_rows, rows_from_file

    chosen = asked_systems(names)
    rows = {(row.system, row.precision): row for row in (Row(**each) for each in rows_from_file(out))}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) if keep is None else keep
        for system in chosen:
            if not again and all((system, precision) in rows for precision in PRECISIONS):
                continue
            options = Options(images, runs, threads)
            for row in rows_from_system(system, work, options, lambda line: click.echo(line, err=True)):
                rows[row.system, row.precision] = row
                rows = dict(sorted(rows.items()))
                keep_rows(out, [each.as_dict() for each in rows.values()])
            if keep is None:
                shutil.rmtree(work / system)  # ten systems take gigabytes
    click.echo(table_from_rows(list(rows.values())))
