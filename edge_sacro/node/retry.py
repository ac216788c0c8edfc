"""What an answer to a C-STORE means for what was sent, and when to try again."""

from __future__ import annotations

import random
import time

from edge_sacro.node.config import Sending
from edge_sacro.node.records import DeliveryState

_STORED = frozenset({0x0000, 0x0001, 0x0107, 0x0111, 0x0116})
"""Success, warnings, and 0x0111, duplicate SOP instance: it is there (PS3.7 C)."""

_NEVER = frozenset({0x0106, 0x0112, 0x0115, 0x0117, 0x0118, 0x0119, 0x0120, 0x0121, 0x0122})
"""What is wrong with the object or its class (PS3.7 C), and will be the next time."""


def state_from_status(status: int) -> DeliveryState:
    """What becomes of a delivery after a C-STORE status (PS3.4, table B.2-1; PS3.7 C).

    Warnings (0xB000, 0xB006, 0xB007 and the like) say that it is stored. 0xA9xx and 0xCxxx say that the object itself
    was not understood. Whatever else, 0xA7xx first of all, may be different the next time.
    """
    if status in _STORED or status >> 12 == 0xB:
        return DeliveryState.STORED
    if status in _NEVER or status >> 8 == 0xA9 or status >> 12 == 0xC:
        return DeliveryState.REJECTED
    return DeliveryState.WAITING


class Backoff:
    """When to try again: after each failure twice as late, up to a longest time, and never in step with others."""

    def __init__(self, sending: Sending) -> None:
        self._first, self._longest = sending.retry_first_s, sending.retry_longest_s
        self._delay = 0.0
        self.due, self.failures = 0.0, 0

    def failed(self) -> None:
        """Enter a failure."""
        self.failures += 1
        self._delay = min(self._longest, self._delay * 2 or self._first)
        self.due = time.monotonic() + self._delay * (1 - random.random() / 4)  # noqa: S311 - no secret

    def succeeded(self) -> None:
        """Enter that it went well: the next failure is a first one again."""
        self._delay, self.due, self.failures = 0.0, 0.0, 0
