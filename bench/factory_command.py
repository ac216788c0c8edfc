"""``python -m bench factory``: the table of what the factory makes of every published system."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code

OUT = Path("bench/results/factory.json")


@click.command()
@click.option("--system", "systems", multiple=True, metavar="NAME", help="Repeatable.  [default: all]")
@click.option("--images", default=1, show_default=True, type=click.IntRange(1), help="To calibrate and to compare on.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path, dir_okay=False), help="JSON.")
@exits_with_code
def factory(systems: tuple[str, ...], images: int, out: Path) -> None:
    """Take every published system through export, INT8, FP16 and engines, at full size with generated weights.

    Rows of systems that are not asked for stay in the JSON as they were.
    """
    from bench.factory import Row, rows_from_system, table_from_rows
    from bench.table import asked_systems, keep_rows, rows_from_file

    chosen = asked_systems(systems)
    rows = [Row(**row) for row in rows_from_file(out)]
    with tempfile.TemporaryDirectory() as work:
        for system in chosen:
            made = rows_from_system(system, Path(work), images, lambda line: click.echo(line, err=True))
            rows = sorted(
                [row for row in rows if row.system != system] + made, key=lambda row: (row.system, row.network)
            )
            keep_rows(out, [row.as_dict() for row in rows])
    click.echo(table_from_rows(rows))
