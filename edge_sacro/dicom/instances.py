"""Paths -> the files to read, in a stable order. Nothing that is left aside is left unsaid."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instance:
    """One file to be answered for.

    Attributes:
        path: the file.
        reason: why it is left aside, or None where it is to be read.
    """

    path: Path
    reason: str | None = None


def find_instances(paths: Iterable[str | os.PathLike[str]]) -> list[Instance]:
    """The files that these paths mean, each once, in the order of ``paths``.

    A file given by name is always to be read, so that ``read`` answers for it, missing or not. A folder is walked in
    the order of its paths' parts. A DICOMDIR given by name means its folder; its records are not followed, because
    they may point anywhere (CVE-2026-32711). A link that leads out of the folder is not followed.

    Returns:
        Each file that is to be read, and with a reason each that is left aside: a DICOMDIR, a file without the DICM
        preamble, an unreadable one, a link out of the folder.
    """
    found: dict[str, Instance] = {}
    for given in paths:
        path = Path(given)
        if path.name.upper() == "DICOMDIR" and path.is_file():
            path = path.parent
        for instance in _walked(path) if path.is_dir() else (Instance(path),):
            key = str(instance.path) if instance.reason else os.path.realpath(instance.path)
            if key not in found or (found[key].reason and not instance.reason):
                found[key] = instance
    return list(found.values())


def _walked(folder: Path) -> Iterator[Instance]:
    """Every file below a folder, sorted by the parts of its path."""
    top = folder.resolve()
    files: list[Path] = []
    for parent, folders, names in os.walk(folder, followlinks=False):
        linked = (name for name in folders if Path(parent, name).is_symlink())
        files += [Path(parent, name) for name in (*names, *linked)]
    for path in sorted(files, key=lambda each: each.parts):
        yield Instance(path, _reason_against(path, top))


def _reason_against(path: Path, top: Path) -> str | None:
    """Why a file found in a folder is not to be read, or None."""
    if path.is_symlink():
        if path.is_dir():
            return "a link to a folder; links to folders are not followed"
        if not path.resolve().is_relative_to(top):
            return "a link out of the folder"
    if path.name.upper() == "DICOMDIR":
        return "a DICOMDIR; the folder itself is read"
    if not path.is_file():
        return "no regular file"
    try:
        with path.open("rb") as stream:
            preamble = stream.read(132)
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    return None if preamble[128:] == b"DICM" else "no DICM preamble"
