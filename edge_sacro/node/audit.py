"""The audit trail: one file that only grows, each record bound to the one before by its hash.

A record is one line of canonical JSON. Its ``hash`` is the SHA-256 of the record without it; its ``previous`` is the
hash of the record before. So a record that is changed, left out or moved breaks the chain where it stood. Records cut
off the end break no chain: they are missed beside the queue (``audit_check``), or by a head noted elsewhere.
Whoever can write the file can also compute a whole new chain; only a head that is kept elsewhere tells.

No name, number or UID of a patient, a study or an image stands in it: an instance is told by its number in the queue,
the SHA-256 of what was received, and its SOP Instance UID under HMAC-SHA-256 with the node's own key, so that a person
who has the UID and the key can look for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_sacro.errors import StorageFailed
from edge_sacro.node.records import utc_now
from edge_sacro.node.spool import stopping, sync_folder, write_synced

Value = str | int | float | bool | None
Record = dict[str, Any]

FIRST = "0" * 64
"""What the first record has for ``previous``."""

_KEY_BYTES = 32
_TAIL = 1 << 16


class AuditTrail:
    """The file, open for more. Safe to call from several threads, and beside other processes.

    Args:
        path: of the file; made where absent.
        key: file of the key for UIDs; made where absent.

    Raises:
        StorageFailed: a file cannot be read or written, or the last record is none.
    """

    def __init__(self, path: Path, key: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._end, self._number, self._head = 0, 0, FIRST
        with stopping(path):
            self._key = _key_from_file(key)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            sync_folder(path.parent)
        with self._alone():
            torn = self._cut_torn_end()
        if torn:
            self.append("audit_mended", sync=True, bytes_cut=torn)

    def close(self) -> None:
        """Close the file. The trail may not be used afterwards."""
        with self._lock:
            os.close(self._file)

    def uid_hash(self, uid: str) -> str:
        """The name of a UID in the trail."""
        return hmac.new(self._key, uid.encode(), hashlib.sha256).hexdigest()

    def append(self, event: str, *, sync: bool, **fields: Value) -> Record:
        """Write one record.

        Args:
            event: what happened.
            sync: whether it has to be on stable storage, with all before it, when this returns.
            fields: with what.

        Returns:
            The record.

        Raises:
            DiskFull: there is no space; the file is as it was.
            StorageFailed: any other failure.
        """
        with self._alone():
            if os.fstat(self._file).st_size != self._end:
                self._read_end()
            record: Record = {
                "n": self._number + 1,
                "time": utc_now(),
                "monotonic": round(time.monotonic(), 3),
                "event": event,
                **fields,
                "previous": self._head,
            }
            record["hash"] = record_hash(record)
            line = line_from_record(record)
            with stopping(self._path):
                self._write(line)
                if sync:
                    os.fsync(self._file)
            self._end += len(line)
            self._number, self._head = record["n"], record["hash"]
        return record

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self._end)
            raise

    def _read_end(self) -> None:
        """Learn of the last record, which another process may have written."""
        with stopping(self._path):
            size = os.fstat(self._file).st_size
            tail = os.pread(self._file, _TAIL, max(size - _TAIL, 0))
        last = tail.rstrip(b"\n").rpartition(b"\n")[2]
        record = record_from_line(last + b"\n")
        if size and record is None:
            raise StorageFailed(
                "the last record of the audit trail is none",
                source=str(self._path),
                remedy="Keep the file for inspection and start with a new one: move it away.",
            )
        self._end = size
        self._number, self._head = (record["n"], record["hash"]) if record is not None else (0, FIRST)

    def _cut_torn_end(self) -> int:
        """Set aside what a machine that lost its power left of records that were never synced; how many bytes."""
        with stopping(self._path):
            size = os.fstat(self._file).st_size
            start = max(size - _TAIL, 0)
            tail = os.pread(self._file, _TAIL, start)
            kept = len(tail)
            while kept:
                line = tail.rfind(b"\n", 0, kept - 1) + 1
                if record_from_line(tail[line:kept]) is not None:
                    break
                kept = line
            if kept < len(tail) and (kept or not start):
                write_synced(self._path.with_name(f"{self._path.name}.cut-at-{start + kept}"), tail[kept:])
                os.ftruncate(self._file, start + kept)
                os.fsync(self._file)
        self._read_end()
        return len(tail) - kept

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)


def record_hash(record: Record) -> str:
    """The hash of a record, which counts in everything but itself."""
    content = {name: value for name, value in record.items() if name != "hash"}
    return hashlib.sha256(_canonical(content)).hexdigest()


def line_from_record(record: Record) -> bytes:
    """The one form in which a record is written."""
    return _canonical(record) + b"\n"


def record_from_line(line: bytes) -> Record | None:
    """A record whose hash is its own and whose form is the one; None for anything else."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("hash") != record_hash(record) or line_from_record(record) != line:
        return None
    return record


def _canonical(content: Record) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _key_from_file(path: Path) -> bytes:
    if not path.exists():
        making = path.with_suffix(".part")
        write_synced(making, secrets.token_bytes(_KEY_BYTES))
        making.replace(path)
        sync_folder(path.parent)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise StorageFailed(f"is no key of {_KEY_BYTES} bytes", source=str(path), remedy="Restore it from a copy.")
    return key
