"""A file that two processes see: the child maps what its parent has read, and no byte of it is sent."""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path
from typing import TypeAlias

from edge_sacro.errors import InputNotFound

FileBytes: TypeAlias = "bytes | mmap.mmap"
"""The bytes of a file: held, or mapped read-only. Slices of either are bytes."""

MAPPED_FROM = 1 << 20
"""Bytes of a file from which on mapping it costs less than sending it."""

_PIECE = 1 << 20


def mapped(path: str, size: int) -> mmap.mmap:
    """The beginning of a file, read-only; opened without blocking, whatever stands at its path by now.

    Args:
        path: absolute.
        size: how many bytes, at least 1.

    Raises:
        InputNotFound: it cannot be opened, or has become shorter.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise InputNotFound("the file cannot be opened again, or has become shorter", source=path) from error


def _unblocked(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)


def holds(path: Path, data: bytes) -> bool:
    """Whether a file still has these bytes and no others; False for what cannot be read."""
    try:
        with open(path, "rb", buffering=0, opener=_unblocked) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size != len(data):
                return False
            at, held = 0, memoryview(data)
            while piece := file.read(_PIECE):
                if piece != held[at : at + len(piece)]:
                    return False
                at += len(piece)
            return at == len(data)
    except OSError:
        return False
