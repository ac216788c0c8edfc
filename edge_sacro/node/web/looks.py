"""Who was shown whose names, for the audit trail: each look once, not each refresh of an open page."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

APART_S = 3600.0
"""The same look of the same client is recorded again after this time."""

_REMEMBERED = 4096


class Looks:
    """Looks at names, told once in a while.

    Args:
        accessed: records that somebody (second) took something (third) of an instance (first).
        listed: records that somebody (first) was shown the names of the instances from one number (second) down to
            another (third), those of a state alone (fourth) where it is not None.
        apart_s: least time between two records of one look.
    """

    def __init__(
        self,
        accessed: Callable[[int, str, str], None],
        listed: Callable[[str, int, int, str | None], None],
        apart_s: float = APART_S,
    ) -> None:
        self._accessed, self._listed, self._apart = accessed, listed, apart_s
        self._lock = threading.Lock()
        self._told: OrderedDict[tuple[object, ...], float] = OrderedDict()

    def at_list(self, actor: str, newest: int, oldest: int, state: str | None) -> None:
        """A page of the worklist was shown."""
        self._tell(("list", actor, newest, oldest, state), lambda: self._listed(actor, newest, oldest, state))

    def at_instance(self, actor: str, sequence: int) -> None:
        """What is known of one instance was shown."""
        self._tell(("instance", actor, sequence), lambda: self._accessed(sequence, actor, "detail"))

    def _tell(self, look: tuple[object, ...], record: Callable[[], None]) -> None:
        now = time.monotonic()
        with self._lock:
            before = self._told.get(look)
        if before is not None and now - before < self._apart:
            return
        record()
        with self._lock:
            self._told[look] = now
            self._told.move_to_end(look)
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
