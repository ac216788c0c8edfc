"""The door: who connects waits here, without a thread, until a whole association request has come.

pynetdicom starts two threads for whoever connects, does the TLS handshake of one while all others wait, and counts a
connection that says nothing as an association. Here one thread holds all connections that have not said who they are.
Each has a few seconds; when there are too many, the oldest of the address that holds most has to go, so that one
address cannot keep another out.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from typing import NamedTuple, Protocol

from edge_sacro.errors import NodeConfigInvalid
from edge_sacro.node.guard import Bounds

_REQUEST = 0x01
_TITLES = slice(10, 26), slice(26, 42)
"""Called and calling AE title in an A-ASSOCIATE-RQ (PS3.8, 9.3.2)."""


class Rejection(NamedTuple):
    """An A-ASSOCIATE-RJ (PS3.8, 9.3.4): result, source, reason."""

    result: int
    source: int
    reason: int

    def pdu(self) -> bytes:
        """Its bytes."""
        return bytes((0x03, 0, 0, 0, 0, 4, 0, *self))


CALLING_UNKNOWN, CALLED_UNKNOWN, BUSY = Rejection(1, 1, 3), Rejection(1, 1, 7), Rejection(2, 3, 2)


class Caller(NamedTuple):
    """Somebody who asks for an association, as far as that is known before it is negotiated.

    Attributes:
        connection: blocking again; TLS is established where the node asks for it.
        address: of the other side.
        called, calling: AE titles, without the spaces around them.
        request: the whole A-ASSOCIATE-RQ PDU, which was read from the connection.
    """

    connection: socket.socket
    address: str
    called: str
    calling: str
    request: bytes


class Keeper(Protocol):
    """Whoever decides who comes in. All are called in the door's thread."""

    def admit(self, caller: Caller) -> Rejection | None:
        """Take who asks, or say why not."""

    def complain(self, kind: str, address: str) -> None:
        """Hear what was done wrong, and from where."""

    def deaf(self, error: Exception) -> None:
        """Hear that the door failed, so that nobody can come in any more."""


class _Waiting:
    """A connection that has not said all yet."""

    def __init__(self, connection: socket.socket, address: str, deadline: float) -> None:
        self.connection, self.address, self.deadline = connection, address, deadline
        self.said = bytearray()
        self.shaking = isinstance(connection, ssl.SSLSocket)
        self.leaving = False

    def missing(self) -> int:
        """Bytes until its request is complete."""
        if len(self.said) < 6:
            return 6 - len(self.said)
        return 6 + int.from_bytes(self.said[2:6], "big") - len(self.said)


