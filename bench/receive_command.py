"""``python -m bench receive``: how fast the node receives, beside others."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from edge_sacro.commands import exits_with_code

OUT = Path("bench/results/receive.json")


@click.command()
@click.option("--instances", default=50, show_default=True, type=click.IntRange(1), help="In one round.")
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(1), help="Each server's turn comes so often."
)
@click.option("--clients", default=(1, 4), show_default=True, multiple=True, type=click.IntRange(1), help="At once.")
@click.option("--server", "servers", multiple=True, type=click.Choice(["edge_sacro", "storescp", "orthanc"]))
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="On the disk that is meant.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path, dir_okay=False), help="JSON.")
@exits_with_code
def receive(
    instances: int, rounds: int, clients: Sequence[int], servers: Sequence[str], folder: Path | None, out: Path
) -> None:
    """Send simulated radiographs of 14.4 MB to the node, to DCMTK's storescp and to Orthanc, in turn.

    The file keeps the load average before and after: on a machine that is not idle the figures are those of its rest.
    """
    from bench.receive import available, file_system, radiograph
    from bench.table import machine
    from edge_sacro.phantom import write_study

    before, names = os.getloadavg(), available(servers)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=folder) as work:
        write_study(Path(work) / "phantom", 1, 7)
        (phantom,) = (Path(work) / "phantom").glob("*.dcm")
        image = radiograph(Path(work), phantom)
        megabytes, kind = image.stat().st_size / 1e6, file_system(Path(work))
        for number in range(rounds):
            for name in names:
                for count in clients:
                    row = measured_once(name, Path(work), image, instances, count)
                    rows.append(row)
                    click.echo(f"round {number + 1}: {name}, {count} clients: {row['seconds']:.2f} s", err=True)
    record = {
        "machine": machine(),
        "cores": os.cpu_count(),
        "file_system": kind,
        "instances": instances,
        "megabytes": megabytes,
        "load_average": {"before": before, "after": os.getloadavg()},
        "rows": rows,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n")
    click.echo(text_from_record(record))
    click.echo(f"load average {before[0]:.2f} before, {os.getloadavg()[0]:.2f} after; {kind}; {out} written")


def measured_once(name: str, work: Path, image: Path, instances: int, clients: int) -> dict[str, Any]:
    """One round of one server, in a folder that is removed afterwards."""
    from bench.receive import SERVERS, association_ms, measured

    with tempfile.TemporaryDirectory(dir=work) as place, SERVERS[name](Path(place)) as server:
        taken = measured(server, Path(place), image, instances, clients)
        echo = association_ms(server, 5)
        return {"server": name, "synced": server.synced, "clients": clients, "echo_ms": echo, **taken._asdict()}


def text_from_record(record: dict[str, Any]) -> str:
    """A Markdown table of medians."""
    from bench.table import markdown

    rows, total = record["rows"], record["instances"] * record["megabytes"]
    table = []
    for name, clients in dict.fromkeys((row["server"], row["clients"]) for row in rows):
        own = [row for row in rows if (row["server"], row["clients"]) == (name, clients)]
        rivals = [row for row in rows if (row["server"], row["clients"]) == ("storescp", clients)]
        seconds = statistics.median(row["seconds"] for row in own)
        synced = statistics.median(row["synced_seconds"] for row in own)
        ratio = f"{statistics.median(row['seconds'] for row in rivals) / seconds:.2f}" if rivals else ""
        rival = f"{statistics.median(row['synced_seconds'] for row in rivals) / synced:.2f}" if rivals else ""
        table.append(
            [
                name,
                own[0]["synced"],
                str(clients),
                f"{total / seconds:.0f}",
                f"{total / synced:.0f}",
                ratio,
                rival,
                f"{max(row['peak_mb'] for row in own):.0f}",
                f"{statistics.median(row['echo_ms'] for row in own):.0f}",
            ]
        )
    heads = ["server", "synced", "clients", "MB/s", "MB/s with a sync at the end"]
    heads += ["to storescp", "to storescp, both synced", "peak MB", "C-ECHO ms"]
    return markdown(heads, table)
