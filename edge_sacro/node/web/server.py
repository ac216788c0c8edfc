"""uvicorn in a thread, with limits that it does not have by itself."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge_sacro.errors import NodeConfigInvalid
from edge_sacro.node.config import Http, Tls
from edge_sacro.node.tls import server_context

HEADER_S = 10.0
"""Time that a request's line and headers may take, from the connection or from the request before."""

REQUEST_S = 1800.0
"""Time that one request may take in all; a body's own limits end before."""

STALLED_S = 30.0
"""Time that a client may leave an answer unread."""

HEADER_BYTES = 16 << 10
CONNECTIONS = 256
"""At most so many at once. Beyond them the one that has been idle for longest makes room for a new one."""

_KEEP_ALIVE_S, _GRACE_S, _START_S = 15, 5, 20.0


class GuardedProtocol(H11Protocol):
    """One connection, ended where its client is slower than it may be."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection in, or end it where there are too many; and tell who it is by its certificate."""
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._since = self.loop.time()
        if len(self.connections) > CONNECTIONS and not self._make_room():
            transport.abort()
            return
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # asyncio does it for sockets that name their protocol alone; without it small answers wait 40 ms
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        certificate = transport.get_extra_info("peercert")
        self.app_state = {**self.app_state, "certified": bool(certificate), "peer_name": _common_name(certificate)}
        self._end_after(HEADER_S)

    def data_received(self, data: bytes) -> None:
        """Watch how long headers take; a body has limits of its own."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._end_after(REQUEST_S)

    def on_response_complete(self) -> None:
        """Wait for the next request, and not for long."""
        super().on_response_complete()
        self._since = self.loop.time()
        self._end_after(HEADER_S + _KEEP_ALIVE_S)

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _make_room(self) -> bool:
        """End the connection that has been without a request for longest; False where all have one."""
        idle = [each for each in self.connections if isinstance(each, GuardedProtocol) and each.idle]
        oldest = min((each for each in idle if each is not self), key=lambda each: each.since, default=None)
        if oldest is not None:
            oldest.transport.abort()
        return oldest is not None

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return bool(getattr(self.cycle, "response_complete", True))

    @property
    def since(self) -> float:
        """When it was opened or its last request was answered, by the loop's clock."""
        return self._since

    def _end_after(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)


class WebServer:
    """The HTTP interface, served from a thread.

    Args:
        http: the configuration.
        app: what ``app_from_node`` made.

    Attributes:
        port: where it listens, once started.
    """

    def __init__(self, http: Http, app: FastAPI) -> None:
        self._http, self._app = http, app
        self.port = http.port
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        logger = logging.getLogger("uvicorn")
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=HEADER_BYTES,
        )
        config.load()
        config.ssl = None if http.tls is None else tls_context(http.tls, with_token=http.token_file is not None)
        self._server = uvicorn.Server(config)

    def start(self) -> None:
        """Listen, and return once requests are answered.

        Raises:
            NodeConfigInvalid: the address cannot be listened on.
        """
        self._socket = _listening(self._http)
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)
        self._thread.start()
        waiting = threading.Event()
        for _ in range(int(_START_S / 0.02)):
            if self._server.started or not self._thread.is_alive():
                break
            waiting.wait(0.02)
        if not self._server.started:
            raise NodeConfigInvalid("the HTTP server did not start", source="http")

    def stop(self) -> None:
        """End it: whoever waits for a result is answered, other requests get a few seconds."""
        self._app.state.stopping.set()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_GRACE_S + 5)
        if self._socket is not None:
            self._socket.close()

    @property
    def alive(self) -> bool:
        """Whether it serves."""
        return self._thread is not None and self._thread.is_alive()


def tls_context(tls: Tls, *, with_token: bool) -> ssl.SSLContext:
    """As for DICOM; where there is a token, a client's certificate is welcome and no longer needed.

    Raises:
        NodeConfigInvalid: a file of the certificates cannot be used.
    """
    context = server_context(tls)
    context.verify_mode = ssl.CERT_OPTIONAL if with_token else ssl.CERT_REQUIRED
    return context


def _listening(http: Http) -> socket.socket:
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    try:
        return socket.create_server((http.host, http.port), family=family, backlog=128)
    except OSError as error:
        raise NodeConfigInvalid(
            f"cannot listen on {http.host} port {http.port}: {error.strerror}",
            source="http",
            remedy="Choose another http.port, or end what listens there.",
        ) from error


def _common_name(certificate: dict[str, Any] | None) -> str | None:
    """The name in a client's certificate, printable characters alone."""
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return "".join(each for each in str(value) if each.isprintable()) or None
    return None
