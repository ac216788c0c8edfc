"""The tables of the queue. A later version adds a migration; none is ever changed."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE instance (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256 TEXT NOT NULL UNIQUE,
        path TEXT,
        size INTEGER NOT NULL,
        sop_class_uid TEXT NOT NULL,
        sop_instance_uid TEXT NOT NULL,
        transfer_syntax_uid TEXT NOT NULL,
        via TEXT NOT NULL CHECK (via IN ('dimse', 'http')),
        peer TEXT NOT NULL,
        state TEXT NOT NULL
            CHECK (state IN ('received', 'assessing', 'sending', 'delivered', 'refused', 'quarantined')),
        conflict INTEGER NOT NULL,
        times_received INTEGER NOT NULL DEFAULT 1,
        attempts INTEGER NOT NULL DEFAULT 0,
        outcome TEXT,
        reason_code TEXT,
        reason TEXT,
        report TEXT,
        results TEXT,
        study_instance_uid TEXT,
        received_at TEXT NOT NULL,
        finished_at TEXT
    ) STRICT;
    CREATE INDEX instance_by_state ON instance (state, sequence);
    CREATE INDEX instance_by_uid ON instance (sop_instance_uid);
    CREATE INDEX instance_by_path ON instance (path);
    CREATE INDEX instance_by_results ON instance (results);
    CREATE TABLE delivery (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sequence INTEGER NOT NULL REFERENCES instance (sequence),
        destination TEXT NOT NULL,
        path TEXT NOT NULL,
        sop_class_uid TEXT NOT NULL,
        sop_instance_uid TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'confirming', 'stored', 'committed', 'rejected')),
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT,
        transaction_uid TEXT,
        UNIQUE (sequence, destination, path)
    ) STRICT;
    CREATE INDEX delivery_by_destination ON delivery (destination, state, id);
    CREATE INDEX delivery_by_transaction ON delivery (transaction_uid);
    """,
)
"""The statements that lead from each version to the next; the database's ``user_version`` counts those it has."""
