"""Instances of a DICOMweb server: listed by QIDO-RS, fetched by WADO-RS (PS3.18), by the standard library alone.

Nothing that the server says is trusted: sizes, times, pages and redirects have limits, and UIDs must be UIDs.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from edge_sacro.batch.multipart import first_part
from edge_sacro.batch.tasks import Task
from edge_sacro.dicom.source import DEFAULT_LIMITS
from edge_sacro.errors import InputNotFound, InputRefused, PeerFailed, SizeLimitExceeded, UsageError
from edge_sacro.report import Ignored

TOKEN = "EDGE_SACRO_DICOMWEB_TOKEN"  # noqa: S105 - the variable's name
SILENCE_S, ANSWER_S = 30.0, 300.0
"""Seconds that the server may be silent, and that one answer may take."""

LIST_BYTES, PAGE, MOST_PAGES = 64 << 20, 500, 100_000
PAUSES_S = (0.5, 2.0, 8.0)
"""Before each new try after a failure that may pass."""

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
_UID = re.compile(r"[0-9.]{1,64}")
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Access:
    """A server and how it is asked.

    Attributes:
        base: address below which its services stand, with no slash at the end.
        token: bearer token; None for none.
        ca: file of certificates to verify it with; None for the system's.
        pauses_s: seconds before each new try.
    """

    base: str
    token: str | None = None
    ca: str | None = None
    pauses_s: Sequence[float] = PAUSES_S


def access_from_options(address: str, token_file: Path | None, ca: Path | None) -> Access:
    """What the command line says of a server.

    Raises:
        UsageError: the address cannot be meant, a file cannot be read, or a token would travel in the clear.
    """
    parts = urlsplit(address)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise UsageError("it is no address of a DICOMweb service", source=address, remedy="Give https://HOST/PATH.")
    try:
        token = token_file.read_text().strip() if token_file else os.environ.get(TOKEN, "").strip()
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", source=str(token_file)) from error
    if token and not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", token):
        raise UsageError("it holds no bearer token", source=str(token_file or TOKEN))
    if token and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise UsageError("a token is not sent without TLS", source=address, remedy="Give an https:// address.")
    return Access(address.rstrip("/"), token or None, None if ca is None else str(ca))


class WebInstances:
    """The instances of the studies that match; see :class:`edge_sacro.batch.sources.Instances`.

    Args:
        access: the server.
        queries: ``KEY=VALUE``, matched by the server against studies, such as ``ModalitiesInStudy=DX``.

    Raises:
        PeerFailed: the server cannot be reached, or answers what is no list.
        UsageError: a query has no ``=``.
    """

    def __init__(self, access: Access, queries: Sequence[str] = ()) -> None:
        self._client = _Client(access)
        self._base = access.base
        wanted = dict(_pair(each) for each in queries)
        try:
            studies = [_uid(each, STUDY, access.base) for each in self._pages("/studies", wanted)]
            self.labels: Sequence[str] = sorted({label for study in studies for label in self._of_study(study)})
        except BaseException:
            self.close()
            raise
        self.ignored: Sequence[Ignored] = ()

    def stamp(self, label: str) -> tuple[int, int] | None:  # noqa: ARG002 - as any source has it
        """None: an instance on a server does not change, its UID names it for ever (PS3.5 9.1)."""
        return None

    def fetch(self, label: str, *, whole: bool = True) -> Task:  # noqa: ARG002 - as any source has it
        """The instance as the server stores it.

        Raises:
            PeerFailed: the server fails. That it does not have the instance, or one too large, is a refusal.
        """
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        try:
            status, headers, body = self._client.get(label, accept, DEFAULT_LIMITS.file_bytes + 65536)
            if status in (404, 410):
                raise InputNotFound("the server does not have it any more", source=label)
            data = first_part(headers.get("content-type", ""), body, label)
            if len(data) > DEFAULT_LIMITS.file_bytes:
                raise SizeLimitExceeded(f"it has more than {DEFAULT_LIMITS.file_bytes} bytes", source=label)
        except InputRefused as refusal:
            return Task(label, refusal, None)
        return Task(label, data, hashlib.sha256(data).hexdigest())

    def close(self) -> None:
        """Leave the server."""
        self._client.close()

    def _of_study(self, study: str) -> Iterator[str]:
        for each in self._pages(f"/studies/{study}/instances", {"includefield": SERIES}):
            series, instance = (_uid(each, tag, self._base) for tag in (SERIES, INSTANCE))
            yield f"{self._base}/studies/{study}/series/{series}/instances/{instance}"

    def _pages(self, path: str, wanted: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Every match of a query, a page after another."""
        seen = 0
        for _ in range(MOST_PAGES):
            query = urlencode({**wanted, "limit": PAGE, "offset": seen})
            address = f"{self._base}{path}?{query}"
            status, _, body = self._client.get(address, "application/dicom+json", LIST_BYTES)
            found = [] if status == 204 else _list(body, status, address)
            yield from found
            seen += len(found)
            if len(found) < PAGE:
                return
        raise PeerFailed(f"its list has more than {MOST_PAGES} pages", source=self._base + path)


