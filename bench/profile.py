"""Where the time of one full-size assessment goes, and what each of three things that no stage shows saves.

In turn, each in a process of its own: as the command line runs; with NumPy's functions in the place of the compiled
ones; and with freed memory given back to the system. The same assessment goes on for many studies in the end, so that
memory that grew would show.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers import contenders, run, task
from bench.table import markdown

WAY = "openvino int8, one pass"
"""The contender whose networks take least, so that what is no network weighs most."""

VARIANTS: Mapping[str, tuple[str, ...]] = {
    "as it runs": (),
    "NumPy's functions": ("--numpy",),
    "memory given back": ("--given-back",),
}
NETWORKS, TOTAL, OTHER = "networks", "total", "all but networks"


def profile(work: Path, rounds: int, runs: int, threads: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Milliseconds by stage, a row for each variant; medians over all runs.

    Args:
        work: as for ``bench.peers.measured``.
        rounds: of all variants in turn.
        runs: timed assessments of a variant in a round, in one process.
        threads: of each.
        tell: is given a line for each step.
    """
    (way,) = (each for each in contenders(work, tell) if each.name == WAY)
    given = (f"--runs={runs}", *task(work, threads))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    for number in range(rounds):
        for name, options in VARIANTS.items():
            record = run([*way.arguments, *options], given)
            rows = [_stages(*each) for each in zip(record["stages_ms"], record["networks_s"], strict=True)]
            found[name] += rows
            tell(f"round {number + 1}: {name}: {statistics.median(row[TOTAL] for row in rows):.0f} ms")
    return [
        {"name": name, "runs": len(rows), "ms": {key: round(_median(rows, key), 1) for key in rows[0]}}
        for name, rows in found.items()
    ]


def growth(work: Path, studies: int, threads: int) -> dict[str, Any]:
    """Resident memory in MB of one process after a tenth of so many studies and after all of them."""
    (way,) = (each for each in contenders(work, lambda _: None) if each.name == WAY)
    resident = run(way.arguments, (f"--runs={studies}", *task(work, threads)))["resident_mb"]
    return {"studies": studies, "after_a_tenth_mb": resident[max(studies // 10, 1) - 1], "after_all_mb": resident[-1]}


def table_from_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Stages by variants as a Markdown table, with what each variant costs beside the first."""
    heads = ["ms", *(str(row["name"]) for row in rows)]
    lines = [[stage, *(f"{row['ms'][stage]:.1f}" for row in rows)] for stage in rows[0]["ms"]]
    return markdown(heads, lines)


def _stages(stages_ms: Mapping[str, float], networks_s: float) -> dict[str, float]:
    networks = 1e3 * networks_s
    return {**stages_ms, NETWORKS: networks, OTHER: stages_ms[TOTAL] - networks}


def _median(rows: Sequence[Mapping[str, float]], key: str) -> float:
    return statistics.median(row[key] for row in rows)
