"""The clock of one assessment: how long each stage took, and whether there is time for the next."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from edge_sacro.errors import DeadlineExceeded


class StageClock:
    """Measures named stages in order and refuses to begin one after the deadline.

    Args:
        deadline_s: seconds that the assessment may take, or None for no limit.
        spent_s: seconds of stages that are over already; they count as if they had run until now.
    """

    def __init__(self, deadline_s: float | None = None, spent_s: Mapping[str, float] | None = None) -> None:
        spent_s = spent_s or {}
        self._start = time.monotonic() - sum(spent_s.values())
        self.deadline = None if deadline_s is None else self._start + deadline_s
        self._milliseconds = {name: 1e3 * seconds for name, seconds in spent_s.items()}

    @contextmanager
    def stage(self, name: str, *, always: bool = False) -> Iterator[None]:
        """Measure what runs inside; times of the same name add up.

        Args:
            name: of the stage.
            always: the stage begins after the deadline too: a result needs it whatever the time.

        Raises:
            DeadlineExceeded: the deadline has passed already.
        """
        start = time.monotonic()
        if not always and self.deadline is not None and start >= self.deadline:
            raise DeadlineExceeded(f"no time was left for the stage {name!r}", source="deadline")
        try:
            yield
        finally:
            elapsed = (time.monotonic() - start) * 1e3
            self._milliseconds[name] = self._milliseconds.get(name, 0.0) + elapsed

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline, not below 0, or None where there is none."""
        return None if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)

    def timings_ms(self) -> dict[str, float]:
        """Milliseconds by stage, in the order in which they first ran, and their ``total`` as a wall clock saw it."""
        total = (time.monotonic() - self._start) * 1e3
        return {name: round(value, 3) for name, value in [*self._milliseconds.items(), ("total", total)]}
