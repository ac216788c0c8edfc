"""What kits are built for: processor, versions of Python and of the C library, by name."""

from __future__ import annotations

from dataclasses import dataclass

PYTHONS = ("3.10", "3.11", "3.12")
"""Versions that Edge-Sacro supports."""


@dataclass(frozen=True)
class Target:
    """A kind of machine.

    Attributes:
        name: as ``--target`` has it.
        machine: what ``uname -m`` says there.
        python: version that a kit is for where none is asked for.
        pythons: versions that it can be for.
        glibc_minor: of the least glibc 2.x that the machine has; wheels may need as much.
        system_site_packages: whether the installation sees the system's own packages.
    """

    name: str
    machine: str
    python: str
    pythons: tuple[str, ...] = PYTHONS
    glibc_minor: int = 28
    system_site_packages: bool = False

    @property
    def platforms(self) -> tuple[str, ...]:
        """Tags of wheels that work there (PEP 600), the newest first."""
        tags = tuple(f"manylinux_2_{minor}_{self.machine}" for minor in range(self.glibc_minor, 16, -1))
        return (*tags, f"manylinux2014_{self.machine}")


TARGETS = {
    target.name: target
    for target in (
        Target("x86_64", "x86_64", "3.11"),
        Target("aarch64", "aarch64", "3.11"),
        # TensorRT comes with JetPack and has no wheel, so the environment has to see the system's packages.
        Target("jetson-jp6", "aarch64", "3.10", ("3.10",), glibc_minor=35, system_site_packages=True),
    )
}
"""Every target by its name. JetPack 6 is Ubuntu 22.04: Python 3.10, glibc 2.35; 2.28 is that of Debian 10."""
