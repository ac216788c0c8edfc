"""Protocol-buffer wire format, read by hand: the few messages of a checkpoint need no schema compiler.

Source: protobuf.dev, "Encoding". A message becomes a mapping from field number to its values in the file's order; a
length-delimited value stays bytes, a varint and a fixed-width value become a non-negative integer.
"""

from __future__ import annotations

import struct

Fields = dict[int, list["int | bytes"]]

_LONGEST_VARINT = 10


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at an offset, and the offset after it.

    Raises:
        ValueError: the data ends inside it, or it is longer than ten bytes.
    """
    value = 0
    for index in range(_LONGEST_VARINT):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError(f"no varint at byte {at}")


def fields_from_bytes(data: bytes) -> Fields:
    """All fields of one message.

    Raises:
        ValueError: the bytes are no message.
    """
    fields: Fields = {}
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        value, at = _value(data, at, tag & 7)
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def integer(fields: Fields, number: int) -> int:
    """The last value of an integer field, 0 where it is absent (proto3's default)."""
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise TypeError(f"field {number} holds bytes, not an integer")
    return value


def messages(fields: Fields, number: int) -> list[bytes]:
    """All values of a length-delimited field."""
    values = fields.get(number, [])
    found = [value for value in values if isinstance(value, bytes)]
    if len(found) != len(values):
        raise TypeError(f"field {number} holds an integer, not bytes")
    return found


def text(fields: Fields, number: int) -> str:
    """The last value of a string field, empty where it is absent."""
    return (messages(fields, number) or [b""])[-1].decode("utf-8")


def _value(data: bytes, at: int, kind: int) -> tuple[int | bytes, int]:
    if kind == 0:
        return varint(data, at)
    if kind == 2:
        length, at = varint(data, at)
    elif kind in {1, 5}:
        length = 8 if kind == 1 else 4
    else:
        raise ValueError(f"wire type {kind} at byte {at}")
    if at + length > len(data):
        raise ValueError(f"field of {length} bytes at byte {at} ends after the message")
    value = data[at : at + length]
    if kind == 2:
        return value, at + length
    return int(struct.unpack("<Q" if kind == 1 else "<I", value)[0]), at + length
