"""What the node tells: one JSON line an event, without any name, number or UID of a patient, a study or an image.

Instances are told by their number in the queue, which leads to everything else on the node itself.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import IO, TextIO

from edge_sacro.errors import OutputNotWritten
from edge_sacro.node.records import utc_now

Value = str | int | float | bool | None


class Journal:
    """The log. Safe to call from several threads.

    A line that cannot be written never stops the node, whose promise does not depend on it: it is counted, and the next
    line that can be written tells how many are missing before it.

    Args:
        stream: where lines go; the standard error stream where None.
        path: a file to append to in place of a stream.

    Attributes:
        lost: lines that could not be written, since the last one that could.

    Raises:
        OutputNotWritten: the file cannot be opened.
    """

    def __init__(self, stream: TextIO | None = None, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.lost = 0
        self._stream = stream or sys.stderr
        self._file = None if path is None else _opened(path)

    def event(self, name: str, **fields: Value) -> None:
        """Write one line.

        Args:
            name: what happened.
            fields: with what; never anything that came from inside a received file but its size.
        """
        with self._lock:
            missing: dict[str, Value] = {"lines_lost_before": self.lost} if self.lost else {}
            line = json.dumps({"time": utc_now(), "event": name, **fields, **missing}, ensure_ascii=True)
            try:
                if self._file is not None:
                    self._file.write(f"{line}\n".encode("ascii"))
                else:
                    self._stream.write(line + "\n")
                    self._stream.flush()
            except (OSError, ValueError):
                self.lost += 1
            else:
                self.lost = 0

    def reopen(self) -> None:
        """Open the file anew, after it was moved away (logrotate); nothing where a stream was given.

        Where that fails the old file goes on, and the line that says so is the first that it gets.
        """
        if self._path is None:
            return
        try:
            fresh = _opened(self._path)
        except OutputNotWritten as error:
            self.event("log_not_reopened", error=error.what)
            return
        with self._lock:
            old, self._file = self._file, fresh
            if old is not None:
                old.close()

    def close(self) -> None:
        """Close the file; a stream that was given stays open."""
        with self._lock:
            if self._file is not None:
                self._file.close()


def _opened(path: Path) -> IO[bytes]:
    """The file without a buffer, so that what cannot be written is not kept for later."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise OutputNotWritten(f"the log cannot be written: {error.strerror}", source=str(path)) from error
    return os.fdopen(descriptor, "ab", buffering=0)