class Door:
    """The listening socket.

    Args:
        address: host and port; port 0 lets the system choose.
        context: TLS; None for plain connections.
        bounds: how many may wait, for how long, and how much they may say.
        keeper: decides.

    Raises:
        NodeConfigInvalid: nothing can listen there.
    """

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext | None, bounds: Bounds, keeper: Keeper
    ) -> None:
        self._context, self._bounds, self._keeper = context, bounds, keeper
        try:
            family, *_, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            both = place[0] == "::" and socket.has_dualstack_ipv6()
            self._listener = socket.create_server(place[:2], family=family, backlog=128, dualstack_ipv6=both)
        except OSError as error:
            where = f"{address[0]}:{address[1]}"
            raise NodeConfigInvalid(f"dicom: cannot listen: {error.strerror}", source=where) from error
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._rouse, self._roused = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[int, _Waiting] = {}
        self._open = True
        self._thread = threading.Thread(target=self._run, name="dicom-door", daemon=True)

    def start(self) -> None:
        """Open."""
        self._thread.start()

    def stop(self) -> None:
        """Close, and send away who waits."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(OSError):  # it failed and has closed everything
            self._rouse.send(b"\0")
        self._thread.join()

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - a node that nobody can reach must not look as if it ran
            self._keeper.deaf(error)
        finally:
            for each in list(self._waiting.values()):
                self._send_away(each)
            self._selector.close()
            for end in (self._listener, self._rouse, self._roused):
                end.close()

    def _serve(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._roused, selectors.EVENT_READ)
        while self._open:
            first = min((each.deadline for each in self._waiting.values()), default=None)
            ready = self._selector.select(None if first is None else max(0.0, first - time.monotonic()))
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._welcome()
                elif (waiting := self._waiting.get(key.fd)) is not None:
                    self._listen(waiting)
            self._expire()

    def _welcome(self) -> None:
        """Let one in to wait."""
        try:
            connection, address = self._listener.accept()
        except OSError:  # gone again, or no file descriptor is left: whoever waits longest makes room
            if self._waiting:
                self._send_away(next(iter(self._waiting.values())), "crowd")
            else:
                time.sleep(0.01)
            return
        connection.setblocking(False)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        if len(self._waiting) >= self._bounds.waiting:
            (crowding, _), *_ = Counter(each.address for each in self._waiting.values()).most_common(1)
            self._send_away(next(each for each in self._waiting.values() if each.address == crowding), "crowd")
        waiting = _Waiting(connection, address[0], time.monotonic() + self._bounds.request_s)
        self._waiting[connection.fileno()] = waiting
        self._selector.register(connection, selectors.EVENT_READ)

    def _listen(self, waiting: _Waiting) -> None:
        """Take what somebody has to say now."""
        try:
            complete = self._heard(waiting)
        except ssl.SSLWantReadError:
            self._selector.modify(waiting.connection, selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._selector.modify(waiting.connection, selectors.EVENT_WRITE)
        except BlockingIOError:
            return
        except ssl.SSLError as error:
            told = getattr(error, "verify_message", "") or error.reason or "without a reason"
            self._send_away(waiting, f"tls: {told.replace('_', ' ').lower()}")
        except OSError:
            self._send_away(waiting)
        else:
            if complete:
                self._introduce(waiting)

    def _heard(self, waiting: _Waiting) -> bool:
        """Read up to the end of the request, and whether that is reached; who cannot mean one is sent away."""
        if waiting.shaking and isinstance(waiting.connection, ssl.SSLSocket):
            waiting.connection.do_handshake()
            waiting.shaking = False
        while (missing := waiting.missing()) > 0:
            said = waiting.connection.recv(missing)
            waiting.said += said
            if not said or (len(waiting.said) == 6 and not self._sensible(waiting)):
                self._send_away(waiting, "no_request" if said else None)
                return False
        return True

    def _sensible(self, waiting: _Waiting) -> bool:
        """Whether six bytes begin an association request of a size that one may have."""
        return waiting.said[0] == _REQUEST and 68 <= waiting.missing() <= self._bounds.request_bytes

    def _introduce(self, waiting: _Waiting) -> None:
        """Bring a complete request before ``admit``; who is rejected gets the answer and the rest of its time to go."""
        if waiting.leaving:
            self._send_away(waiting)
            return
        called, calling = (waiting.said[each].decode("ascii", "replace").strip(" \0") for each in _TITLES)
        self._selector.unregister(waiting.connection)
        del self._waiting[waiting.connection.fileno()]
        waiting.connection.settimeout(self._bounds.pdu_s)
        caller = Caller(waiting.connection, waiting.address, called, calling, bytes(waiting.said))
        try:
            rejection = self._keeper.admit(caller)
        except BaseException:
            waiting.connection.close()
            raise
        if rejection is None:
            return
        waiting.connection.setblocking(False)
        with contextlib.suppress(OSError):
            waiting.connection.send(rejection.pdu())
        waiting.leaving = True
        self._waiting[waiting.connection.fileno()] = waiting
        self._selector.register(waiting.connection, selectors.EVENT_READ)

    def _expire(self) -> None:
        """Send away whose time is up."""
        now = time.monotonic()
        for each in [each for each in self._waiting.values() if each.deadline <= now]:
            self._send_away(each, None if each.leaving else "silent")

    def _send_away(self, waiting: _Waiting, why: str | None = None) -> None:
        if why is not None:
            self._keeper.complain(why, waiting.address)
        self._waiting.pop(waiting.connection.fileno(), None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(waiting.connection)
        waiting.connection.close()
