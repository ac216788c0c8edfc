"""Reading the next instance while one is assessed: decoding has a process of its own, and no network waits for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from edge_sacro.dicom.source import DEFAULT_LIMITS, Source, bytes_from_source, path_of, read_bytes
from edge_sacro.errors import InputRefused
from edge_sacro.results import known_sha256
from edge_sacro.types import Radiograph

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class ReadInstance:
    """An instance that was read and not yet assessed.

    Attributes:
        label: its path or name.
        image: what was read, or why it is refused.
        sha256: of the file's bytes; None where there are none.
        seconds: that reading took.
    """

    label: str
    image: Radiograph | InputRefused
    sha256: str | None
    seconds: float


def label_of(source: Source | ReadInstance, name: str | None = None) -> str:
    """What to call an instance: the name given, else its path."""
    if isinstance(source, ReadInstance):
        return name or source.label
    return name or (os.fspath(source) if isinstance(source, str | os.PathLike) else "(bytes)")


def read_instance(source: Source, label: str, overrides: frozenset[str]) -> ReadInstance:
    """Read an instance of a single image; that it is refused is an answer too.

    Args:
        source: a path, the bytes of a DICOM file, or a binary file object.
        label: what to call it.
        overrides: codes of refusals that do not apply.
    """
    start, data = time.monotonic(), None
    image: Radiograph | InputRefused
    try:
        data = bytes_from_source(source, DEFAULT_LIMITS, label)
        image = read_bytes(data, label, path_of(source), overrides)
    except InputRefused as refusal:
        image = refusal
    return ReadInstance(label, image, known_sha256(image, data), time.monotonic() - start)


def one_ahead(make: Callable[[Given], Made], items: Iterable[Given]) -> Iterator[Made]:
    """``map(make, items)``, of which the next result is made in another thread while the last one is used.

    No more than one is made ahead, so that two are held at most. What ``make`` raises is raised in its item's place.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as pool:
        waiting: Future[Made] | None = None
        for item in items:
            following = pool.submit(make, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
