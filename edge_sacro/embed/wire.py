"""What goes between the C library and the runtime's process: fixed layouts, little-endian, as ``answer.h`` has them.

The library takes no JSON apart: it is sent the values of its accessors, and the report as a text that it hands on.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from edge_sacro.report import Result
from edge_sacro.types import State

VERSION = 1
"""ES_VERSION of the header."""

REQUEST, HEAD = struct.Struct("<IIQQII"), struct.Struct("<IIQII")
ERROR = struct.Struct("<i60s1024s1024s")
RESULT = struct.Struct("<i2iI3d4i8i64s2048s1024s1024s1024s1024s")
REQUEST_MAGIC, ANSWER_MAGIC = 0x51455345, 0x41455345
FILE, BYTES = 1, 2
READY, ANSWERED, FAILED = 1, 2, 3
MAX_REPORT, MAX_NAME, MAX_INPUT = 1 << 20, 2 * 4096, 512 << 20

STATUS_FAILED, STATUS_DEADLINE, STATUS_MEMORY = 3, 4, 7
"""The statuses of the header with which this process may answer."""

STATES = {state: number for number, state in enumerate(State, 1)}
"""es_state of the header."""

DEMONSTRATION, CROP, LEFT_BOX, RIGHT_BOX = 1, 2, 4, 8


@dataclass(frozen=True)
class Request:
    """One file to assess.

    Attributes:
        kind: ``FILE``: the name is a path; ``BYTES``: the file's bytes come after the name.
        number: the answer has to bear it.
        length: bytes of the file.
        deadline_s: seconds until the library ends this process.
        name_length: bytes of the path or the name.
    """

    kind: int
    number: int
    length: int
    deadline_s: float
    name_length: int


def request_from_bytes(head: bytes) -> Request:
    """The request that a message begins with.

    Raises:
        ValueError: it is none of the library's.
    """
    magic, kind, number, length, deadline_ms, name_length = REQUEST.unpack(head)
    lengths = name_length <= MAX_NAME and length <= (MAX_INPUT if kind == BYTES else 0)
    if magic != REQUEST_MAGIC or kind not in (FILE, BYTES) or not lengths:
        raise ValueError("it is no request of the library")
    return Request(kind, number, length, deadline_ms / 1000, name_length)


def greeting() -> bytes:
    """What the library is told when the bundle is open."""
    body = struct.pack("<I", VERSION)
    return HEAD.pack(ANSWER_MAGIC, READY, 0, len(body), 0) + body


def message_from_error(number: int, status: int, code: str, text: str, remedy: str) -> bytes:
    """An answer that says why there is no result."""
    body = ERROR.pack(status, cut(code, 60), cut(text, 1024), cut(remedy, 1024))
    return HEAD.pack(ANSWER_MAGIC, FAILED, number, len(body), 0) + body


def message_from_result(number: int, result: Result, statement: str, report: bytes, *, demonstration: bool) -> bytes:
    """A result and the report that holds it.

    Raises:
        ValueError: the report is longer than the library takes.
    """
    if len(report) > MAX_REPORT:
        raise ValueError(f"the report has {len(report)} bytes, and {MAX_REPORT} are taken")
    left, right = result.joints.left, result.joints.right
    flags = DEMONSTRATION * demonstration | CROP * (result.crop_px is not None)
    flags |= LEFT_BOX * (left.box_px is not None) | RIGHT_BOX * (right.box_px is not None)
    body = RESULT.pack(
        STATES[result.state],
        *(STATES[joint.state] for joint in (left, right)),
        flags,
        *(_number(each.probability) for each in (result, left, right)),
        *(edge for box in (result.crop_px, left.box_px, right.box_px) for edge in box or (0, 0, 0, 0)),
        cut(result.reason_code or "", 64),
        cut(result.reason, 2048),
        cut(result.remedy or "", 1024),
        cut(statement, 1024),
        cut(left.reason or "", 1024),
        cut(right.reason or "", 1024),
    )
    return HEAD.pack(ANSWER_MAGIC, ANSWERED, number, len(body), len(report)) + body + report


def cut(text: str, size: int) -> bytes:
    """UTF-8 without zeros, of fewer bytes than ``size``: what is longer ends with an ellipsis."""
    found = text.replace("\0", " ").encode("utf-8", "backslashreplace")
    if len(found) < size:
        return found
    return found[: size - 4].decode("utf-8", "ignore").encode() + "…".encode()


def _number(of: float | None) -> float:
    return math.nan if of is None else of
