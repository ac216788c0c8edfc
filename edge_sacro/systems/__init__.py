"""The published systems. Each is one file that reads like its paper's method section, and one entry here.

Another one is added as ``docs/adding-a-system.md`` says; nothing else in the device knows a system by its name.
"""

from __future__ import annotations

from edge_sacro.systems import bressem2021, fu2024, noh2021, poddubnyy2020
from edge_sacro.systems.base import Assessment, System
from edge_sacro.systems.dorfner2024 import ANATOMY_AWARE, STANDARD

__all__ = ["SYSTEMS", "Assessment", "System"]

SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        noh2021.SYSTEM,
        bressem2021.SYSTEM,
        poddubnyy2020.SYSTEM,
        ANATOMY_AWARE,
        STANDARD,
        *fu2024.SYSTEMS,
    )
}
"""Every system by the name that a bundle's manifest gives."""
