"""Protocol-buffer text format, the form of ``pipeline.config``, read without a schema.

Source: protobuf.dev, "Text Format Language Specification". A message becomes a mapping from field name to its values in
the file's order. An enumeration's name is a string like any other; whether a field is repeated only its reader knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Union

Value = Union[str, int, float, bool, "Message"]
Message = dict[str, list[Value]]

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<name>[A-Za-z_][\w.]*)
      | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?f?)
      | (?P<mark>[{}<>\[\]:;,])""",
    re.VERBOSE,
)
_CLOSING = {"{": "}", "<": ">"}
_WORDS: dict[str, bool] = {"true": True, "false": False, "True": True, "False": False}

Token = tuple[str, str, int]
"""Kind, text and line."""


def message_from_text(content: str) -> Message:
    """The message that a text describes.

    Raises:
        ValueError: the text is none; the message names the line.
    """
    tokens = list(_tokens(content))
    message, at = _message(tokens, 0, "")
    if tokens[at][0] != "end":
        raise _unexpected(tokens[at])
    return message


def _tokens(content: str) -> Iterator[Token]:
    at, line = 0, 1
    while at < len(content):
        match = _TOKEN.match(content, at)
        if match is None:
            raise ValueError(f"line {line}: {content[at : at + 20]!r} cannot be read")
        kind = match.lastgroup or ""
        if kind != "space":
            yield kind, match.group(), line
        line += match.group().count("\n")
        at = match.end()
    yield "end", "the end", line


def _message(tokens: list[Token], at: int, closing: str) -> tuple[Message, int]:
    """Fields up to ``closing`` (or the end), and the place after it."""
    message: Message = {}
    while tokens[at][0] == "name":
        name = tokens[at][1]
        at += 1
        if tokens[at][1] == ":":
            at += 1
        elif tokens[at][1] not in _CLOSING:
            raise _unexpected(tokens[at])
        values, at = _values(tokens, at)
        message.setdefault(name, []).extend(values)
        if tokens[at][1] in {",", ";"}:
            at += 1
    if closing:
        if tokens[at][1] != closing:
            raise _unexpected(tokens[at])
        at += 1
    return message, at


def _values(tokens: list[Token], at: int) -> tuple[list[Value], int]:
    """One value, or those of a list in brackets."""
    if tokens[at][1] != "[" or tokens[at][0] != "mark":
        value, at = _value(tokens, at)
        return [value], at
    values: list[Value] = []
    at += 1
    while tokens[at][1] != "]":
        value, at = _value(tokens, at)
        values.append(value)
        if tokens[at][1] == ",":
            at += 1
        elif tokens[at][1] != "]":
            raise _unexpected(tokens[at])
    return values, at + 1


def _value(tokens: list[Token], at: int) -> tuple[Value, int]:
    kind, written, _ = tokens[at]
    if kind == "mark" and written in _CLOSING:
        return _message(tokens, at + 1, _CLOSING[written])
    if kind == "string":
        parts = ""
        while tokens[at][0] == "string":
            parts += re.sub(r"\\(.)", r"\1", tokens[at][1][1:-1])
            at += 1
        return parts, at
    if kind == "number":
        digits = written.removesuffix("f")
        return (int(digits) if re.fullmatch(r"[-+]?\d+", digits) else float(digits)), at + 1
    if kind == "name":
        return _WORDS.get(written, written), at + 1
    raise _unexpected(tokens[at])


def _unexpected(token: Token) -> ValueError:
    return ValueError(f"line {token[2]}: {token[1]} is not expected here")
