"""Faults of the machine under a node: syncs that fail, a clock that jumps, a disk that is full."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHIM = Path(__file__).with_name("reliability_shim.c")


class NotHere(Exception):
    """This machine cannot make the fault; the message says why."""


@dataclass(frozen=True)
class Faults:
    """Switches of the preloaded library.

    Attributes:
        work: where it was built and its switches stand.
        environment: of a process that shall have the faults.
    """

    work: Path
    environment: dict[str, str]

    def fail_syncs(self, failing: bool) -> None:
        """Let every sync fail from now on, or none."""
        switch = self.work / "sync"
        if failing:
            switch.touch()
        else:
            switch.unlink(missing_ok=True)

    def set_clock(self, seconds: int) -> None:
        """Let the wall clock be off by so much."""
        other = self.work / "clock.part"
        other.write_text(str(seconds))
        other.replace(self.work / "clock")


def build_faults(work: Path) -> Faults:
    """Compile the library.

    Raises:
        NotHere: there is no compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NotHere("no C compiler is installed")
    work.mkdir(parents=True, exist_ok=True)
    library = work / "faults.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the system's compiler
    switches = {"EDGE_SACRO_FAULT_SYNC": str(work / "sync"), "EDGE_SACRO_FAULT_CLOCK": str(work / "clock")}
    return Faults(work, {"LD_PRELOAD": str(library), **switches})


@contextlib.contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system of a few megabytes in memory.

    Raises:
        NotHere: it may not be mounted here.
    """
    place.mkdir(parents=True, exist_ok=True)
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or unmount is None:
        raise NotHere("only root may mount a small disk")
    command = [mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603 - the system's mount
        raise NotHere("a small disk cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run([unmount, "-l", str(place)], check=False, capture_output=True)  # noqa: S603 - the system's
