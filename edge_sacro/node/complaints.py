"""What peers did wrong, as the log has it."""

from __future__ import annotations

import threading
import time

from edge_sacro.node.journal import Journal


class Complaints:
    """What peers did wrong, in the log: each kind once in a while with its count, so that an attack cannot fill it.

    Args:
        journal: the node's.
        event: as which event they are entered.
        apart_s: least time between two lines of one kind.
    """

    def __init__(self, journal: Journal, event: str = "peer_cut", apart_s: float = 10.0) -> None:
        self._journal, self._event, self._apart = journal, event, apart_s
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def tell(self, kind: str, address: str) -> None:
        """Enter one.

        Args:
            kind: what was done, from a fixed vocabulary, never text of the peer's.
            address: from where.
        """
        now = time.monotonic()
        with self._lock:
            count = self._untold.get(kind, 0) + 1
            self._untold[kind] = count
            if now - self._told.get(kind, -self._apart) < self._apart:
                return
            self._told[kind], self._untold[kind] = now, 0
        self._journal.event(self._event, kind=kind, address=address, times=count)
