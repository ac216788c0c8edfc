"""``python -m bench peers``: the runtime beside a PyTorch pipeline of the published shape."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code

OUT = Path("bench/results/peers.json")


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Of all contenders in turn.")
@click.option("--runs", default=1, show_default=True, type=click.IntRange(1), help="Timed assessments in a round.")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1), help="Of every contender.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder to keep bundles and image in.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path, dir_okay=False), help="JSON.")
@exits_with_code
def peers(rounds: int, runs: int, threads: int, keep: Path | None, out: Path) -> None:
    """Time the full-size anatomy-aware system beside PyTorch: same weights, same radiograph, in turn."""
    from bench.peers import measured, table_from_rows
    from bench.table import keep_rows

    def tell(line: str) -> None:
        click.echo(line, err=True)

    with ExitStack() as stack:
        work = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows = measured(work, rounds, runs, threads, tell)
    keep_rows(out, [row.as_dict() for row in rows])
    click.echo(table_from_rows(rows))
