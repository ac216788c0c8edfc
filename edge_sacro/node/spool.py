"""The files of the node: what was received and what was made of it, each written whole or not at all.

A file is acknowledged only after: its bytes are synced, it stands under its name, its folder is synced. Names come from
the content's SHA-256, never from what a peer sent. After a failed sync nothing is tried again: the kernel may have
dropped the bytes, so the node has to stop and to begin again from what is on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from types import TracebackType

from edge_sacro.errors import DiskFull, QueueFull, StorageFailed

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


class Spool:
    """The folder of the node's files, readable by its owner alone.

    Args:
        folder: made where absent.
        reserve: bytes to leave free on the disk: below them nothing is received, so that results still have room.

    Raises:
        StorageFailed: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, reserve: int) -> None:
        self.folder, self.reserve = folder, reserve
        self.incoming, self.instances, self.results = (folder / name for name in ("incoming", "instances", "results"))
        try:
            for each in (folder, self.incoming, self.instances, self.results):
                each.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            folder.chmod(PRIVATE_FOLDER)
        except OSError as error:
            raise StorageFailed(f"cannot be used as the node's folder: {error}", source=str(folder)) from error

    def free(self) -> int:
        """Bytes that an ordinary user may still write."""
        return shutil.disk_usage(self.folder).free

    def part(self) -> Part:
        """A new file to receive into.

        Raises:
            DiskFull: less than the reserve is free.
        """
        if self.free() < self.reserve:
            raise DiskFull(
                f"{self.free()} bytes are free and {self.reserve} are kept for results", source=str(self.folder)
            )
        return Part(self.incoming / f"{uuid.uuid4().hex}.part")

    def keep(self, part: Part, sha256: str) -> Path:
        """Put a complete part on stable storage under its hash, and return its name, relative to the folder."""
        part.seal()
        place = self.instances / sha256[:2] / f"{sha256}.dcm"
        with stopping(place):
            if not place.parent.exists():
                place.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
                sync_folder(self.instances)
            part.path.replace(place)
            sync_folder(place.parent)
        return place.relative_to(self.folder)

    def results_of(self, sequence: int) -> Path:
        """The folder of an instance's results, relative to the node's, whether it is there or not."""
        return Path(self.results.name) / f"{sequence:09d}"

    def write_results(self, sequence: int, files: Mapping[str, bytes]) -> Path:
        """Put the results of one instance on stable storage as one folder, whole or not at all.

        Args:
            sequence: the instance's number in the queue.
            files: content by name. What an earlier attempt left, which was never committed, is replaced.

        Returns:
            The folder, relative to the spool's.
        """
        place = self.folder / self.results_of(sequence)
        making = place.with_name(f"{place.name}.part")
        with stopping(place):
            for old in (place, making):
                if old.exists():
                    shutil.rmtree(old)
            making.mkdir(mode=PRIVATE_FOLDER)
            for name, content in files.items():
                write_synced(making / name, content)
            sync_folder(making)
            making.replace(place)
            sync_folder(self.results)
        return place.relative_to(self.folder)

    def path(self, relative: str | Path) -> Path:
        """Where a file of the queue stands."""
        return self.folder / relative

    def purge(self, relative: str | Path) -> None:
        """Remove a file or a folder of the queue; one that is gone already is no error."""
        place = self.folder / relative
        with stopping(place):
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    def sweep(self, known: Callable[[Path], bool]) -> list[Path]:
        """At the start: remove what was never acknowledged, and return what was removed, relative to the folder.

        Args:
            known: whether the queue knows a file or a folder of results.
        """
        found = [*self.incoming.iterdir(), *self.instances.glob("*/*"), *self.results.iterdir()]
        orphans = [each.relative_to(self.folder) for each in found if not known(each.relative_to(self.folder))]
        for orphan in orphans:
            self.purge(orphan)
        return orphans


class Part:
    """A file that is being received, removed unless it is kept. A context manager.

    Args:
        path: of the file, which must not exist.

    Raises:
        QueueFull: so many are open that the system gives no more.
        DiskFull, StorageFailed: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        try:
            with stopping(path):
                self._file = self._opened(path)
        except StorageFailed as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in {errno.EMFILE, errno.ENFILE}:
                raise QueueFull("no more files can be open", source=str(path)) from error
            raise

    @staticmethod
    def _opened(path: Path) -> FileIO:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb", buffering=0)

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, content: bytes | memoryview) -> None:
        """Append.

        Raises:
            DiskFull: there is no space.
            StorageFailed: any other failure.
        """
        with stopping(self.path):
            rest = memoryview(content)
            while rest:
                rest = rest[self._file.write(rest) :]
        self.size += len(content)

    def seal(self) -> None:
        """Sync the bytes and close the file.

        Raises:
            DiskFull, StorageFailed: the bytes are not on the disk, and never will be.
        """
        with stopping(self.path):
            os.fsync(self._file.fileno())
            self._file.close()


def write_synced(path: Path, content: bytes) -> None:
    """Write a new private file and sync it; its name is synced with its folder."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on stable storage."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def stopping(place: Path) -> Iterator[None]:
    """Turn an operating system's error into the node's own.

    Raises:
        DiskFull: there is no space, or no quota.
        StorageFailed: any other error.
    """
    try:
        yield
    except OSError as error:
        failure = DiskFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else StorageFailed
        raise failure(f"cannot be written: {error.strerror}", source=str(place)) from error
