"""Building in a process of its own, while what serves goes on serving; then the swap."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any, Literal

from edge_sacro.engine.serve import QualifiedEngines, require_qualified
from edge_sacro.engine.worker import BuildRequest, request_text
from edge_sacro.errors import EdgeSacroError, EngineBuildFailed, all_errors
from edge_sacro.manifest import NetworkName

Message = Mapping[str, Any]
State = Literal["building", "serving", "failed"]

TIMEOUT_S = 4 * 3600.0
"""A full system takes minutes on a small Jetson; this ends a builder that hangs."""

_CODE = "import sys, json; sys.path[:] = json.loads(sys.argv.pop(1)); from edge_sacro.engine.worker import main; main()"


class BuildProcess:
    """One building process.

    Args:
        request: what it builds.
        timeout_s: seconds after which it is ended.
    """

    def __init__(self, request: BuildRequest, timeout_s: float = TIMEOUT_S) -> None:
        paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - "" means the working folder
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by run
        self._timeout_s, self._late = timeout_s, False
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and a constant text
            [sys.executable, "-I", "-c", _CODE, json.dumps(paths), request_text(request)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def run(self, progress: Callable[[Message], None] | None = None) -> dict[NetworkName, str]:
        """Wait for the keys of the engines, by network.

        Args:
            progress: given each message: ``progress``, ``built`` and ``qualified``.

        Raises:
            EdgeSacroError: what the process raised.
            EngineBuildFailed: it crashed, was ended, or passed its time.
        """
        timer = threading.Timer(self._timeout_s, self._expire)
        timer.daemon = True
        timer.start()
        last: Message = {}
        try:
            for line in self._process.stdout or ():
                with contextlib.suppress(ValueError):  # the last line of a process that was ended may be half a line
                    last = json.loads(line)
                    if progress is not None and not last.keys() & {"error", "done"}:
                        progress(last)
            status = self._process.wait()
        finally:
            timer.cancel()
            self.cancel()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            said = self._last_words()
        if "done" in last:
            return dict(last["done"])
        if "error" in last:
            raise _error_from_message(last["error"])
        end = f"signal {-status}" if status < 0 else f"status {status}"
        reason = f"it took more than {self._timeout_s:g} s" if self._late else f"it ended with {end}"
        raise EngineBuildFailed(f"the building process: {reason}{said}", source="builder")

    def cancel(self) -> None:
        """End the process. What it has stored stays, and serves nothing."""
        if self._process.poll() is None:
            self._process.kill()

    def _expire(self) -> None:
        self._late = True
        self.cancel()

    def _last_words(self) -> str:
        with self._said as file:
            file.seek(0)
            lines = file.read()[-4000:].decode(errors="replace").strip().splitlines()
        return f"; its last words: {lines[-1]}" if lines else ""


class BackgroundBuild:
    """Builds and qualifies engines behind a running service, then puts them into its place.

    Args:
        engines: what the running runtime was opened with.
        request: of its bundle, precision and store.
        progress: given the building process's messages, from another thread.
        timeout_s: seconds after which the build is given up.

    Attributes:
        state: ``building``, then ``serving`` or ``failed``.
        error: why it failed, or None.
    """

    def __init__(
        self,
        engines: QualifiedEngines,
        request: BuildRequest,
        progress: Callable[[Message], None] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.state: State = "building"
        self.error: Exception | None = None
        self._engines, self._progress = engines, progress
        self._process = BuildProcess(request, timeout_s)
        self._thread = threading.Thread(target=self._run, name="engine-build", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> State:
        """Wait for the end, or as long as is given; the state then."""
        self._thread.join(timeout_s)
        return self.state

    def cancel(self) -> None:
        """End the build; what serves goes on."""
        self._process.cancel()

    def _run(self) -> None:
        try:
            keys = self._process.run(self._progress)
            for key in keys.values():
                require_qualified(self._engines.store, key)
            self._engines.put_into_service(keys)
        except Exception as error:  # noqa: BLE001 - kept for whoever waits; what serves is not touched
            self.error, self.state = error, "failed"
        else:
            self.state = "serving"


def _error_from_message(message: Message) -> EdgeSacroError:
    """The error that the process raised, of its own class."""
    classes = {error.code: error for error in all_errors()}
    return classes[message["code"]](message["what"], source=message.get("source"), remedy=message.get("remedy"))
