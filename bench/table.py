"""Tables of systems whose rows stay in a JSON file as they are made, so that a long run can go on where it stopped."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calibration.reader import versions
from edge_sacro.errors import UsageError
from edge_sacro.systems import SYSTEMS

CPU_INFO = Path("/proc/cpuinfo")


def asked_systems(asked: Sequence[str]) -> list[str]:
    """The systems that were asked for, in that order; all where none was.

    Raises:
        UsageError: there is no such system.
    """
    unknown = sorted(set(asked) - set(SYSTEMS))
    if unknown:
        raise UsageError(f"there are no systems {unknown}; there are {', '.join(SYSTEMS)}", source="--system")
    return list(asked) or sorted(SYSTEMS)


def rows_from_file(path: Path) -> list[dict[str, Any]]:
    """The rows that were kept; none where there is no file."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.is_file() else []
    return rows


def keep_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows with the machine and the versions that they were made with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "versions": versions(), "rows": list(rows)}
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def machine() -> str:
    """The processor, by the name that it gives itself where that can be read."""
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
