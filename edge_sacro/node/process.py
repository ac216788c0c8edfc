"""The node as a process: what it may not leave behind, the signals that it follows, and what systemd hears of it."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from edge_sacro.node.config import NodeConfig
from edge_sacro.node.serve import Node
from edge_sacro.node.systemd import notify, watchdog_s

_TICK_S = 0.2


def confine() -> None:
    """Let this process write no core dump, which would hold images, and no file that others may read."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve(config: NodeConfig, open_node: Callable[[NodeConfig], Node] = Node) -> None:
    """Run one node until it is told to stop, by SIGTERM or SIGINT. SIGHUP opens the log anew.

    Args:
        config: the node's.
        open_node: makes the node, for tests.

    Raises:
        EdgeSacroError: why the node could not start, or could not go on.
    """
    confine()
    node = open_node(config)
    signals = Signals()
    with signals:
        node.start()
        notify("READY=1")
        _attend(node, signals)
        notify("STOPPING=1")
        node.stop()
    if node.halt.error is not None:
        raise node.halt.error


class Signals:
    """The signals that came, as flags: a handler must take no lock that the interrupted thread may hold."""

    def __init__(self) -> None:
        self.stop = self.reopen = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                self._before[number] = signal.signal(number, self._came)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _came(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.reopen = True
        else:
            self.stop = True


def _attend(node: Node, signals: Signals) -> None:
    """Everything that has to be done now and then, until the node stops."""
    every, told = watchdog_s(), 0.0
    while not node.halt.wait(_TICK_S):
        if signals.stop:
            node.halt.ask()
        if signals.reopen:
            signals.reopen = False
            node.journal.reopen()
        if every is not None and time.monotonic() - told >= every and node.alive():
            told = time.monotonic()
            notify("WATCHDOG=1")
        node.housekeep()
