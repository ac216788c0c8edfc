"""The libraries inside wheels, which package managers do not see: grafted ones, and what every extension needs."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any
from zipfile import ZipFile

from edge_sacro.kit.elf import library_from_bytes
from edge_sacro.kit.wheels import Wheel, normal_name

_SBOM = re.compile(r"[^/]+\.dist-info/sboms/[^/]+\.json")


@dataclass(frozen=True)
class Embedded:
    """A shared library in a wheel.

    Attributes:
        path: in the wheel.
        sha256, size: of the file.
        soname: its own name; None where it has none.
        needed: libraries that it loads which are not in the wheel: the system has to have them.
        grafted: it is another project's library and no extension of the package: it lies in a folder of such.
        version: of a grafted one, as far as its name tells; None elsewhere.
    """

    path: str
    sha256: str
    size: int
    soname: str | None
    needed: tuple[str, ...]
    grafted: bool
    version: str | None


def embedded_in_wheel(wheel: Wheel) -> list[Embedded]:
    """Every shared library of a wheel, by its path."""
    read = []
    with ZipFile(wheel.path) as archive:
        for name in sorted(archive.namelist()):
            with archive.open(name) as file:
                if file.read(4) != b"\x7fELF":  # no name tells: libcrypto.so.1.1.1k
                    continue
            content = archive.read(name)
            library = library_from_bytes(content)
            if library is not None:
                read.append((name, hashlib.sha256(content).hexdigest(), len(content), library))
    inside = {name.rpartition("/")[2] for name, *_ in read} | {each.soname for *_, each in read}
    return [
        Embedded(
            path=name,
            sha256=sha256,
            size=size,
            soname=library.soname,
            needed=tuple(each for each in library.needed if each not in inside),
            grafted=is_grafted(name),
            version=version_from_name(name.rpartition("/")[2]) if is_grafted(name) else None,
        )
        for name, sha256, size, library in read
    ]


def is_grafted(path: str) -> bool:
    """Whether a library of a wheel lies in a folder of others' libraries: auditwheel's ``*.libs``, or ``lib``."""
    folders = path.split("/")[:-1]
    return any(folder.endswith(".libs") or folder in {"lib", "libs", ".libs"} for folder in folders)


def name_from_library(file: str) -> str:
    """What a library is called without auditwheel's tag and version: ``libfoo-1a2b3c4d.so.1.2`` is ``libfoo``."""
    return re.sub(r"-[0-9a-f]{8}(?=[.-])", "", file.partition(".so")[0] + ".").rstrip(".")


def version_from_name(file: str) -> str | None:
    """The version in a library's name, where it has one."""
    stem, _, rest = file.partition(".so")
    if rest.strip("."):
        return rest.strip(".")
    found = re.search(r"-(\d+(?:\.\d+)+)$", stem)
    return found[1] if found else None


def stated_in_wheel(wheel: Wheel) -> list[dict[str, Any]]:
    """Components of the CycloneDX documents that a wheel brings along (PEP 770), other than the wheel itself."""
    found = []
    with ZipFile(wheel.path) as archive:
        for name in sorted(archive.namelist()):
            if not _SBOM.fullmatch(name):
                continue
            try:
                document = json.loads(archive.read(name))
            except ValueError:
                continue
            parts = document.get("components", ()) if isinstance(document, dict) else ()
            named = [each for each in parts if isinstance(each, dict) and isinstance(each.get("name"), str)]
            found += [each for each in named if normal_name(each["name"]) != wheel.name]
    return found
