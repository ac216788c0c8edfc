"""The compiled kernels that come with the package: which of them a driver takes, and what they were built from.

``kernels.fatbin`` holds machine code for the GPUs of ``manifest.json`` and PTX for later ones; it needs a driver of
CUDA 13. ``kernels.ptx`` is of CUDA 12.6, which a JetPack 6 has; its driver compiles it when it is first opened. No
compiler is needed on a device. Both are stored compressed by xz, as all targets together compress best.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_sacro.errors import BackendUnavailable, InternalError

SOURCES = Path(__file__).parent / "kernels"
BINARIES = Path(__file__).parent / "binaries"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Binary:
    """One compiled file.

    Attributes:
        name: of the file in ``BINARIES``, less its ``.xz``.
        driver: the lowest CUDA version of a driver that takes it, as cuDriverGetVersion gives it (12060 is 12.6).
    """

    name: str
    driver: int


CHOICES = (Binary("kernels.fatbin", 13000), Binary("kernels.ptx", 12060))
"""In the order in which they are preferred."""

LOWEST_CAPABILITY = (7, 5)


def source_hash(folder: Path = SOURCES) -> str:
    """SHA-256 over the kernels' files by name, hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.cu"), *folder.glob("*.h")]):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def manifest() -> dict[str, Any]:
    """What the binaries were built from and by, and the SHA-256 of each before it was compressed."""
    found: dict[str, Any] = json.loads((BINARIES / MANIFEST).read_text())
    return found


def content_of(binary: Binary) -> bytes:
    """A binary as a driver takes it.

    Raises:
        InternalError: it is not the one that was built.
    """
    try:
        content = lzma.decompress((BINARIES / f"{binary.name}.xz").read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise InternalError(f"{binary.name}: {error}", source="cuda", remedy="Install the package again.") from error
    if hashlib.sha256(content).hexdigest() != manifest()["files"][binary.name]:
        raise InternalError(f"{binary.name} is not what was built", source="cuda", remedy="Install the package again.")
    return content


def binary_for(driver: int, capability: tuple[int, int]) -> bytes:
    """The compiled kernels for a GPU.

    Args:
        driver: CUDA version of the driver, such as 13000.
        capability: the GPU's compute capability.

    Raises:
        BackendUnavailable: no binary is for this driver or this GPU.
        InternalError: a binary is not the one that was built.
    """
    if capability < LOWEST_CAPABILITY:
        raise BackendUnavailable(
            f"the GPU has compute capability {capability[0]}.{capability[1]}; the kernels need "
            f"{LOWEST_CAPABILITY[0]}.{LOWEST_CAPABILITY[1]}",
            source="cuda",
            remedy="Use a GPU of the Turing generation or later, or another backend.",
        )
    for choice in CHOICES:
        if driver >= choice.driver:
            return content_of(choice)
    raise BackendUnavailable(
        f"the driver has CUDA {driver // 1000}.{driver % 1000 // 10}; the kernels need 12.6",
        source="cuda",
        remedy="Update the driver, or use another backend.",
    )
