"""A kit's files out of its tar file or its unpacked folder, each held against the manifest while it is copied.

Nothing of the tar file's own words is followed: names, kinds and sizes have to be the manifest's, whose signature
was verified before, and each file is written anew where nothing stood.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from edge_sacro.errors import KitCorrupt, KitError
from edge_sacro.kit.installer.manifest import (
    MANIFEST_LIMIT,
    MANIFEST_NAME,
    SIGNATURE_NAME,
    Entry,
    KitManifest,
    is_safe_name,
)
from edge_sacro.kit.installer.signature import SIGNATURE_LIMIT

_CHUNK = 1 << 20

Member = tuple[str, "int | None", Callable[[], IO[bytes]]]
"""Name below the kit's folder, size where it is known, and what opens it."""


class Kit(Protocol):
    """Where a kit's bytes come from."""

    path: str

    def members(self) -> Iterator[Member]:
        """Every member, ``MANIFEST.json`` and its signature first."""
        ...


class TarKit:
    """A kit as one tar file: plain files alone, all below one folder."""

    def __init__(self, path: Path, archive: tarfile.TarFile) -> None:
        self.path = str(path)
        self._archive = archive

    def members(self) -> Iterator[Member]:
        """See :class:`Kit`.

        Raises:
            KitCorrupt: a member is anything but a plain file of a safe name below the one folder, or is there twice.
        """
        seen: set[str] = set()
        folder: str | None = None
        for member in self._archive:
            top, _, name = member.name.partition("/")
            folder = top if folder is None else folder
            if top != folder or not is_safe_name(f"{top}/{name}"):
                raise KitCorrupt("it is no name that a kit may hold", source=f"{self.path}: {member.name!r}")
            if member.type != tarfile.REGTYPE or member.issparse():
                raise KitCorrupt("a kit holds plain files only", source=f"{self.path}: {name}")
            if name in seen:
                raise KitCorrupt("it is there twice", source=f"{self.path}: {name}")
            seen.add(name)
            yield name, member.size, lambda member=member: self._open(member)  # type: ignore[misc]

    def _open(self, member: tarfile.TarInfo) -> IO[bytes]:
        file = self._archive.extractfile(member)
        if file is None:
            raise KitCorrupt("a kit holds plain files only", source=f"{self.path}: {member.name}")
        return file


class FolderKit:
    """A kit that was unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._folder = path

    def members(self) -> Iterator[Member]:
        """See :class:`Kit`.

        Raises:
            KitCorrupt: it holds anything but plain files and folders.
        """
        names = []
        for place, folders, files in os.walk(self._folder):
            for each in (*folders, *files):
                path = Path(place, each)
                kind = path.lstat().st_mode
                if not (stat.S_ISREG(kind) if each in files else stat.S_ISDIR(kind)):
                    raise KitCorrupt("a kit holds plain files only", source=str(path))
            names += [Path(place, each).relative_to(self._folder).as_posix() for each in files]
        first = [name for name in (MANIFEST_NAME, SIGNATURE_NAME) if name in names]
        for name in (*first, *sorted(set(names) - set(first))):
            yield name, None, lambda name=name: self._open(name)  # type: ignore[misc]

    def _open(self, name: str) -> IO[bytes]:
        return os.fdopen(os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


@contextmanager
def opened(path: Path) -> Iterator[Kit]:
    """A kit's tar file or unpacked folder.

    Raises:
        KitError: there is neither.
        KitCorrupt: the tar file is none, or ends too early.
    """
    try:
        if path.is_dir():
            yield FolderKit(path)
            return
        if not path.is_file():
            raise KitError("no such file or folder", source=str(path), remedy="Name the kit's tar file.")
        with tarfile.open(path, "r:") as archive:
            yield TarKit(path, archive)
    except (tarfile.TarError, EOFError) as error:
        raise KitCorrupt(f"it is no readable tar file: {error}", source=str(path)) from error
    except OSError as error:
        raise KitError(f"it cannot be read: {error.strerror}", source=str(error.filename or path)) from error


def read_head(kit: Kit) -> tuple[bytes, bytes | None]:
    """The bytes of the manifest and of its signature, None where there is none. Nothing is checked by that.

    Raises:
        KitCorrupt: the first member is no manifest.
    """
    members = kit.members()
    name, _, open_member = next(members, ("", None, lambda: None))
    if name != MANIFEST_NAME:
        raise KitCorrupt(f"its first member is not {MANIFEST_NAME}", source=kit.path)
    manifest = _read(open_member(), MANIFEST_LIMIT)  # type: ignore[arg-type]
    name, _, open_member = next(members, ("", None, lambda: None))
    if name != SIGNATURE_NAME:
        return manifest, None
    return manifest, _read(open_member(), SIGNATURE_LIMIT)  # type: ignore[arg-type]


def copy_verified(kit: Kit, manifest: KitManifest, target: Path | None) -> None:
    """Hold every member against the manifest, and write it below a folder that nobody else may write to.

    Args:
        kit: what to read.
        manifest: verified.
        target: an empty folder; None to look only.

    Raises:
        KitCorrupt: a file is absent, unlisted, or differs in size or SHA-256.
    """
    found = set()
    for name, size, open_member in kit.members():
        if name in {MANIFEST_NAME, SIGNATURE_NAME}:
            continue
        entry = manifest.files.get(name)
        if entry is None:
            raise KitCorrupt("the manifest does not list it", source=f"{kit.path}: {name}")
        if size is not None and size != entry.size:
            raise KitCorrupt(f"it has {size} bytes, the manifest says {entry.size}", source=f"{kit.path}: {name}")
        found.add(name)
        with open_member() as file:
            _copy(file, entry, None if target is None else target / name, f"{kit.path}: {name}")
    absent = sorted(set(manifest.files) - found)
    if absent:
        raise KitCorrupt(f"{len(absent)} files are absent, the first is {absent[0]}", source=kit.path)


def write_new(path: Path, content: bytes) -> None:
    """Write a file where nothing stood."""
    with _created(path) as file:
        file.write(content)


def _copy(file: IO[bytes], entry: Entry, target: Path | None, source: str) -> None:
    digest, size = hashlib.sha256(), 0
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
    out = None if target is None else _created(target)
    try:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > entry.size:
                break
            digest.update(chunk)
            if out is not None:
                out.write(chunk)
    finally:
        if out is not None:
            out.close()
    if size != entry.size or digest.hexdigest() != entry.sha256:
        raise KitCorrupt("it is not the file that the manifest lists: other size or SHA-256", source=source)


def _created(path: Path) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o644), "wb")


def _read(file: IO[bytes], limit: int) -> bytes:
    with file:
        return file.read(limit + 1)