class _Client:
    """GET with limits, over one connection a thread. Redirects are not followed: the token is for this server alone."""

    def __init__(self, access: Access) -> None:
        self._access, self._parts = access, urlsplit(access.base)
        self._mine = threading.local()
        self._all: set[http.client.HTTPConnection] = set()
        self._tls = None
        if self._parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=access.ca)
            except (OSError, ssl.SSLError) as error:
                raise UsageError(f"it holds no certificates ({error})", source=access.ca or "--ca") from error

    def get(self, address: str, accept: str, most: int) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case and body; a failure that may pass is tried again."""
        why = ""
        for pause in (0.0, *self._access.pauses_s):
            time.sleep(pause)
            try:
                status, headers, body = self._once(address, accept, most)
            except (OSError, http.client.HTTPException) as error:
                self._forget()
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise PeerFailed(
                        f"its certificate is not trusted: {error.verify_message}", source=address
                    ) from error
                why = f"{type(error).__name__}: {error}"
                continue
            if status in (200, 204, 404, 410):
                return status, headers, body
            if status not in _PASSING:
                told = "; redirects are not followed" if 300 <= status < 400 else ""
                raise PeerFailed(f"it answers with status {status}{told}", source=address)
            why = f"status {status}"
        raise PeerFailed(f"it cannot be asked ({why})", source=address)

    def close(self) -> None:
        """Close every thread's connection; none may be in use."""
        while self._all:
            self._all.pop().close()

    def _once(self, address: str, accept: str, most: int) -> tuple[int, dict[str, str], bytes]:
        until = time.monotonic() + ANSWER_S
        connection = self._connection()
        headers = {"Accept": accept, "User-Agent": "edge-sacro"}
        if self._access.token:
            headers["Authorization"] = f"Bearer {self._access.token}"
        parts = urlsplit(address)
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers)
        answer = connection.getresponse()
        blocks, size = [], 0
        while block := answer.read1(1 << 20):
            size += len(block)
            if size > most:
                self._forget()
                raise SizeLimitExceeded(f"the server's answer has more than {most} bytes", source=address)
            if time.monotonic() > until:
                raise TimeoutError(f"the answer took more than {ANSWER_S:g} s")
            blocks.append(block)
        answer.close()  # read to its end, which the connection is told only now
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, b"".join(blocks)

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if connection is None:
            host, port = self._parts.hostname or "", self._parts.port
            if self._tls is not None:
                connection = http.client.HTTPSConnection(host, port, timeout=SILENCE_S, context=self._tls)
            else:
                connection = http.client.HTTPConnection(host, port, timeout=SILENCE_S)
            self._mine.connection = connection
            self._all.add(connection)
        return connection

    def _forget(self) -> None:
        connection = getattr(self._mine, "connection", None)
        if connection is not None:
            connection.close()
            self._all.discard(connection)
            self._mine.connection = None


def _list(body: bytes, status: int, address: str) -> list[dict[str, Any]]:
    if status != 200:
        raise PeerFailed(f"it has no such list (status {status})", source=address)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PeerFailed("it answers with what is no JSON", source=address) from error
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise PeerFailed("it answers with what is no list of data sets", source=address)
    return found


def _uid(attributes: Mapping[str, Any], tag: str, base: str) -> str:
    """The UID in a data set of the DICOM JSON model (PS3.18 F.2)."""
    try:
        uid = attributes[tag]["Value"][0]
    except (KeyError, IndexError, TypeError) as error:
        raise PeerFailed(f"its list has an entry without {tag}", source=base) from error
    if not isinstance(uid, str) or not _UID.fullmatch(uid):
        raise PeerFailed(f"its list has a {tag} that is no UID", source=base)
    return uid


def _pair(query: str) -> tuple[str, str]:
    key, sign, value = query.partition("=")
    if not key or not sign:
        raise UsageError("a query is KEY=VALUE", source=query)
    return key, value
