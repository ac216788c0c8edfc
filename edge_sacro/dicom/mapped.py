"""A file that two processes see: the child maps what its parent has read, and no byte of it is sent."""

from __future__ import annotations

import mmap
from typing import TypeAlias

from edge_sacro.errors import InputNotFound

FileBytes: TypeAlias = "bytes | mmap.mmap"
"""The bytes of a file: held, or mapped read-only. Slices of either are bytes."""

MAPPED_FROM = 1 << 20
"""Bytes of a file from which on mapping it costs less than sending it."""


def mapped(path: str, size: int) -> mmap.mmap:
    """The beginning of a file, read-only.

    Args:
        path: absolute.
        size: how many bytes, at least 1.

    Raises:
        InputNotFound: it cannot be opened, or has become shorter.
    """
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - a name that was taken from a path already
            return mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise InputNotFound("the file cannot be opened again, or has become shorter", source=path) from error
