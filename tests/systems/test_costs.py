"""The page's table of costs is that of the measurement that is kept beside the bench."""

from __future__ import annotations

import json
from typing import Any

from edge_sacro.systems import SYSTEMS
from tests.conftest import ROOT


def rows_of_measurement() -> dict[tuple[str, str], dict[str, Any]]:
    rows = json.loads((ROOT / "bench" / "results" / "systems.json").read_text())["rows"]
    return {(row["system"], row["precision"]): row for row in rows}


def line(system: str, fp32: dict[str, Any], int8: dict[str, Any]) -> str:
    networks = fp32["networks"].values()
    parameters = sum(each["parameters"] for each in networks) / 1e6
    flops = sum(each["gigaflops"] * each["runs"] for each in networks)
    megabytes, times, whole = (
        " / ".join(each)
        for each in (
            [f"{sum(network['megabytes'] for network in row['networks'].values()):.0f}" for row in (fp32, int8)],
            [f"{row['networks_ms']['least']:.0f}" for row in (fp32, int8)],
            [f"{row['assessment_ms']['least']:.0f}" for row in (fp32, int8)],
        )
    )
    found = int8["against_fp32"]
    decisions = found["with_probability"] * found["cut_offs"]
    flips = f"{found['flips_outside_guard_band'] + found['flips_inside_guard_band']} of {decisions}"
    difference = "none had one" if found["largest_difference"] is None else f"{found['largest_difference']:.4f}"
    cells = [f"`{system}`", f"{parameters:.1f}", f"{flops:.0f}", megabytes, times, whole, flips, difference]
    return "| " + " | ".join(cells) + " |"


def test_the_table_of_costs_is_what_was_measured() -> None:
    rows = rows_of_measurement()
    assert set(rows) == {(system, precision) for system in SYSTEMS for precision in ("fp32", "int8")}
    page = (ROOT / "docs" / "systems.md").read_text()
    for system in SYSTEMS:
        assert line(system, rows[system, "fp32"], rows[system, "int8"]) in page
    swapped = line("noh2021", rows["noh2021", "int8"], rows["bressem2021", "int8"])
    assert swapped not in page


def test_the_published_logits_are_met_in_fp32_and_told_in_int8() -> None:
    for (system, precision), row in rows_of_measurement().items():
        if not system.startswith("dorfner2024"):
            assert row["anchor"] is None
        elif precision == "fp32":
            assert row["anchor"] < 1e-4
        else:
            assert 0.01 < row["anchor"] < 0.2
