"""A bundle's files in and out of a folder or a zip file. A file is written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edge_sacro.errors import BundleError, BundleFileCorrupt, BundleNotFound, OutputNotWritten

SIZE_LIMIT = 4 << 30
"""Bytes that a bundle may hold in all, unpacked; a bomb ends here."""

COUNT_LIMIT = 1000
"""Files that a bundle may hold."""

_PIECE = 4 << 20
"""Bytes of a file that are hashed at once; it is never in memory whole for that."""

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class Hashed(NamedTuple):
    """What a file was when it was checked: its SHA-256, hexadecimal, and its bytes' number."""

    sha256: str
    size: int


@dataclass(frozen=True, eq=False)
class BundleFiles(Mapping[str, bytes]):
    """A bundle's files by name. Each was hashed whole; a folder's are read when they are asked for, and hashed again.

    What is given has the hash that was taken: a file that has changed since is an error.

    Attributes:
        read: gives a file's bytes by its name.
        checked: what each file was.
        source: what to call the bundle in messages.
    """

    read: Callable[[str], bytes]
    checked: Mapping[str, Hashed]
    source: str

    def __getitem__(self, name: str) -> bytes:
        expected, source = self.checked[name], f"{self.source}: {name}"
        try:
            content = self.read(name)
        except OSError as error:
            raise BundleFileCorrupt(
                f"it was checked, and is unreadable now: {error.strerror}", source=source
            ) from error
        if _hashed(content) != expected:
            raise BundleFileCorrupt("it has changed since the bundle was checked", source=source)
        return content

    def __contains__(self, name: object) -> bool:
        return name in self.checked

    def __iter__(self) -> Iterator[str]:
        return iter(self.checked)

    def __len__(self) -> int:
        return len(self.checked)

    def without(self, names: Collection[str]) -> BundleFiles:
        """The other files."""
        kept = {name: checked for name, checked in self.checked.items() if name not in names}
        return BundleFiles(self.read, kept, self.source)


def files_from_path(place: Path, source: str) -> BundleFiles:
    """Hash every file of a folder or of a zip file.

    Args:
        place: where to read.
        source: what to call it in messages.

    Raises:
        BundleNotFound: there is neither.
        BundleFileCorrupt: it holds anything but plain files of different names, or too many, or too much.
        BundleError: it cannot be read.
    """
    try:
        if place.is_dir():
            return _files_of_folder(place, source)
        if place.is_file():
            return _files_of_zip(place, source)
    except OSError as error:
        raise BundleError(f"it cannot be read: {error.strerror}", source=str(error.filename or source)) from error
    raise BundleNotFound("no such folder or file", source=source)


def zip_from_files(files: Mapping[str, bytes]) -> bytes:
    """A bundle's zip file: the same files give the same bytes, on every machine and at any time.

    Files are stored, since what a compressor makes of them depends on its version, and weights do not shrink.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _FIRST_DAY)
            member.create_system = 3
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(member, files[name])
    return buffer.getvalue()


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put a file in the place of another, so that a crash leaves the one or the other and never a part.

    Raises:
        OutputNotWritten: the folder is absent or full, or may not be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OutputNotWritten(f"it cannot be written: {error.strerror}", source=str(path)) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise OutputNotWritten(f"it cannot be written: {error.strerror}", source=str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _files_of_folder(folder: Path, source: str) -> BundleFiles:
    entries = sorted(folder.iterdir())
    for entry in entries:
        if entry.is_symlink() or not entry.is_file():
            raise BundleFileCorrupt("a bundle holds plain files only", source=str(entry))
    _check_amount([entry.stat().st_size for entry in entries], str(folder))
    with ThreadPoolExecutor() as pool:
        checked = dict(zip([entry.name for entry in entries], pool.map(_hashed_file, entries), strict=True))
    return BundleFiles(lambda name: (folder / name).read_bytes(), checked, source)


def _hashed(content: bytes) -> Hashed:
    return Hashed(hashlib.sha256(content).hexdigest(), len(content))


def _hashed_file(path: Path) -> Hashed:
    digest, size, piece = hashlib.sha256(), 0, memoryview(bytearray(_PIECE))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            digest.update(piece[:count])
            size += count
    return Hashed(digest.hexdigest(), size)


def _files_of_zip(path: Path, source: str) -> BundleFiles:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, str(path))
            contents = {member.filename: archive.read(member) for member in members}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise BundleFileCorrupt(f"it is no readable zip file: {error}", source=str(path)) from error

    with ThreadPoolExecutor() as pool:
        checked = dict(zip(contents, pool.map(_hashed, contents.values()), strict=True))
    return BundleFiles(contents.__getitem__, checked, source)


def _check_members(members: list[zipfile.ZipInfo], path: str) -> None:
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise BundleFileCorrupt("the zip file holds a name twice", source=path)
    for member in members:
        if member.is_dir() or "/" in member.filename or "\\" in member.filename:
            raise BundleFileCorrupt(
                "a bundle's zip file holds plain files only, without folders", source=f"{path}: {member.filename}"
            )
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in {0, stat.S_IFREG}:
            raise BundleFileCorrupt("a bundle's zip file holds plain files only", source=f"{path}: {member.filename}")
        if member.compress_type not in _METHODS:
            raise BundleFileCorrupt("it is neither stored nor deflated", source=f"{path}: {member.filename}")
    _check_amount([member.file_size for member in members], path)


def _check_amount(sizes: list[int], path: str) -> None:
    if len(sizes) > COUNT_LIMIT:
        raise BundleFileCorrupt(f"it holds more than {COUNT_LIMIT} files", source=path)
    if sum(sizes) > SIZE_LIMIT:
        raise BundleFileCorrupt(f"it holds more than {SIZE_LIMIT} bytes", source=path)
