"""What a shared library says of itself: its own name, and the names of those that it needs (System V gABI)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")
_LOAD, _DYNAMIC_SEGMENT = 1, 2
_NEEDED, _STRTAB, _SONAME = 1, 5, 14
_MACHINES = {62: "x86_64", 183: "aarch64"}


@dataclass(frozen=True)
class Library:
    """A shared library.

    Attributes:
        machine: ``x86_64``, ``aarch64``, or the number that the file has.
        soname: its own name; None where it has none.
        needed: names of the libraries that it loads.
    """

    machine: str
    soname: str | None
    needed: tuple[str, ...]


def library_from_bytes(content: bytes) -> Library | None:
    """Read a 64-bit little-endian ELF file; None where it is none, or has no dynamic section."""
    if len(content) < _HEADER.size or content[:6] != b"\x7fELF\x02\x01":
        return None
    try:
        header = _HEADER.unpack_from(content)
        machine, start, size, count = header[2], header[5], header[9], header[10]
        segments = [_SEGMENT.unpack_from(content, start + index * size) for index in range(count)]
        loads = [(each[3], each[2], each[5]) for each in segments if each[0] == _LOAD]
        dynamic = next((each for each in segments if each[0] == _DYNAMIC_SEGMENT), None)
        if dynamic is None:
            return None
        entries = []
        for place in range(dynamic[2], dynamic[2] + dynamic[5], _DYNAMIC.size):
            tag, value = _DYNAMIC.unpack_from(content, place)
            if tag == 0:
                break
            entries.append((tag, value))
        table = next(value for tag, value in entries if tag == _STRTAB)
        begin = next(table - at + offset for at, offset, length in loads if at <= table < at + length)
        names = {tag: [_text(content, begin + value) for t, value in entries if t == tag] for tag in (_NEEDED, _SONAME)}
    except (struct.error, StopIteration, ValueError, UnicodeDecodeError):
        return None
    soname = names[_SONAME][0] if names[_SONAME] else None
    return Library(_MACHINES.get(machine, str(machine)), soname, tuple(names[_NEEDED]))


def _text(content: bytes, place: int) -> str:
    return content[place : content.index(b"\0", place)].decode("utf-8")
