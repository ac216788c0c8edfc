"""The C interface: a header, a shared library, and the process that it starts (docs/embedding.md).

The library holds no Python. It starts ``edge_sacro.embed.worker`` in an interpreter that the console names, and speaks
to it over a socket, so that a crash, a leak or a hang of the runtime never touches the console's process.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from pathlib import Path

from edge_sacro.errors import BackendUnavailable, InternalError

FOLDER = Path(__file__).parent
HEADER = FOLDER / "edge_sacro.h"
BINARIES = FOLDER / "binaries"
MACHINES = ("x86_64", "aarch64")


def library() -> Path:
    """The shared library for this machine, ``libedge_sacro.so``.

    Raises:
        BackendUnavailable: none was built for it.
        InternalError: it is not the one that came with the package.
    """
    machine = platform.machine()
    path = BINARIES / machine / "libedge_sacro.so"
    if sys.platform != "linux" or machine not in MACHINES:
        raise BackendUnavailable(
            f"the C library is built for Linux on {' and '.join(MACHINES)}, not for {sys.platform} on {machine}",
            source="embed",
            remedy="Use the Python or the HTTP interface (docs/embedding.md).",
        )
    known = json.loads((BINARIES / "manifest.json").read_text())["files"]
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != known[f"{machine}/{path.name}"]:
        raise InternalError(f"{path} is not what was built", source="embed", remedy="Install the package again.")
    return path


def sources() -> list[Path]:
    """The library's sources, the header among them, by name."""
    return sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.h")])
