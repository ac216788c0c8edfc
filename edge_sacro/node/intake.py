"""How an instance comes in, by whichever way: on stable storage first, then in the queue, then acknowledged."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Literal

from edge_sacro.dicom.geometry import is_uid
from edge_sacro.dicom.part10 import file_meta
from edge_sacro.errors import DiskFull, NotDicom, QueueFull
from edge_sacro.node.journal import Journal
from edge_sacro.node.records import Accepted, Received
from edge_sacro.node.spool import Part, Spool, stopping
from edge_sacro.node.store import Store

_SOP_CLASS, _SOP_INSTANCE, _SYNTAX = 0x0002, 0x0003, 0x0010
META_BYTES, _CHUNK = 64 << 10, 1 << 20
_LOCKS = 64


class Intake:
    """The way in. Safe to call from several threads.

    Args:
        spool, store, journal: the node's.
        queue: how many instances that have not come to an end the node holds.

    Attributes:
        arrived: set whenever something was taken; whoever assesses waits for it.
    """

    def __init__(self, spool: Spool, store: Store, journal: Journal, queue: int) -> None:
        self._spool, self._store, self._journal, self._queue = spool, store, journal, queue
        self.arrived = threading.Event()
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def part(self) -> Part:
        """A file to receive one instance into: a whole DICOM Part 10 file.

        Raises:
            QueueFull: too many wait already.
            DiskFull: too little space is free.
        """
        if self._store.waiting() >= self._queue:
            raise QueueFull(f"{self._queue} instances wait", source="the queue")
        return self._spool.part()

    def take(self, part: Part, *, via: Literal["dimse", "http"], peer: str) -> Accepted:
        """Put a received file on stable storage and enter it. Once this returns it may be acknowledged.

        Only the file meta information is looked at here; the rest is read where it can do no harm, when it is assessed.

        Args:
            part: complete.
            via: how it came.
            peer: from whom: the calling AE title, or the client's name.

        Raises:
            NotDicom: it is no Part 10 file, or a UID of its meta information is absent or none.
            DiskFull, StorageFailed: it could not be kept.
        """
        with stopping(part.path), part.path.open("rb") as file:
            meta, offset = file_meta(file.read(META_BYTES))
            sop_class, sop_instance, transfer_syntax = (meta.get(e, "") for e in (_SOP_CLASS, _SOP_INSTANCE, _SYNTAX))
            if not (is_uid(sop_class) and is_uid(sop_instance) and is_uid(transfer_syntax)):
                raise NotDicom("a UID of its file meta information is absent or none", source="the received instance")
            digest = hashlib.sha256(transfer_syntax.encode())
            file.seek(offset)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        sha256 = digest.hexdigest()
        # The same bytes at the same time wait for one another: a file is removed only where no row can point to it.
        with self._locks[int(sha256[:2], 16) % len(self._locks)]:
            path = self._spool.keep(part, sha256)
            received = Received(sha256, str(path), part.size, sop_class, sop_instance, transfer_syntax, via, peer)
            try:
                accepted = self._store.accept(received)
            except DiskFull:
                self._remove_unknown(path)
                raise
            if accepted.what == "again":
                self._remove_unknown(path)
        self._journal.event("received", instance=accepted.sequence, what=accepted.what, via=via, bytes=part.size)
        self.arrived.set()
        return accepted

    def _remove_unknown(self, path: Path) -> None:
        """Remove a file that the queue does not point to: it was not entered, or its instance ended long ago."""
        if not self._store.knows_file(path):
            self._spool.purge(path)
