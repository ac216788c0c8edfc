"""Where the time of one assessment goes, and what two things that no stage shows save.

In turn, each in a process of its own: as the command line runs; with NumPy's functions in the place of the compiled
ones; and with freed memory given back to the system. Of two bundles: the full-size anatomy-aware system in the way in
which its networks take least, so that what is no network weighs most, and the demonstration bundle. Many studies in a
row show whether memory grows.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers import contenders, radiograph, run, task
from bench.table import markdown
from edge_sacro.bundle import DEMONSTRATION

FULL, SMALL = "openvino int8, one pass", "onnxruntime fp32, demonstration bundle"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "as it runs": (),
    "NumPy's functions": ("--numpy",),
    "memory given back": ("--given-back",),
}
NETWORKS, TOTAL, OTHER = "networks", "total", "all but networks"


def profile(work: Path, rounds: int, runs: int, threads: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Milliseconds by stage, a row for each bundle and variant; medians over all runs.

    Args:
        work: as for ``bench.peers.measured``.
        rounds: of all variants in turn.
        runs: timed assessments of a variant in a round, in one process.
        threads: of each.
        tell: is given a line for each step.
    """
    rows = []
    for way, arguments in _ways(work, threads, tell).items():
        found: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
        for number in range(rounds):
            for name, options in VARIANTS.items():
                record = run([*arguments, *options], (f"--runs={runs}",))
                stages = [_stages(*each) for each in zip(record["stages_ms"], record["networks_s"], strict=True)]
                found[name] += stages
                tell(f"round {number + 1}: {way}: {name}: {_median(stages, TOTAL):.0f} ms")
        rows += [
            {
                "way": way,
                "name": name,
                "runs": len(taken),
                "ms": {key: round(_median(taken, key), 1) for key in taken[0]},
            }
            for name, taken in found.items()
        ]
    return rows


def growth(work: Path, studies: int, threads: int) -> dict[str, Any]:
    """Resident memory in MB, decoding process included, after a tenth of so many full-size studies and after all."""
    arguments = _ways(work, threads, lambda _: None)[FULL]
    resident = run(arguments, (f"--runs={studies}",))["resident_mb"]
    return {"studies": studies, "after_a_tenth_mb": resident[max(studies // 10, 1) - 1], "after_all_mb": resident[-1]}


def tables_from_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Stages by variants, a Markdown table for each bundle."""
    tables = []
    for way in dict.fromkeys(str(row["way"]) for row in rows):
        of_it = [row for row in rows if row["way"] == way]
        heads = [f"{way}, ms", *(str(row["name"]) for row in of_it)]
        tables.append(
            markdown(heads, [[each, *(f"{row['ms'][each]:.1f}" for row in of_it)] for each in of_it[0]["ms"]])
        )
    return "\n\n".join(tables)


def _ways(work: Path, threads: int, tell: Callable[[str], None]) -> dict[str, list[str]]:
    """Arguments of ``bench.peer_run`` for each bundle."""
    (full,) = (each for each in contenders(work, tell) if each.name == FULL)
    small = ["ours", "--bundle", DEMONSTRATION, f"--threads={threads}", str(radiograph(work))]
    return {FULL: [*full.arguments, *task(work, threads)], SMALL: small}


def _stages(stages_ms: Mapping[str, float], networks_s: float) -> dict[str, float]:
    networks = 1e3 * networks_s
    return {**stages_ms, NETWORKS: networks, OTHER: stages_ms[TOTAL] - networks}


def _median(rows: Sequence[Mapping[str, float]], key: str) -> float:
    return statistics.median(row[key] for row in rows)
