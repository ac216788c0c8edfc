"""How a request's body comes in: piece by piece, no larger and no slower than allowed, and never all in memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import NoReturn

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from edge_sacro.node.spool import Part
from edge_sacro.node.web.problems import Problem

LEAST_RATE = 256 << 10
"""Bytes a second that a body must come with on average, after the time that its first ones may take."""

WRITE_BYTES = 256 << 10
TOO_LARGE = "instance_too_large"
BODY_READ = "edge_sacro.body_read"
"""In a request's scope: a list that is not empty once the body has come to its end."""
_DRAIN_BYTES, _DRAIN_S = 64 << 20, 2.0
_CLOSE = {"Connection": "close"}


class Pace:
    """How much time is left for a body.

    Args:
        first_s: seconds that may pass beside those that ``LEAST_RATE`` gives for what has come.
    """

    def __init__(self, first_s: float) -> None:
        self._end = time.monotonic() + first_s

    def left(self, received: int) -> float:
        """Seconds until the next piece has to be there."""
        return max(self._end + received / LEAST_RATE - time.monotonic(), 0.0)


async def body(request: Request, pace: Pace) -> AsyncIterator[bytes]:
    """The body's pieces as they come.

    Raises:
        Problem: 408, it comes too slowly.
        ClientDisconnect: the client went away.
    """
    received, more = 0, True
    while more:
        try:
            message = await asyncio.wait_for(request.receive(), pace.left(received))
        except (TimeoutError, asyncio.TimeoutError):
            what = f"the body came slower than {LEAST_RATE >> 10} KiB a second; {received} bytes had come"
            raise Problem(408, "slow_body", what, "Send again over a faster connection.", _CLOSE) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece, more = message.get("body", b""), message.get("more_body", False)
        received += len(piece)
        if piece:
            yield piece


class PartWriter:
    """Writes into a part in large pieces, off the event loop, up to a limit.

    Args:
        part: to write into.
        limit: bytes of one instance.
    """

    def __init__(self, part: Part, limit: int) -> None:
        self._part, self._limit = part, limit
        self._waiting = bytearray()

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self._part.size + len(self._waiting)

    async def write(self, piece: bytes) -> None:
        """Take a piece.

        Raises:
            Problem: 413, the instance is larger than the limit.
            DiskFull, StorageFailed: as ``Part.write``.
        """
        if self.size + len(piece) > self._limit:
            refuse_size(self._limit)
        self._waiting += piece
        if len(self._waiting) >= WRITE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write what waits."""
        pieces, self._waiting = bytes(self._waiting), bytearray()
        if pieces:
            await run_in_threadpool(self._part.write, pieces)


def refuse_size(limit: int) -> NoReturn:
    """Refuse an instance for its size."""
    what = f"the instance is larger than {limit >> 20} MiB"
    raise Problem(413, TOO_LARGE, what, "Send it compressed, or raise limits.instance_mb.", _CLOSE)


def check_announced(request: Request, limit: int) -> None:
    """Refuse a body that announces more than the limit, before any of it is read.

    Raises:
        Problem: 413.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        refuse_size(limit)


async def drain(request: Request) -> None:
    """Read and forget what is left of a refused body, within bounds, so that the client gets to read the answer."""
    if request.headers.get("expect") or request.scope.get(BODY_READ):
        return
    left = _DRAIN_BYTES
    with contextlib.suppress(ClientDisconnect, Problem):
        async for piece in body(request, Pace(_DRAIN_S)):
            left -= len(piece)
            if left < 0:
                return
