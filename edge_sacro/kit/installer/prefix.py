"""Where releases stand: one folder each, ``current`` as a link that is exchanged at once, and what came before.

::

    PREFIX/current -> releases/1.0.0-0-0123456789ab    exchanged by one rename
    PREFIX/bin/edge-sacro -> ../current/venv/bin/edge-sacro
    PREFIX/highest.json                                the latest release that was ever put into service here
    PREFIX/releases/1.0.0-0-0123456789ab/
        release.json     written last: without it the folder is a leftover of an installation that did not end
        kit/             the kit's files as they were signed, the wheels apart
        venv/            the Python environment
        files.json       SHA-256 of every file of the two
        selftest/        the report of the installation check
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_sacro.errors import KitError, KitNotInstalled, KitRolledBack
from edge_sacro.kit.installer.manifest import KitManifest, Order

RELEASES, BIN, CURRENT, RECORD, HIGHEST = "releases", "bin", "current", "release.json", "highest.json"
LOCK = ".lock"

_PLAIN = re.compile(r"/[A-Za-z0-9._+/-]+")
_RELEASE = re.compile(r"[0-9][A-Za-z0-9.]*-\d+-[0-9a-f]{12}(\.\d+)?")


@dataclass(frozen=True)
class Release:
    """What is known of an installed release.

    Attributes:
        name: of its folder.
        version, sequence, target: of the kit.
        order: its place among releases.
        manifest_sha256: of the kit.
        signed_by: identifier of the key that its signature was verified with; None where it was installed unsigned.
        previous: name of the release that served before it; None where none did.
        installed: when, in UTC.
    """

    name: str
    version: str
    sequence: int
    target: str
    order: Order
    manifest_sha256: str
    signed_by: str | None
    previous: str | None
    installed: str


class Prefix:
    """The folder of an installation.

    Args:
        path: made where it is absent. It has to be ours, and no one else may be able to write to it or above it.

    Raises:
        KitError: it is not so.
    """

    def __init__(self, path: Path) -> None:
        try:
            path = path.expanduser().absolute()
            if not _PLAIN.fullmatch(str(path)):
                raise KitError("it stands in scripts and units, which want plain characters alone", source=str(path))
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            if not path.is_symlink():
                path.mkdir(exist_ok=True, mode=0o755)
            self.path = path
            _check_ours(path)
            for part in (RELEASES, BIN):
                if not (path / part).is_symlink():
                    (path / part).mkdir(exist_ok=True, mode=0o755)
                _check_folder(path / part)
        except OSError as error:
            raise KitError(
                f"the folder cannot be made: {error.strerror}", source=str(error.filename or path)
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other installations off it; what an interrupted one left behind is removed first.

        Raises:
            KitError: another one is at work.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            file = os.fdopen(os.open(self.path / LOCK, flags, 0o600), "wb")
        except OSError as error:
            raise KitError(f"it cannot be opened: {error.strerror}", source=str(self.path / LOCK)) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise KitError(
                    "another installation is at work", source=str(self.path), remedy="Wait until it has ended."
                ) from error
            self._remove_leftovers()
            yield

    def releases(self) -> list[Release]:
        """Every release that was installed to its end, the earliest first."""
        found = [release for each in (self.path / RELEASES).iterdir() if (release := self._record(each.name))]
        return sorted(found, key=lambda release: (release.installed, release.name))

    def current(self) -> Release | None:
        """The release that serves; None where none does.

        Raises:
            KitError: ``current`` is no link of ours.
        """
        link = self.path / CURRENT
        if not os.path.lexists(link):
            return None
        target = str(link.readlink()) if link.is_symlink() else ""
        folder, _, name = target.partition("/")
        record = self._record(name) if folder == RELEASES else None
        if record is None:
            raise KitError(
                f"it is no link to a release below {self.path}",
                source=str(link),
                remedy="Find out who changed it; point it at one of the folders in releases/ that holds release.json.",
            )
        return record

    def new_name(self, manifest: KitManifest) -> str:
        """What a release is to be called: a name that nothing has."""
        name, number = manifest.release, 1
        while os.path.lexists(self.path / RELEASES / name):
            number += 1
            name = f"{manifest.release}.{number}"
        return name

    def check_order(self, manifest: KitManifest) -> None:
        """Refuse a kit older than the latest that ever served here.

        Raises:
            KitRolledBack: it is.
        """
        highest = self.highest()
        if highest is not None and manifest.order < highest:
            raise KitRolledBack(
                f"it is {manifest.version}, sequence {manifest.sequence}, and a later one was installed here "
                f"({'.'.join(map(str, highest[:3]))}, sequence {highest[-1]})",
                source=str(self.path / HIGHEST),
            )

    def highest(self) -> Order | None:
        """The place in the order of the latest release that ever served here.

        Raises:
            KitError: the file is damaged; it is never begun anew over that.
        """
        try:
            found = json.loads((self.path / HIGHEST).read_bytes())
            order = tuple(found["order"])
            if len(order) != 6 or not all(type(each) is int for each in order):
                raise ValueError("no order")
        except FileNotFoundError:
            return max((each.order for each in self.releases()), default=None)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise KitError(
                f"the memory of the latest release cannot be read: {error}",
                source=str(self.path / HIGHEST),
                remedy="Restore it from a copy, or remove it: the releases that are installed then say it.",
            ) from error
        return order

    def complete(self, release: Release) -> None:
        """Note that a release is whole, and raise the memory of the latest one."""
        folder = self.path / RELEASES / release.name
        highest = max(release.order, self.highest() or release.order)
        os.sync()
        self._write(folder / RECORD, asdict(release))
        self._write(self.path / HIGHEST, {"order": highest})

    def switch(self, name: str) -> None:
        """Let another release serve, at once: whoever looks finds the one or the other.

        Raises:
            KitError: there is no such release, or the link cannot be exchanged.
        """
        if self._record(name) is None:
            raise KitError("there is no such release", source=name)
        self.current()
        self._link(self.path / CURRENT, f"{RELEASES}/{name}")
        self._link(self.path / BIN / "edge-sacro", "../current/venv/bin/edge-sacro")

    def prune(self) -> list[str]:
        """Remove every release but the one that serves and the one before it; their names."""
        current = self.current()
        if current is None:
            return []
        kept = {current.name, current.previous}
        removed = [each.name for each in self.releases() if each.name not in kept]
        for name in removed:
            self.remove(name)
        return removed

    def remove(self, name: str) -> None:
        """Remove a release's folder, its record first, so that a part of it is never taken for the whole."""
        folder = self.path / RELEASES / name
        (folder / RECORD).unlink(missing_ok=True)
        shutil.rmtree(folder)

    def _record(self, name: str) -> Release | None:
        """A release's record; None where the folder is no whole release."""
        folder = self.path / RELEASES / name
        if not _RELEASE.fullmatch(name) or folder.is_symlink():
            return None
        try:
            found = json.loads((folder / RECORD).read_bytes())
            release = Release(**{**found, "order": tuple(found["order"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return release if release.name == name else None

    def _remove_leftovers(self) -> None:
        current = self.current()
        for each in (self.path / RELEASES).iterdir():
            if self._record(each.name) is None and (current is None or each.name != current.name):
                shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        for each in (*self.path.glob(".new-*"), *(self.path / BIN).glob(".new-*")):
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()

    def _write(self, path: Path, content: object) -> None:
        """Put a file in the place of another, at once."""
        handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(content, sort_keys=True, indent=1).encode() + b"\n")
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(path)
        _sync(path.parent)

    def _link(self, link: Path, target: str) -> None:
        if os.path.lexists(link) and not link.is_symlink():
            raise KitError("something that is no link stands there", source=str(link))
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=link.parent))
        try:
            (folder / "link").symlink_to(target)
            (folder / "link").replace(link)
        except OSError as error:
            raise KitNotInstalled(f"the link cannot be exchanged: {error.strerror}", source=str(link)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _sync(link.parent)


def _check_ours(path: Path) -> None:
    """A folder of ours to which nobody else may write, nor exchange one of the folders above it."""
    _check_folder(path)
    for parent in path.parents:
        found = parent.stat()
        if found.st_uid not in {0, os.geteuid()} or (found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX):
            raise KitError(f"others may write to {parent}, and so put something else in its place", source=str(path))


def _check_folder(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise KitError("it is no folder, or a link to one", source=str(path))
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise KitError(
            "it is another user's, or others may write to it", source=str(path), remedy="Name a folder of your own."
        )


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
