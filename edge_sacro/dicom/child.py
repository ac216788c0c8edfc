"""One decoding process: start it, give it a job, read its answer before a deadline, end it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

from edge_sacro.dicom.limits import ReadLimits
from edge_sacro.dicom.wire import MAX_HEADER, PREFIX, header_bytes
from edge_sacro.errors import DecodeFailed, DecodeLimitExceeded, InternalError

START_S = 60.0
_PIPE_BYTES = 1 << 20
# pydicom imports these where they are installed: a network's client that fetches examples, and decoders. Ours are
# imagecodecs' alone. Without them the process starts up to 0.1 s sooner and has less beside hostile bytes.
_NOT_LOADED = ("requests", "PIL", "jpeg_ls", "gdcm", "pylibjpeg")
_BARE = f"import sys, json; sys.path[:] = json.loads(sys.argv[1]); sys.modules.update(dict.fromkeys({_NOT_LOADED})); "
_CODE = _BARE + "from edge_sacro.dicom.worker import main; main()"


class Child:
    """One decoding process and the pipes to it."""

    def __init__(self) -> None:
        paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - "" means the working folder
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and a constant text
                [sys.executable, "-I", "-c", _CODE, json.dumps(paths)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=environment,
            )
        except OSError as error:
            raise _not_given("start", error) from error
        if self._process.stdin is None or self._process.stdout is None:
            raise InternalError("the decoding process has no pipes")
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in (self._input, self._output):
            os.set_blocking(pipe, False)
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            header, _ = self._exchange([], START_S, 0)
        except (EOFError, OSError):  # among them that its time is over
            self._close_dead()
            raise InternalError(f"the decoding process did not start ({self._end()})") from None
        if header != {"ready": True}:
            self.close()
            raise InternalError("the decoding process greeted with other words than ours")

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def answer(self, header: dict[str, Any], data: bytes, limits: ReadLimits) -> tuple[dict[str, Any], bytearray]:
        """Send one job and wait for its answer.

        Raises:
            DecodeLimitExceeded: it took longer than ``limits.wall_s``, or the system ended it for its processor time.
            DecodeFailed: the process died of it.
        """
        parts = [memoryview(header_bytes(header, len(data))), memoryview(data)]
        try:
            return self._exchange(parts, limits.wall_s, limits.answer_bytes)
        except TimeoutError:
            self.close()
            raise DecodeLimitExceeded(f"reading it took longer than {limits.wall_s:g} s") from None
        except EOFError:
            self._close_dead()
            if self._process.returncode == -signal.SIGXCPU:
                raise DecodeLimitExceeded(f"reading it took more than {limits.cpu_s} s of processor time") from None
            raise DecodeFailed(f"the decoding process died of it ({self._end()})") from None
        except OSError as error:
            self.close()
            raise _not_given("speak to", error) from error

    def alive(self) -> bool:
        """Whether it can take another job."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process, whatever it does, and take its status."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _close_dead(self) -> None:
        """As ``close``, after its pipes ended: its own status is on its way, and a kill must not replace it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self.close()

    def _end(self) -> str:
        """How it ended, for a message."""
        code = self._process.returncode
        if code is not None and code < 0:
            return signal.Signals(-code).name
        return f"exit status {code}"

    def _exchange(self, parts: list[memoryview], seconds: float, largest: int) -> tuple[dict[str, Any], bytearray]:
        """Write ``parts`` and read one message, both before the deadline.

        Raises:
            EOFError: the process closed its pipes.
            TimeoutError: the deadline passed.
            InternalError: the message is larger than any of ours.
        """
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            if parts:
                selector.register(self._input, selectors.EVENT_WRITE)
            prefix = self._read(selector, parts, PREFIX.size, deadline)
            header_size, payload_size = PREFIX.unpack(prefix)
            if header_size > MAX_HEADER or payload_size > largest:
                self.close()
                raise InternalError("the decoding process answered with more than any radiograph takes")
            header = self._read(selector, parts, header_size, deadline)
            payload = self._read(selector, parts, payload_size, deadline)
        try:
            return json.loads(header), payload
        except ValueError:
            self.close()
            raise InternalError("the decoding process answered with what is no JSON") from None

    def _read(self, selector: selectors.BaseSelector, parts: list[memoryview], size: int, deadline: float) -> bytearray:
        """Read exactly ``size`` bytes, writing what is left of ``parts`` meanwhile."""
        buffer = bytearray(size)
        view, filled = memoryview(buffer), 0
        while filled < size:
            left = deadline - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if key.fd == self._input:
                    self._write_some(selector, parts)
                else:
                    count = os.readv(self._output, [view[filled:]])
                    if count == 0:
                        raise EOFError
                    filled += count
        return buffer

    def _write_some(self, selector: selectors.BaseSelector, parts: list[memoryview]) -> None:
        """Write what the pipe takes of the first part, and stop watching the pipe after the last."""
        try:
            sent = os.write(self._input, parts[0])
        except BrokenPipeError:
            raise EOFError from None
        parts[0] = parts[0][sent:]
        if not parts[0]:
            parts.pop(0)
        if not parts:
            selector.unregister(self._input)


def _not_given(what: str, error: OSError) -> InternalError:
    """What the system refused when a child was to be started or spoken to."""
    return InternalError(
        f"the system does not let this process {what} a decoding process: {error.strerror}",
        remedy="Look at what it may have: open files and processes (ulimit -a, systemd's LimitNOFILE), memory.",
    )
