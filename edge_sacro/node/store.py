"""The queue: what was received, what became of it, and where its results still have to go. SQLite, one writer.

Every change is one transaction, synced to disk before the call returns (WAL, ``synchronous = FULL``). Order is that of
the sequence numbers and never a clock's, so that a clock that jumps changes no more than what is shown.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from edge_sacro.errors import DiskFull, StorageFailed
from edge_sacro.node.records import (
    UNFINISHED,
    Accepted,
    Delivery,
    DeliveryState,
    Instance,
    NewDelivery,
    Outcome,
    Received,
    State,
    utc_now,
)
from edge_sacro.node.schema import MIGRATIONS


class _Run(Protocol):
    def __call__(self, statement: str, *values: str | int | None) -> sqlite3.Cursor: ...


class Store:
    """The queue in one file. Safe to call from several threads.

    Args:
        path: of the database; made where absent, brought up to date where older.

    Raises:
        StorageFailed: it cannot be opened, is damaged or was written by a later version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        try:
            path.touch(mode=0o600, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        except (OSError, sqlite3.Error) as error:
            raise StorageFailed(f"cannot be opened: {error}", source=str(path)) from error
        self._connection.row_factory = sqlite3.Row
        with self._failing():
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            if self._connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise StorageFailed("is damaged", source=str(path), remedy="Restore the node's folder as a whole.")
            self._migrate()

    def close(self) -> None:
        """Close the file. The store may not be used afterwards."""
        with self._lock:
            self._connection.close()

    def accept(self, received: Received) -> Accepted:
        """Enter an instance whose file is on stable storage already.

        The same bytes again are the same instance: whoever sends twice gets the same answer. Other bytes under a SOP
        Instance UID that is known are an instance of their own, marked as a conflict; neither replaces the other.
        """
        with self._transaction() as run:
            known = run("SELECT sequence FROM instance WHERE sha256 = ?", received.sha256).fetchone()
            if known is not None:
                run("UPDATE instance SET times_received = times_received + 1 WHERE sequence = ?", known[0])
                return Accepted(known[0], "again")
            same_uid = "SELECT sequence FROM instance WHERE sop_instance_uid = ? LIMIT 1"
            conflict = run(same_uid, received.sop_instance_uid).fetchone() is not None
            names = ", ".join(received._fields)
            marks = ", ".join("?" * (len(received) + 3))
            cursor = run(
                f"INSERT INTO instance ({names}, state, conflict, received_at) VALUES ({marks})",  # noqa: S608
                *received,
                State.RECEIVED,
                conflict,
                utc_now(),
            )
            return Accepted(int(cursor.lastrowid or 0), "conflict" if conflict else "new")

    def next_to_assess(self) -> Instance | None:
        """Take the oldest instance that waits; that it was tried is on disk before it is returned."""
        with self._transaction() as run:
            row = run("SELECT * FROM instance WHERE state = ? ORDER BY sequence LIMIT 1", State.RECEIVED).fetchone()
            if row is None:
                return None
            change = "UPDATE instance SET state = ?, attempts = attempts + 1 WHERE sequence = ?"
            run(change, State.ASSESSING, row["sequence"])
        return self.instance(row["sequence"])

    def recover(self) -> int:
        """At the start: give back what a killed process had taken, and return how many instances that were."""
        with self._transaction() as run:
            return run("UPDATE instance SET state = ? WHERE state = ?", State.RECEIVED, State.ASSESSING).rowcount

    def give_back(self, sequence: int) -> None:
        """Let an instance wait again that was taken and not assessed through no fault of its own."""
        with self._transaction() as run:
            change = "UPDATE instance SET state = ?, attempts = attempts - 1 WHERE sequence = ? AND state = ?"
            run(change, State.RECEIVED, sequence, State.ASSESSING)

    def assessed(self, sequence: int, outcome: Outcome, deliveries: Sequence[NewDelivery]) -> None:
        """Enter the results of an instance, whose files are on stable storage already, and where they have to go."""
        with self._transaction() as run:
            change = (
                "UPDATE instance SET state = ?, outcome = ?, reason_code = ?, reason = ?, report = ?, results = ?,"
                " study_instance_uid = ? WHERE sequence = ?"
            )
            run(change, State.SENDING, *outcome, sequence)
            for each in deliveries:
                run(
                    "INSERT INTO delivery (sequence, destination, path, sop_class_uid, sop_instance_uid, state)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    sequence,
                    *each,
                    DeliveryState.WAITING,
                )
            self._finish(run, sequence)

    def quarantine(self, sequence: int, reason_code: str, reason: str) -> None:
        """Set an instance aside for a person: it ended in a state that no retry mends."""
        with self._transaction() as run:
            change = "UPDATE instance SET state = ?, reason_code = ?, reason = ?, finished_at = ? WHERE sequence = ?"
            run(change, State.QUARANTINED, reason_code, reason, utc_now(), sequence)

    def requeue(self, sequence: int) -> bool:
        """An operator's wish: try a quarantined instance again. False where it is not in quarantine."""
        with self._transaction() as run:
            change = (
                "UPDATE instance SET state = ?, attempts = 0, reason_code = NULL, reason = NULL, finished_at = NULL"
                " WHERE sequence = ? AND state = ?"
            )
            changed = run(change, State.RECEIVED, sequence, State.QUARANTINED).rowcount
            if changed:
                run("DELETE FROM delivery WHERE sequence = ?", sequence)
            return changed == 1

    def outstanding(self, destination: str) -> list[Delivery]:
        """What has to go to a destination or to be confirmed by it, the oldest first."""
        done = DeliveryState.STORED, DeliveryState.COMMITTED, DeliveryState.REJECTED
        query = "SELECT * FROM delivery WHERE destination = ? AND state NOT IN (?, ?, ?) ORDER BY id"
        return [Delivery(**row) for row in self._rows(query, destination, *done)]

    def delivery_moved(
        self, delivery: int, state: DeliveryState, *, error: str | None = None, transaction_uid: str | None = None
    ) -> None:
        """Enter one attempt at one delivery; its instance ends with the last of its deliveries.

        Args:
            delivery: its number.
            state: what it is now; WAITING again after a failure that a retry may mend.
            error: why it failed, without any name of the patient.
            transaction_uid: of a storage commitment that was asked for.
        """
        with self._transaction() as run:
            change = (
                "UPDATE delivery SET state = ?, attempts = attempts + 1, error = ?, transaction_uid = ? WHERE id = ?"
            )
            run(change, state, error, transaction_uid, delivery)
            sequence = run("SELECT sequence FROM delivery WHERE id = ?", delivery).fetchone()[0]
            self._finish(run, sequence)

    def committing(self, transaction_uid: str) -> list[Delivery]:
        """The deliveries whose commitment was asked for in one transaction."""
        return [
            Delivery(**row) for row in self._rows("SELECT * FROM delivery WHERE transaction_uid = ?", transaction_uid)
        ]

    def instance(self, sequence: int) -> Instance | None:
        """One instance by its number."""
        return next(iter(self._instances("sequence = ?", 1, sequence)), None)

    def by_uid(self, sop_instance_uid: str) -> list[Instance]:
        """The instances of a SOP Instance UID: several where their bytes conflict."""
        return self._instances("sop_instance_uid = ?", -1, sop_instance_uid)

    def page(self, *, limit: int, before: int | None = None, state: str | None = None) -> list[Instance]:
        """The worklist: the newest first, from below a number on, of one state or of all."""
        where = "(? IS NULL OR sequence < ?) AND (? IS NULL OR state = ?)"
        return self._instances(where, limit, before, before, state, state)

    def deliveries(self, sequence: int) -> list[Delivery]:
        """Every delivery of an instance."""
        return [
            Delivery(**row) for row in self._rows("SELECT * FROM delivery WHERE sequence = ? ORDER BY id", sequence)
        ]

    def counts(self) -> dict[str, int]:
        """How many instances are in each state, those with none included."""
        found = {row[0]: row[1] for row in self._rows("SELECT state, COUNT(*) FROM instance GROUP BY state")}
        return {state.value: found.get(state.value, 0) for state in State}

    def waiting(self) -> int:
        """How many instances have not come to an end."""
        marks = ", ".join("?" * len(UNFINISHED))
        query = f"SELECT COUNT(*) FROM instance WHERE state IN ({marks})"  # noqa: S608
        return int(self._rows(query, *UNFINISHED)[0][0])

    def knows_file(self, relative: Path) -> bool:
        """Whether the queue points to a file or a folder of results, given relative to the spool's folder."""
        query = "SELECT 1 FROM instance WHERE path = ? OR results = ? LIMIT 1"
        return bool(self._rows(query, str(relative), str(relative)))

    def forsaken(self, destinations: Sequence[str]) -> list[Delivery]:
        """What has to go to a destination that is none of these, so that it would never arrive."""
        marks = ", ".join("?" * len(destinations))
        query = f"SELECT * FROM delivery WHERE state IN (?, ?) AND destination NOT IN ({marks}) ORDER BY id"  # noqa: S608
        waiting = DeliveryState.WAITING, DeliveryState.CONFIRMING
        return [Delivery(**row) for row in self._rows(query, *waiting, *destinations)]

    def delivery(self, number: int) -> Delivery | None:
        """One delivery by its number."""
        rows = self._rows("SELECT * FROM delivery WHERE id = ?", number)
        return Delivery(**rows[0]) if rows else None

    def purgeable(self, finished_before: str, limit: int) -> list[Instance]:
        """Instances with files that ended, not in quarantine, before a time (ISO 8601, UTC)."""
        where = "finished_at < ? AND state IN (?, ?) AND path IS NOT NULL"
        return self._instances(where, limit, finished_before, State.DELIVERED, State.REFUSED)

    def purged(self, sequence: int) -> None:
        """Enter that an instance's files are about to be removed; what is known of it stays."""
        with self._transaction() as run:
            run("UPDATE instance SET path = NULL, results = NULL WHERE sequence = ?", sequence)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the database."""
        with self._lock, self._failing():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _instances(self, where: str, limit: int, *values: str | int | None) -> list[Instance]:
        query = f"SELECT * FROM instance WHERE {where} ORDER BY sequence DESC LIMIT ?"  # noqa: S608
        found = [Instance(**row) for row in self._rows(query, *values, limit)]
        return [each._replace(conflict=bool(each.conflict)) for each in found]

    def _finish(self, run: _Run, sequence: int) -> None:
        """End an instance whose deliveries all have ended."""
        rows = run("SELECT DISTINCT state FROM delivery WHERE sequence = ?", sequence).fetchall()
        states = {row[0] for row in rows}
        if states & {DeliveryState.WAITING, DeliveryState.CONFIRMING}:
            return
        if DeliveryState.REJECTED in states:
            change = "UPDATE instance SET state = ?, reason_code = ?, reason = ?, finished_at = ? WHERE sequence = ?"
            why = "delivery_rejected", "a destination refused a result for good"
            run(change, State.QUARANTINED, *why, utc_now(), sequence)
            return
        ended = "CASE WHEN outcome = 'refused' THEN ? ELSE ? END"
        change = f"UPDATE instance SET state = {ended}, finished_at = ? WHERE sequence = ? AND state = ?"  # noqa: S608
        run(change, State.REFUSED, State.DELIVERED, utc_now(), sequence, State.SENDING)

    def _rows(self, query: str, *values: str | int | None) -> list[sqlite3.Row]:
        with self._lock, self._failing():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[_Run]:
        """One change of the queue: all of it is on disk when this ends, or none of it is ever seen."""
        with self._lock, self._failing():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda statement, *values: self._connection.execute(statement, values)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _migrate(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StorageFailed(
                f"holds version {version} of the queue, and this software knows {len(MIGRATIONS)}",
                source=str(self._path),
                remedy="Start the version that wrote it, or a later one.",
            )
        for number in range(version, len(MIGRATIONS)):
            script = f"BEGIN; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
            self._connection.executescript(script)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL" or "is full" in str(error)
            failure = DiskFull if full else StorageFailed
            raise failure(f"the queue cannot be read or written: {error}", source=str(self._path)) from error
