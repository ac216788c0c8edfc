"""``python -m bench budgets``: each stage of the bundle that ships, held to a ratio to work measured beside it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import click

from edge_sacro.commands import exits_with_code

SEED = 976_000


@click.command()
@click.option("--profile", metavar="NAME", help="Device profile.  [default: this machine's processor]")
@click.option("--runs", default=15, show_default=True, type=click.IntRange(3), help="Rounds.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Inside a network.")
@click.option("--budgets", "table", type=click.Path(path_type=Path), help="Table.  [default: bench/budgets.toml]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the lines as JSON.")
@exits_with_code
def budgets(profile: str | None, runs: int, threads: int, table: Path | None, out: Path | None) -> None:
    """Hold each stage to its budget: its time by that of a fixed yardstick, in the same run, median over the rounds.

    Exit code 83: a ratio is above its budget, or a stage has no row. 2: no row of the profile is measured.
    """
    from bench.budgets import FILE, budgets_from_file, check, judged, samples, unjudged
    from edge_sacro.engine.profiles import processor_profile
    from edge_sacro.phantom import write_study

    rows = budgets_from_file(table or FILE)
    chosen = profile or processor_profile().name
    judged(rows, chosen, [])  # refuses a profile that nothing can be judged for before anything is measured
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder), 1, SEED)
        (file,) = Path(folder).glob("*.dcm")
        lines = judged(rows, chosen, samples(file, runs, threads))
    for line in lines:
        shown = "" if line.ratio is None else f"{line.stage_ms:.2f} ms, {line.ratio:g} times {line.yardstick!r}; "
        click.echo(f"{line.stage:10} {line.verdict:11} {shown}{line.why}")
    for reason, profiles in unjudged(rows).items():
        click.echo(f"not judged: {', '.join(profiles)}: {reason}")
    click.echo(f"load average before: {load[0]:.2f}; {runs} rounds, {threads} threads")
    if out is not None:
        from bench.table import machine

        record = {"profile": chosen, "runs": runs, "threads": threads, "machine": machine(), "load": load}
        out.write_text(json.dumps({**record, "lines": [line.__dict__ for line in lines]}, indent=1) + "\n")
    check(lines, chosen)
