"""``python deadly.py POINT ARGUMENT...``: an installation that is killed before its POINTth dangerous step.

Dangerous is every call that changes what is on the disk, and every program that is run. Exit code 0: it came to its
end.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_sacro.kit.installer import install, prefix, steps, unpack
from edge_sacro.kit.installer.main import main

POINTS = [
    *((Path, name) for name in ("mkdir", "replace", "symlink_to", "unlink", "write_bytes")),
    *((os, name) for name in ("sync", "fsync")),
    *((steps, name) for name in ("run", "hashes_of")),
    *((unpack, name) for name in ("_created",)),
    *((prefix.tempfile, name) for name in ("mkstemp", "mkdtemp")),
    (shutil, "rmtree"),
    (install, "write_new"),
]


def arm(point: int) -> None:
    """Have this process killed before its ``point``th dangerous step, from 0."""
    count = iter(range(1_000_000))

    def deadly(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            if next(count) == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*arguments, **named)

        return run

    for owner, name in POINTS:
        setattr(owner, name, deadly(getattr(owner, name)))


if __name__ == "__main__":
    arm(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
