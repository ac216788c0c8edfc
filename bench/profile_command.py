"""``python -m bench profile``: where the time of one full-size assessment goes, before and after."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code

OUT = Path("bench/results/profile.json")


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Of all variants in turn.")
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1), help="Timed assessments in a round.")
@click.option("--studies", default=100, show_default=True, type=click.IntRange(10), help="To see memory grow over.")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1), help="Of each process.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder to keep bundles and image in.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path, dir_okay=False), help="JSON.")
@exits_with_code
def profile(rounds: int, runs: int, studies: int, threads: int, keep: Path | None, out: Path) -> None:
    """Time each stage of the full-size anatomy-aware system, with compiled functions and without, and its memory."""
    from bench.profile import growth, tables_from_rows
    from bench.profile import profile as profiled
    from bench.table import keep_rows

    def tell(line: str) -> None:
        click.echo(line, err=True)

    with ExitStack() as stack:
        work = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows = profiled(work, rounds, runs, threads, tell)
        keep_rows(out, rows)
        tell(f"memory over {studies} studies")
        grown = growth(work, studies, threads)
    record = json.loads(out.read_text())
    out.write_text(json.dumps({**record, "memory": grown}, indent=1, sort_keys=True) + "\n")
    click.echo(tables_from_rows(rows))
    after = "{after_a_tenth_mb:.0f} MB after a tenth of {studies} studies, {after_all_mb:.0f} MB after all".format(
        **grown
    )
    click.echo(f"resident: {after}")
