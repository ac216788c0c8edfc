"""The work folder: every answer as soon as there is one, in files that are only ever appended to.

A line is the CRC-32 of its text and the text, JSON. Each run appends to a part of its own. The end of a part that was
cut off by a crash is left out; its instances are assessed again.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_sacro.batch.tasks import Row, Task
from edge_sacro.bundle_files import write_atomically
from edge_sacro.errors import BatchError, BatchMismatch, OutputNotWritten

JOB, LOCK = "job.json", "lock"
UNREAD = "path:"
"""Begins the key of an instance of which no bytes could be read; each run tries it anew."""

SYNC_S = 1.0
"""Seconds of answers that a loss of power may cost; the end of this process alone costs none."""

Place = tuple[int, int, int]
"""Part, offset and length of a line."""


@dataclass
class Known:
    """What the parts hold, without the rows.

    Attributes:
        items: by path or address: its stamp, and the key of its rows.
        rows: by key: where they stand.
        set_aside: keys whose rows say so.
    """

    items: dict[str, tuple[tuple[int, int] | None, str]] = field(default_factory=dict)
    rows: dict[str, Place] = field(default_factory=dict)
    set_aside: set[str] = field(default_factory=set)


class Checkpoint:
    """An open work folder, which no other process may use meanwhile.

    Args:
        folder: made where it is absent.
        identity: what all answers in it must share; see ``Recipe.identity``.
        again: forget which instances were set aside, so that they are tried again.

    Raises:
        BatchMismatch: it holds the answers of another bundle, operating point, precision or version.
        BatchError: another process uses it, or a line in the middle of a part is damaged.
        OutputNotWritten: it cannot be written.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], *, again: bool = False) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _not_written(folder, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise BatchError("another batch uses this work folder now", source=str(folder)) from error
        try:
            self._identity = self._held(identity)
            self.known = Known()
            numbers = sorted(int(path.stem[5:]) for path in folder.glob("part-*.jsonl"))
            for number in numbers:
                self._read(number)
            self._forget(again)
            self._part = numbers[-1] + 1 if numbers else 1
            self._file = os.open(self._path(self._part), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            os.close(self._lock)
            raise _not_written(folder, error) from error
        except BaseException:
            os.close(self._lock)
            raise
        self._at, self._synced = 0, time.monotonic()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check_backend(self, backend: dict[str, str]) -> None:
        """Hold what the workers run to what the folder's answers were made with; remember it where it is empty.

        Raises:
            BatchMismatch: it is another backend or another version of it.
        """
        held = self._identity.get("ran")
        if held is None:
            self._identity["ran"] = backend
            write_atomically(self.folder / JOB, _canonical(self._identity))
        elif held != backend:
            raise BatchMismatch(f"it holds answers of {held}, and the workers run {backend}", source=str(self.folder))

    def has(self, label: str, stamp: tuple[int, int] | None) -> bool:
        """Whether this file, unchanged, has been answered."""
        known = self.known.items.get(label)
        return known is not None and known[0] == stamp and known[1] in self.known.rows

    def has_rows(self, sha256: str | None) -> bool:
        """Whether these bytes have been answered, under whatever path."""
        return sha256 is not None and sha256 in self.known.rows

    def add(self, task: Task, rows: Sequence[Row], told: dict[str, Any], *, set_aside: bool = False) -> bool:
        """Keep the answer to a task; False where its bytes had one already, so that only its path was noted.

        Args:
            task: with the hash of what was assessed.
            rows: one a frame.
            told: what differs from run to run: timings, the worker.
            set_aside: no worker could answer it.

        Raises:
            OutputNotWritten: there is no room, or the folder cannot be written.
        """
        key = key_of(task.label, task.sha256)
        new = key not in self.known.rows
        line: dict[str, Any] = {"item": task.label, "stamp": task.stamp, "key": key}
        if new:
            line |= {"rows": list(rows), "told": told, "set_aside": set_aside}
        place = self._append(line)
        self._note(line, place)
        return new

    def rows(self, key: str) -> tuple[list[Row], dict[str, Any]]:
        """The rows of a key, and what was told with them."""
        part, offset, length = self.known.rows[key]
        with self._path(part).open("rb") as file:
            file.seek(offset)
            line = _parsed(file.read(length))
        if line is None:
            raise BatchError("it was changed while it was in use", source=str(self._path(part)))
        return line["rows"], line["told"]

    def sync(self) -> None:
        """Put everything on stable storage."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _not_written(self.folder, error) from error
        self._synced = time.monotonic()

    def close(self) -> None:
        """Let go of the folder; what was added stays."""
        try:
            self.sync()
        finally:
            os.close(self._file)
            if not self._at:
                self._path(self._part).unlink(missing_ok=True)
            os.close(self._lock)

    def _held(self, identity: dict[str, Any]) -> dict[str, Any]:
        """The folder's identity, which must be this one."""
        path = self.folder / JOB
        if not path.exists():
            write_atomically(path, _canonical(identity))
            return dict(identity)
        try:
            held: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as error:
            raise BatchError("it is no record of a batch", source=str(path)) from error
        other = sorted(
            key for key in {*held, *identity} - {"ran"} if held.get(key) != json.loads(_canonical(identity)).get(key)
        )
        if other:
            told = "; ".join(f"{key}: {held.get(key)} there, {identity.get(key)} here" for key in other)
            raise BatchMismatch(f"it holds the answers of another batch ({told})", source=str(self.folder))
        return held

    def _read(self, number: int) -> None:
        path = self._path(number)
        offset = 0
        with path.open("rb") as file:
            for raw in file:
                line = _parsed(raw)
                if line is None:
                    if file.read(1):
                        raise BatchError(f"the line at byte {offset} is damaged", source=str(path))
                    return  # cut off by a crash
                self._note(line, (number, offset, len(raw)))
                offset += len(raw)

    def _note(self, line: dict[str, Any], place: Place) -> None:
        stamp = None if line["stamp"] is None else (line["stamp"][0], line["stamp"][1])
        key = line["key"]
        self.known.items[line["item"]] = (stamp, key)
        if "rows" not in line:
            return
        if key not in self.known.rows or key in self.known.set_aside:
            self.known.rows[key] = place
            self.known.set_aside.discard(key)
            if line["set_aside"]:
                self.known.set_aside.add(key)

    def _forget(self, again: bool) -> None:
        """What is worth another try: files that could not be read, and on demand what was set aside."""
        for key in [key for key in self.known.rows if key.startswith(UNREAD)]:
            del self.known.rows[key]
        if again:
            for key in self.known.set_aside & self.known.rows.keys():
                del self.known.rows[key]
        self.known.set_aside &= self.known.rows.keys()

    def _append(self, line: dict[str, Any]) -> Place:
        raw = _written(line)
        done = 0
        try:
            while done < len(raw):
                done += os.write(self._file, raw[done:])
            if time.monotonic() - self._synced > SYNC_S:
                self.sync()
        except OSError as error:
            # a part of a line must not stand before the next one
            os.ftruncate(self._file, self._at)
            os.lseek(self._file, self._at, os.SEEK_SET)
            raise _not_written(self.folder, error) from error
        place = (self._part, self._at, len(raw))
        self._at += len(raw)
        return place

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:06}.jsonl"


def key_of(label: str, sha256: str | None) -> str:
    """What one row a frame is for: the instance's bytes, or the path where no bytes could be read."""
    return sha256 or f"{UNREAD}{label}"


def keys_of(checkpoint: Checkpoint, labels: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each key of these paths once, with all of its paths, by its first path; both in the order of their text."""
    paths: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        known = checkpoint.known.items.get(label)
        if known is not None and known[1] in checkpoint.known.rows:
            paths.setdefault(known[1], []).append(label)
    yield from paths.items()


def _written(line: dict[str, Any]) -> bytes:
    text = json.dumps(line, sort_keys=True, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(raw: bytes) -> dict[str, Any] | None:
    """The content of a line; None where it is no whole one."""
    if not raw.endswith(b"\n") or raw[8:9] != b" ":
        return None
    text = raw[9:-1]
    if raw[:8] != b"%08x" % zlib.crc32(text):
        return None
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _canonical(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


def _not_written(folder: Path, error: OSError) -> OutputNotWritten:
    return OutputNotWritten(
        f"it cannot be written: {error.strerror}",
        source=str(folder),
        remedy="Make room, or mend the folder's permissions, then give the same command again: it goes on.",
    )
