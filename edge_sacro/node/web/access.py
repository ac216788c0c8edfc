"""Who may ask what: the guard in front of every route.

Without a token and without TLS the interface listens on loopback alone, where every program of this machine may ask.
A web page that the same machine's browser shows may not: its Origin is another one, and a name that was rebound to
127.0.0.1 is no name of this machine.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from edge_sacro.errors import NodeConfigInvalid
from edge_sacro.node.config import Http, is_loopback
from edge_sacro.node.web.problems import Problem

OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
"""What anybody who can connect may read: nothing in it is about a patient."""

OPEN_FOLDER = "/static/"
_LEAST_TOKEN = 20
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PEER = 64


class Access:
    """The rules of one configuration.

    Args:
        http: the configuration.

    Raises:
        NodeConfigInvalid: the token file cannot be read, may be read by everybody, or holds no good token.
    """

    def __init__(self, http: Http) -> None:
        self._loopback = is_loopback(http.host)
        self._certificates = http.tls is not None
        self._digest = None if http.token_file is None else _digest(token_from_file(http.token_file))

    def check(self, connection: HTTPConnection, method: str) -> None:
        """Let a request pass.

        Raises:
            Problem: 400, 401, 403 or 415.
        """
        headers = connection.headers
        if self._loopback:
            self._check_host(headers)
        _check_origin(headers, method, connection.url.path)
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            remedy = "Send the body as it is, without Content-Encoding."
            raise Problem(415, "encoded_body", "the body is compressed", remedy, {"Accept-Encoding": "identity"})
        path = connection.url.path
        if path not in OPEN and not path.startswith(OPEN_FOLDER):
            self._check_right(connection)

    def _check_host(self, headers: Headers) -> None:
        """On loopback the client must call this machine by a name of loopback (DNS rebinding)."""
        try:
            host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        except ValueError:
            host = ""
        if not is_loopback(host):
            remedy = "Call http://127.0.0.1 or http://localhost."
            raise Problem(403, "wrong_host", "the Host header names another machine", remedy)

    def _check_right(self, connection: HTTPConnection) -> None:
        if self._digest is None:
            # a certificate was asked for during the handshake, or the client is on this machine
            return
        if self._certificates and connection.scope.get("state", {}).get("certified"):
            return
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(_digest(token.strip()), self._digest):
            return
        challenge = {"WWW-Authenticate": 'Bearer realm="edge-sacro"'}
        remedy = "Send the node's token: Authorization: Bearer TOKEN."
        raise Problem(401, "not_authorised", "the request carries no valid token", remedy, challenge)


def token_from_file(path: Path) -> str:
    """The token: the file's one line.

    Raises:
        NodeConfigInvalid: it cannot be read, may be read by everybody, or is short.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise NodeConfigInvalid(f"http.token_file cannot be read: {error}", source=str(path)) from error
    if mode & 0o007:
        raise NodeConfigInvalid(
            "http.token_file may be read by everybody", source=str(path), remedy="chmod 600 the token file."
        )
    token = text.strip()
    if len(token) < _LEAST_TOKEN or not token.isprintable() or " " in token:
        raise NodeConfigInvalid(
            f"http.token_file holds no token of {_LEAST_TOKEN} characters or more",
            source=str(path),
            remedy="Write one: openssl rand -hex 32 > FILE.",
        )
    return token


def peer_of(connection: HTTPConnection) -> str:
    """From whom a request comes, for the queue: the certificate's name, or the address."""
    named = connection.scope.get("state", {}).get("peer_name")
    if named:
        return str(named)[:_PEER]
    return f"http:{address_of(connection)}"[:_PEER]


def address_of(connection: HTTPConnection) -> str:
    """The address that a request comes from."""
    return connection.client.host if connection.client else "unknown"


def _check_origin(headers: Headers, method: str, path: str) -> None:
    """Refuse what a page of another site makes a browser send."""
    site = headers.get("sec-fetch-site")
    foreign = site is not None and site not in ("same-origin", "none")
    if foreign and path == "/" and method in _SAFE and headers.get("sec-fetch-mode") == "navigate":
        foreign = False  # a link to the page, which holds nothing until its own script asks
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        foreign = True
    if foreign:
        remedy = "Open the node's own page, or call it from a program."
        raise Problem(403, "cross_origin", "the request comes from another site's page", remedy)


def _digest(token: str) -> bytes:
    """Equal lengths for a comparison whose time tells nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
