"""What becomes of freed memory: that of opening networks goes back, that of an image stays for the next one."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

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
    set_option = _function("mallopt")
    return set_option is not None and bool(
        set_option(_MMAP_THRESHOLD, MAPPED_FROM) and set_option(_TRIM_THRESHOLD, KEPT)
    )


def give_back_freed_memory() -> bool:
    """Give the system what is free now, of every thread: opening networks leaves hundreds of megabytes.

    Returns:
        whether any was given back; False too where the C library is not glibc.
    """
    trim = _function("malloc_trim")
    return trim is not None and bool(trim(0))


def _function(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where it is another one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
