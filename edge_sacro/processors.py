"""How many processors this process may use, which on a shared machine is fewer than there are."""

from __future__ import annotations

import math
import os
from pathlib import Path

ROOT = Path("/")


def usable_processors(root: Path = ROOT) -> int:
    """Those of the process's affinity (taskset, cpusets), and no more than its control group grants; 1 at least.

    Args:
        root: where ``sys`` stands.
    """
    allowed = allowed_processors() or os.cpu_count() or 1
    granted = granted_processors(root)
    return allowed if granted is None else max(1, min(allowed, math.ceil(granted)))


def allowed_processors() -> int | None:
    """Those of the process's affinity; None where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def granted_processors(root: Path = ROOT) -> float | None:
    """Processors granted by control group v2 (``cpu.max``: microseconds of each period); None where none is set."""
    try:
        words = (root / "sys/fs/cgroup/cpu.max").read_text().split()
    except OSError:
        return None
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None
