"""What the node tells: one JSON line an event, without any name, number or UID of a patient, a study or an image.

Instances are told by their number in the queue, which leads to everything else on the node itself.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import TextIO

from edge_sacro.node.records import utc_now

Value = str | int | float | bool | None


class Journal:
    """The log. Safe to call from several threads.

    Args:
        stream: where lines go; the standard error stream where None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()

    def event(self, name: str, **fields: Value) -> None:
        """Write one line.

        Args:
            name: what happened.
            fields: with what; never anything that came from inside a received file but its size.
        """
        line = json.dumps({"time": utc_now(), "event": name, **fields}, ensure_ascii=True)
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()
