"""Memory that one image has left stays with the process, so that the next one need not ask the system for it again."""

from __future__ import annotations

import ctypes
import sys

MAPPED_FROM = 24 << 20
"""Bytes from which on a block is asked of the system: more than the files and images of a radiograph take."""

KEPT = 256 << 20
"""Bytes, at most, that are kept although they are free."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h."""


def keep_freed_memory() -> bool:
    """Have this process keep freed memory, for a process that assesses images one after another.

    A page that is touched for the first time costs microseconds, and an image has thousands of them. Programs that
    embed the runtime decide for themselves.

    Returns:
        whether the C library takes the setting; glibc does. Answers are the same either way.
    """
    if sys.platform != "linux":
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and bool(
        set_option(_MMAP_THRESHOLD, MAPPED_FROM) and set_option(_TRIM_THRESHOLD, KEPT)
    )
