"""Controls: nodes with a defect on purpose, each of which must be found out, or the experiment shows nothing.

``EDGE_SACRO_CARELESS=acknowledges`` acknowledges an instance half a second before it is on the disk.
``EDGE_SACRO_CARELESS=ignores_syncs`` goes on where a sync fails, as if the bytes were on the disk.
``EDGE_SACRO_CARELESS=leaks`` keeps a file open, a thread and some memory for each instance that it receives.
``EDGE_SACRO_CARELESS=renames`` gives a result a new UID each time that it is sent, and forgets that it was.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydicom import dcmread
from pydicom.uid import UID

from edge_sacro.cli import main
from edge_sacro.node import intake, outgoing, store
from edge_sacro.node.records import Accepted, DeliveryState
from edge_sacro.node.spool import Part

VARIABLE = "EDGE_SACRO_CARELESS"
LATE_S = 0.5
LEAKED = 1 << 20
"""Bytes of each instance."""


def acknowledge_first() -> None:
    """Acknowledge what is only in memory yet."""
    careful = intake.Intake.take

    def careless(self: intake.Intake, part: Part, *, via: Any, peer: str) -> Accepted:
        content = part.path.read_bytes()

        def later() -> None:
            time.sleep(LATE_S)
            with self.part() as again:
                again.write(content)
                careful(self, again, via=via, peer=peer)

        threading.Thread(target=later, daemon=True).start()
        return Accepted(0, "new")

    intake.Intake.take = careless  # type: ignore[method-assign]


def rename_each_time() -> None:
    """Send under a new UID each time, and enter that it was sent so late that a killed node sends again."""
    careful_send: Callable[[outgoing.Line, Path], int] = outgoing.Line.store
    careful_enter = store.Store.delivery_moved

    def careless_send(self: outgoing.Line, path: Path) -> int:
        report = dcmread(path)
        report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.{uuid.uuid4().int}")
        with tempfile.NamedTemporaryFile(suffix=".dcm") as other:
            report.save_as(other.name, enforce_file_format=True)
            return careful_send(self, Path(other.name))

    def careless_enter(self: store.Store, delivery: int, state: DeliveryState, **told: Any) -> None:
        time.sleep(LATE_S)
        careful_enter(self, delivery, state, **told)

    outgoing.Line.store = careless_send  # type: ignore[method-assign]
    store.Store.delivery_moved = careless_enter  # type: ignore[method-assign]


def ignore_syncs() -> None:
    """Take a failed sync for a good one."""
    careful = os.fsync

    def careless(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            careful(descriptor)

    def unsynced(self: store.Store, path: Path) -> None:
        opened(self, path)
        self._connection.execute("PRAGMA synchronous = OFF")

    opened = store.Store.__init__
    os.fsync = careless  # type: ignore[assignment]
    store.Store.__init__ = unsynced  # type: ignore[method-assign]


def leak() -> None:
    """Give nothing back that an instance took."""
    careful = intake.Intake.take
    kept: list[tuple[bytearray, int]] = []

    def careless(self: intake.Intake, part: Part, *, via: Any, peer: str) -> Accepted:
        kept.append((bytearray(os.urandom(LEAKED)), os.open(os.devnull, os.O_RDONLY)))
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return careful(self, part, via=via, peer=peer)

    intake.Intake.take = careless  # type: ignore[method-assign]


DEFECTS: Mapping[str, Callable[[], None]] = MappingProxyType(
    {"acknowledges": acknowledge_first, "ignores_syncs": ignore_syncs, "leaks": leak, "renames": rename_each_time}
)


if __name__ == "__main__":
    DEFECTS[os.environ[VARIABLE]]()
    main()
