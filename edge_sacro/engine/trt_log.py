"""What TensorRT says: often the only account of an error."""

from __future__ import annotations

from collections import deque
from typing import Any


class VendorLog:
    """Keeps the vendor's errors and warnings.

    Args:
        trt: the vendor's module.
        kept: how many at most, the latest; all of them where None.

    Attributes:
        logger: for the vendor's objects, which must not outlive it.
    """

    def __init__(self, trt: Any, kept: int | None = None) -> None:
        said: deque[tuple[int, str]] = deque(maxlen=kept)
        self._severity, self._said = trt.ILogger.Severity, said
        warning = int(trt.ILogger.Severity.WARNING)

        class Log(trt.ILogger):  # type: ignore[misc] # the vendor's module is untyped
            """Called by the vendor, from any of its threads."""

            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if int(severity) <= warning:
                    said.append((int(severity), message))

        self.logger: Any = Log()

    def errors(self) -> list[str]:
        """The vendor's errors, the gravest severity being 0."""
        return [text for severity, text in self._said if severity <= int(self._severity.ERROR)]

    def warnings(self) -> tuple[str, ...]:
        """The vendor's warnings."""
        return tuple(text for severity, text in self._said if severity == int(self._severity.WARNING))

    def clear(self) -> None:
        """Forget what was said, so that the next error is told with its own words."""
        self._said.clear()
