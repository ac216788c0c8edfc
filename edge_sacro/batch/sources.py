"""Where a batch's instances come from: files and folders here, DICOMweb in ``edge_sacro.batch.dicomweb``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edge_sacro.batch.tasks import Task
from edge_sacro.dicom import find_instances
from edge_sacro.dicom.source import DEFAULT_LIMITS, bytes_from_source
from edge_sacro.errors import InputRefused
from edge_sacro.report import Ignored


class Instances(Protocol):
    """A place that instances are listed and fetched from; ``fetch`` is called from several threads."""

    @property
    def labels(self) -> Sequence[str]:
        """Path or address of each instance, in the order in which they are answered."""
        ...

    @property
    def ignored(self) -> Sequence[Ignored]:
        """What was found and is no instance."""
        ...

    def stamp(self, label: str) -> tuple[int, int] | None:
        """What tells a later run that the instance is the same one; None where nothing can or need."""
        ...

    def fetch(self, label: str, *, whole: bool = True) -> Task:
        """The instance's bytes, or why there are none.

        Args:
            label: one of ``labels``.
            whole: False where the worker is to read a path itself.
        """
        ...

    def close(self) -> None:
        """Let go of whatever instances are fetched over."""
        ...


class FolderInstances:
    """The files that paths mean, as ``edge-sacro infer`` takes them."""

    def __init__(self, paths: Sequence[str]) -> None:
        found = find_instances(paths)
        self.labels: Sequence[str] = [str(each.path) for each in found if each.reason is None]
        self.ignored: Sequence[Ignored] = [
            Ignored(path=str(each.path), reason=each.reason) for each in found if each.reason is not None
        ]

    def stamp(self, label: str) -> tuple[int, int] | None:
        """Size in bytes and time of change in nanoseconds; None where it cannot be read."""
        try:
            status = Path(label).stat()
        except (OSError, ValueError):
            return None
        return status.st_size, status.st_mtime_ns

    def fetch(self, label: str, *, whole: bool = True) -> Task:
        """The file's bytes; its stamp is of before they were read, so that a change meanwhile is noticed later."""
        stamp = self.stamp(label)
        if not whole:
            return Task(label, None, None, stamp)
        try:
            data = bytes_from_source(label, DEFAULT_LIMITS, label)
        except InputRefused as refusal:
            return Task(label, refusal, None, stamp)
        return Task(label, data, hashlib.sha256(data).hexdigest(), stamp)

    def close(self) -> None:
        """Nothing is held."""
