"""A line of ``tegrastats``, as JetPack 5, 6 and 7 write it, and which of its rails add up to the board.

Formats: NVIDIA Jetson Linux Developer Guide, "tegrastats Utility": a rail's name, then its present and its average
power with their unit, ``VDD_IN 4022mW/4022mW``. JetPack 7.2 writes a third value; lines of a Thor with a single one are
about too. Rails are those of the boards' INA3221 and INA238 monitors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_RAIL = re.compile(r"(?<!\S)([A-Z][A-Z0-9_]*) (-?\d+)mW(?:/-?\d+mW){0,2}(?!\S)")

INPUTS = ("VDD_IN", "VIN")
"""Rails that feed everything else: the module's on Orin Nano, Orin NX and Xavier NX; the carrier board's on Thor."""

PARTS = ("VDD_GPU_SOC", "VDD_CPU_CV", "VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0")
"""Rails that add up to the module where no rail feeds it all: AGX Orin, and Thor without its board's monitor.
``VDDQ_VDD2_1V8AO`` is made from the 5 V rail and would be counted twice."""


def rails_from_line(line: str) -> dict[str, float]:
    """Present power in W of every rail that one line tells; empty where it tells none, as some do without root."""
    return {name: int(milliwatts) / 1e3 for name, milliwatts in _RAIL.findall(line)}


def total_from_rails(rails: Mapping[str, float]) -> tuple[float, str] | None:
    """Power in W of all that is measured and what that covers; None where no rail of a known board is among them."""
    for name in INPUTS:
        if name in rails:
            return rails[name], f"{'carrier board' if name == 'VIN' else 'module'}: {name}"
    parts = [name for name in PARTS if name in rails]
    if not {"VIN_SYS_5V0"} < set(parts):
        return None
    return sum(rails[name] for name in parts), f"module without the carrier board: {' + '.join(parts)}"
