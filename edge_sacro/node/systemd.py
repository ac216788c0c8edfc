"""What systemd is told of the node over the socket that it names (sd_notify(3)); nothing where it named none."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Tell one state, such as ``READY=1``. Nobody who listens is no error: systemd draws its own conclusions."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name.startswith(("/", "@")):
        return
    address = "\0" + name[1:] if name.startswith("@") else name
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        told.sendto(state.encode(), address)


def watchdog_s() -> float | None:
    """How often systemd wants to hear ``WATCHDOG=1``: half of its limit; None where it does not."""
    limit, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not limit.isdigit() or pid != str(os.getpid()):
        return None
    return int(limit) / 2e6
