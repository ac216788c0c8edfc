"""``multipart/related`` taken apart as it comes (RFC 2046 5.1, RFC 2387), with nothing of a part kept in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple, TypeAlias

from edge_sacro.node.web.problems import Problem

_HEADER_BYTES = 8 << 10
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
"""1 to 70 of these characters, no blank at the end (RFC 2046 5.1.1)."""


class Begin(NamedTuple):
    """A part begins. Names of headers are in lower case."""

    headers: dict[str, str]


class Piece(NamedTuple):
    """Some bytes of the part."""

    content: bytes


class End(NamedTuple):
    """The part is whole."""


Event: TypeAlias = "Begin | Piece | End"


def boundary_from_type(content_type: str, wanted: str) -> bytes:
    """The boundary that a Content-Type names.

    Args:
        content_type: the header.
        wanted: the media type that its parts must have, which its ``type`` parameter says.

    Raises:
        Problem: 415, it is another type; 400, its boundary is absent or none.
    """
    message = Message()
    message["Content-Type"] = content_type
    kind = message.get_param("type")
    if message.get_content_type() != "multipart/related" or not isinstance(kind, str) or kind.lower() != wanted:
        remedy = f'Send Content-Type: multipart/related; type="{wanted}"; boundary=…'
        raise Problem(415, "media_type", "the body is said to hold no DICOM files", remedy)
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or not _BOUNDARY.fullmatch(boundary):
        raise Problem(400, "multipart", "the boundary is absent or none", "Name the boundary of the parts.")
    return boundary.encode("ascii")


class Multipart:
    """The state between two pieces of a body. Args: the boundary."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # so that the first delimiter is found as the others are
        self._state = "preamble"

    @property
    def complete(self) -> bool:
        """Whether the closing delimiter has come."""
        return self._state == "epilogue"

    def feed(self, content: bytes) -> Iterator[Event]:
        """What a piece of the body holds.

        Raises:
            Problem: 400, it is no multipart body.
        """
        self._buffer += content
        while True:
            if self._state == "epilogue":
                self._buffer.clear()
                return
            if self._state == "headers":
                headers = self._headers()
                if headers is None:
                    return
                self._state = "data"
                yield Begin(headers)
                continue
            if self._state == "delimiter":
                if not self._after_delimiter():
                    return
                continue
            found = self._buffer.find(self._delimiter)
            keep = len(self._delimiter) - 1
            end = found if found >= 0 else max(len(self._buffer) - keep, 0)
            if self._state == "data" and end:
                yield Piece(bytes(self._buffer[:end]))
            del self._buffer[:end]
            if found < 0:
                return
            del self._buffer[: len(self._delimiter)]
            if self._state == "data":
                yield End()
            self._state = "delimiter"

    def _after_delimiter(self) -> bool:
        """Look at what follows a delimiter: the end, or the line's end before a part; False where more has to come."""
        if self._buffer[:2] == b"--":
            self._state = "epilogue"
            return True
        line = self._buffer.find(b"\r\n")
        if line < 0:
            if len(self._buffer) > _HEADER_BYTES:
                raise _broken("a delimiter's line does not end")
            return False
        if bytes(self._buffer[:line]).strip(b" \t"):
            raise _broken("something stands behind a delimiter")
        del self._buffer[:line]  # its line's end stays: a part without headers begins with an empty line
        self._state = "headers"
        return True

    def _headers(self) -> dict[str, str] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > _HEADER_BYTES:
            if len(self._buffer) > _HEADER_BYTES:
                raise _broken(f"a part's headers take more than {_HEADER_BYTES} bytes")
            return None
        text = bytes(self._buffer[:end]).decode("latin-1")
        del self._buffer[: end + 4]
        found: dict[str, str] = {}
        for line in text.split("\r\n"):
            name, colon, value = line.partition(":")
            if line and not colon:
                raise _broken("a part's header has no colon")
            if colon:
                found[name.strip().lower()] = value.strip()
        return found


def _broken(what: str) -> Problem:
    return Problem(400, "multipart", f"the body is no multipart body: {what}", "Send it as PS3.18 10.5 says.")
