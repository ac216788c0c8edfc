"""Writing the ledger while images are answered, with a second opinion by fp32 on some of them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from edge_sacro.ahead import ReadInstance
from edge_sacro.dicom.source import Source
from edge_sacro.errors import UsageError
from edge_sacro.ledger.book import Book
from edge_sacro.ledger.entry import drawn_for_shadow, entry_from_result
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from edge_sacro.types import Radiograph


class Keeper:
    """Adds a line to a ledger for each answer of a runtime. A context manager.

    Args:
        path: of the ledger; made where absent.
        runtime: whose answers it keeps.
        shadow: a runtime of the same bundle in fp32, which this one closes; None for no second opinion.
        part: of the images that ``shadow`` assesses too, 0 to 1.

    Raises:
        UsageError: ``shadow`` has another bundle, is not fp32, or is what serves already.
        OutputNotWritten: the ledger cannot be used.
    """

    def __init__(self, path: Path, runtime: Runtime, shadow: Runtime | None = None, part: float = 0.0) -> None:
        if shadow is not None:
            if runtime.precision == "fp32" or shadow.precision != "fp32":
                raise UsageError("a shadow is fp32 beside another precision that serves", source="shadow")
            if shadow.bundle.fingerprint != runtime.bundle.fingerprint:
                raise UsageError("a shadow is of the bundle that serves", source="shadow")
        self._runtime, self._shadow, self._part = runtime, shadow, part
        self._book = Book(path)

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger and the shadow."""
        self._book.close()
        if self._shadow is not None:
            self._shadow.close()

    def keep(self, result: Result, radiograph: Radiograph | None, source: Source | ReadInstance) -> None:
        """Add the line of one answer.

        Args:
            result: the answer.
            radiograph: what was assessed; None where it could not be read.
            source: where it came from, for the second opinion.

        Raises:
            OutputNotWritten: the line cannot be written.
            BackendError: as ``Runtime.infer``, of the shadow.
        """
        compared = None
        sha256 = result.source.sha256
        drawn = result.probability is not None and sha256 is not None and drawn_for_shadow(sha256, self._part)
        if drawn and self._shadow is not None:
            compared = self._shadow.infer(source).probability
        fingerprint = self._runtime.bundle.fingerprint
        self._book.add(entry_from_result(result, radiograph, fingerprint, self._book.key, compared))
