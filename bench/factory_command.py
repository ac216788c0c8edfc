"""``python -m bench factory``: the table of what the factory makes of every published system."""

from __future__ import annotations

import json
import platform
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
    from calibration.reader import versions
    from edge_sacro.errors import UsageError
    from edge_sacro.systems import SYSTEMS

    unknown = sorted(set(systems) - set(SYSTEMS))
    if unknown:
        raise UsageError(f"there are no systems {unknown}; there are {', '.join(SYSTEMS)}", source="--system")
    rows: list[Row] = []
    if out.is_file():
        rows = [Row(**row) for row in json.loads(out.read_text())["rows"]]
    with tempfile.TemporaryDirectory() as work:
        for system in systems or sorted(SYSTEMS):
            made = rows_from_system(system, Path(work), images, lambda line: click.echo(line, err=True))
            rows = sorted(
                [row for row in rows if row.system != system] + made, key=lambda row: (row.system, row.network)
            )
            out.parent.mkdir(parents=True, exist_ok=True)
            record = {
                "machine": platform.processor() or platform.machine(),
                "versions": versions(),
                "rows": [row.as_dict() for row in rows],
            }
            out.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    click.echo(table_from_rows(rows))
