"""The process that the C library starts: one runtime, one file after another, until the console is done or gone.

Run as ``python -I -m edge_sacro.embed.worker NAME=VALUE...`` with the library's socket as descriptor 0 and its
lifeline, a pipe that the console holds open, as descriptor 3.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from edge_sacro.bundle import Bundle
    from edge_sacro.embed.wire import Request
    from edge_sacro.engine import Opener
    from edge_sacro.manifest import Precision
    from edge_sacro.report import Result
    from edge_sacro.runtime import Runtime

LIFELINE = 3
OPTIONS = frozenset(
    {"bundle", "backend", "engines", "precision", "operating_point", "overrides", "trust", "trust_state"}
    | {"threads", "memory_limit_bytes"}
)
_MARGIN, _LONGEST_MARGIN_S = 1 / 20, 0.05
"""Of a deadline: what the runtime leaves of it, so that it can say so before it is ended."""


class _Ending(Exception):
    """An answer was given after which nothing that this process holds can be trusted."""


def main() -> None:
    """Open a runtime, greet, and answer requests until the socket ends."""
    _die_with_the_console()
    console = _console()
    options = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
    _limit(int(options.get("memory_limit_bytes", 0)))
    with contextlib.suppress(_Ending, ConnectionError, EOFError):
        with _told(console, 0):
            from edge_sacro.embed.wire import greeting

            runtime = runtime_from_options(options)
            console.sendall(greeting())
        while True:
            _answer(console, runtime)


def runtime_from_options(options: dict[str, str]) -> Runtime:
    """The runtime that the console asked for.

    Raises:
        EdgeSacroError: as the runtime's.
    """
    from edge_sacro import dicom
    from edge_sacro.bundle import DEMONSTRATION, load_bundle
    from edge_sacro.engine.opening import preload
    from edge_sacro.errors import UsageError
    from edge_sacro.memory import keep_freed_memory
    from edge_sacro.runtime import Runtime
    from edge_sacro.trust import default_state, trust_from_files

    unknown = sorted(options.keys() - OPTIONS)
    if unknown:
        raise UsageError(f"the package does not know the options {', '.join(unknown)}", remedy="Install a later one.")
    keep_freed_memory()
    dicom.warm_up()
    backend = options.get("backend", "onnxruntime")
    preload([backend])
    trust = None
    if "trust" in options:
        trust = trust_from_files([options["trust"]], options.get("trust_state") or default_state())
    elif "trust_state" in options:
        raise UsageError("a memory of sequences is kept for signed bundles, and no key is pinned", source="trust_state")
    bundle = load_bundle(options.get("bundle", DEMONSTRATION), trust)
    return Runtime(
        bundle,
        backend=backend,
        precision=cast("Precision | None", options.get("precision")),
        operating_point=options.get("operating_point"),
        overrides=[code.strip() for code in options.get("overrides", "").split(",") if code.strip()],
        threads=int(options.get("threads", 0)) or None,
        opener=_opener(options, bundle),
    )


def _opener(options: dict[str, str], bundle: Bundle) -> Opener:
    """What opens networks: the backend, or the engines in service in a store."""
    from edge_sacro.engine import open_engine
    from edge_sacro.engine.serve import QualifiedEngines
    from edge_sacro.engine.store import EngineStore
    from edge_sacro.errors import UsageError

    if "engines" not in options:
        return open_engine
    if "backend" in options:
        raise UsageError("engines have their own backend", source="backend", remedy="Give engines or a backend.")
    precision = cast("Precision", options.get("precision", bundle.manifest.default_precision))
    return QualifiedEngines(EngineStore(options["engines"]), bundle, precision)


def _answer(console: socket.socket, runtime: Runtime) -> None:
    """One request, from its first byte to the last of its answer."""
    from edge_sacro.embed.wire import (
        REQUEST,
        STATUS_DEADLINE,
        message_from_error,
        message_from_result,
        request_from_bytes,
    )
    from edge_sacro.report import json_from_report

    request = request_from_bytes(bytes(_received(console, REQUEST.size)))
    with _told(console, request.number):
        name = os.fsdecode(bytes(_received(console, request.name_length)))
        result = _assessed(console, runtime, request, name)
        if result.reason_code == "deadline_exceeded":
            remedy = "Raise the deadline, or use more threads or a faster backend."
            what = message_from_error(request.number, STATUS_DEADLINE, result.reason_code, result.reason, remedy)
        else:
            report = runtime.report([result])
            about = report.bundle
            text = json_from_report(report).encode("utf-8", "backslashreplace")
            what = message_from_result(request.number, result, about.statement, text, demonstration=about.demonstration)
        console.sendall(what)


def _assessed(console: socket.socket, runtime: Runtime, request: Request, name: str) -> Result:
    from edge_sacro.embed.wire import FILE

    margin = min(request.deadline_s * _MARGIN, _LONGEST_MARGIN_S)
    runtime.deadline_s = max(request.deadline_s - margin, 0.001)
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")
    if request.kind == FILE:
        return runtime.infer(Path(name), name=shown)
    return runtime.infer(bytes(_received(console, request.length)), name=shown or "(bytes)")


@contextlib.contextmanager
def _told(console: socket.socket, number: int) -> Iterator[None]:
    """What goes wrong inside is told to the console, as the answer to request ``number``; this process then ends.

    Raises:
        _Ending: it was told.
    """
    try:
        yield
    except (ConnectionError, EOFError):
        raise
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)  # into the console's log, where it has one
        from edge_sacro.embed.wire import message_from_error

        console.sendall(message_from_error(number, *_words(error)))
        raise _Ending from error


def _words(error: Exception) -> tuple[int, str, str, str]:
    """Status, code, text and remedy of what went wrong."""
    from edge_sacro.embed.wire import STATUS_FAILED, STATUS_MEMORY
    from edge_sacro.errors import BackendError, EdgeSacroError, InternalError

    vendors = isinstance(error, BackendError) or not isinstance(error, EdgeSacroError)
    if isinstance(error, MemoryError) or (vendors and "alloc" in str(error)):  # bad_alloc, "Failed to allocate"
        limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
        remedy = "Raise es_options.memory_limit_bytes, or use fewer threads or a smaller bundle."
        return (
            STATUS_MEMORY,
            "memory",
            f"the runtime needs more than the {limit} bytes of private memory allowed",
            remedy,
        )
    if not isinstance(error, EdgeSacroError):
        error = InternalError(f"{type(error).__name__}: {error}")
    where = f"{error.source}: " if error.source else ""
    return STATUS_FAILED, error.code, f"{where}{error.what}", error.remedy


def _received(console: socket.socket, size: int) -> bytearray:
    """Exactly so many bytes.

    Raises:
        EOFError: the console closed the socket.
    """
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = console.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return data


def _console() -> socket.socket:
    """The library's socket, under a number of its own; standard input becomes empty, other descriptors are closed.

    A console's devices must not be held open here.
    """
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        if int(name) > LIFELINE:
            with contextlib.suppress(OSError):
                os.close(int(name))
    console = socket.socket(fileno=os.dup(0))
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return console


def _die_with_the_console() -> None:
    """Have the system end this process and its children once the console's end of the lifeline is closed.

    The console may be killed, and Python may be busy inside a library just then: so it is a signal of the system's own.
    PR_SET_PDEATHSIG would come with the end of the console's thread that started this process, not of the console.
    """
    os.set_inheritable(LIFELINE, False)
    fcntl.fcntl(LIFELINE, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(LIFELINE, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(LIFELINE, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    watch = select.poll()
    watch.register(LIFELINE, select.POLLIN)
    if watch.poll(0):
        sys.exit("edge-sacro: the console is gone")


def _limit(memory: int) -> None:
    """No more private memory than allowed, no core file of a patient's image, and the first to go where memory ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]  # of the console itself; nobody may raise it
        allowed = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # the library waits for the end of a process that has closed its socket; nothing here needs tidying
