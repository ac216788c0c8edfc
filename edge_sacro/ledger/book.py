"""The ledger's file: SQLite, lines are added and never changed."""

from __future__ import annotations

import csv
import dataclasses
import io
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_sacro.errors import InputNotFound, OutputNotWritten
from edge_sacro.ledger.entry import FIELDS, Entry

VERSION = 1
_REAL = frozenset(FIELDS[7:])
_COLUMNS = ", ".join(f"{name} {'REAL' if name in _REAL else 'TEXT'}" for name in FIELDS)
_TABLES = (
    f"CREATE TABLE entry (number INTEGER PRIMARY KEY AUTOINCREMENT, {_COLUMNS}) STRICT",
    "CREATE TABLE secret (key BLOB NOT NULL) STRICT",
    "CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'lines are never changed'); END",
    "CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'lines are never removed'); END",
    f"PRAGMA user_version = {VERSION}",
)


class Book:
    """The ledger. Safe to call from several threads; several processes may add to one file.

    Args:
        path: of the file.
        create: make it where it is absent.

    Raises:
        InputNotFound: it is absent and is not to be made.
        OutputNotWritten: it cannot be opened, is no ledger, or is a later version's.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._path, self._lock = path, threading.Lock()
        if not path.exists() and not create:
            raise InputNotFound("there is no such ledger", source=str(path), remedy="Name the file of --ledger.")
        with self._failing():
            path.touch(mode=0o600, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("BEGIN IMMEDIATE")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _TABLES:
                    self._connection.execute(statement)
                self._connection.execute("INSERT INTO secret VALUES (?)", (secrets.token_bytes(32),))
            self._connection.execute("COMMIT")
        if version not in (0, VERSION):
            raise OutputNotWritten(f"it is version {version} of a ledger; {VERSION} is known here", source=str(path))
        self.key: bytes = self._connection.execute("SELECT key FROM secret").fetchone()[0]

    def close(self) -> None:
        """Close the file. The ledger may not be used afterwards."""
        with self._lock:
            self._connection.close()

    def add(self, entry: Entry) -> None:
        """Add a line.

        Raises:
            OutputNotWritten: it cannot be written.
        """
        marks = ", ".join("?" * len(FIELDS))
        with self._lock, self._failing():
            statement = f"INSERT INTO entry ({', '.join(FIELDS)}) VALUES ({marks})"  # noqa: S608 - our own names
            self._connection.execute(statement, dataclasses.astuple(entry))

    def entries(self) -> list[Entry]:
        """Every line, in the order in which they were added."""
        with self._lock, self._failing():
            query = f"SELECT {', '.join(FIELDS)} FROM entry ORDER BY number"  # noqa: S608 - our own names
            return [Entry(*row) for row in self._connection.execute(query)]

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            remedy = "Name a ledger, or a file that is not there yet." if _is_none(error) else None
            what = f"the ledger cannot be used: {error}"
            raise OutputNotWritten(what, source=str(self._path), remedy=remedy) from error


def _is_none(error: Exception) -> bool:
    """Whether SQLite says that the file is no database of its."""
    return isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error)


def csv_from_entries(entries: Iterable[Entry]) -> str:
    """A table with a head; what is absent is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(dataclasses.astuple(entry) for entry in entries)
    return stream.getvalue()
