"""What goes between the reading process and its child: a length-prefixed JSON header, then raw bytes. No pickle.

::

    uint32 header bytes | uint64 payload bytes | header, JSON | payload

The child took hostile bytes apart, so what it answers is checked like any other input.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro import errors
from edge_sacro.errors import EdgeSacroError, InternalError
from edge_sacro.types import Grayscale, Orientation, PixelSpacing, Radiograph

PREFIX = struct.Struct("<IQ")
MAX_HEADER = 1 << 20
_DTYPES = frozenset({"|u1", "<u2", "<i2"})
_SCALARS = tuple(
    field.name
    for field in dataclasses.fields(Radiograph)
    if field.name not in ("stored", "grayscale", "spacing", "orientation", "source", "notes")
)


def header_bytes(header: dict[str, Any], payload_bytes: int) -> bytes:
    """The prefix and the header of one message."""
    text = json.dumps(header, allow_nan=False).encode()
    return PREFIX.pack(len(text), payload_bytes) + text


def message_from_error(error: EdgeSacroError) -> dict[str, Any]:
    """The header that carries an error; its class goes by name."""
    return {"error": type(error).__name__, "what": error.what, "remedy": error.remedy}


def error_from_message(header: dict[str, Any], source: str) -> EdgeSacroError:
    """The error that ``message_from_error`` put in a header, told of ``source``."""
    found = getattr(errors, str(header.get("error")), None)
    if not (isinstance(found, type) and issubclass(found, EdgeSacroError)):
        found = InternalError
    return found(str(header.get("what"))[:1000], source=source, remedy=str(header.get("remedy"))[:1000])


def message_from_radiograph(radiograph: Radiograph) -> tuple[dict[str, Any], list[memoryview]]:
    """The header and the payload's parts that carry a radiograph: stored values, then the grayscale's table."""
    gray = radiograph.grayscale
    stored = np.ascontiguousarray(radiograph.stored)
    header = {name: getattr(radiograph, name) for name in _SCALARS} | {
        "dtype": stored.dtype.newbyteorder("<").str,
        "shape": list(stored.shape),
        "spacing": None if radiograph.spacing is None else dataclasses.asdict(radiograph.spacing),
        "orientation": dataclasses.asdict(radiograph.orientation),
        "first": gray.first,
        "entries": gray.table.size,
        "inverted": gray.inverted,
        "padding": gray.padding,
        "rescale_type": gray.rescale_type,
        "notes": list(radiograph.notes),
    }
    return {"radiograph": header}, [stored.reshape(-1).view(np.uint8).data, gray.table.view(np.uint8).data]


def radiograph_from_message(header: dict[str, Any], payload: bytearray, source: str) -> Radiograph:
    """The radiograph that ``message_from_radiograph`` put in a message.

    Raises:
        InternalError: the message is none of ours.
    """
    try:
        fields = header["radiograph"]
        rows, columns = (int(side) for side in fields["shape"])
        kind, entries = str(fields["dtype"]), int(fields["entries"])
        if kind not in _DTYPES or rows < 1 or columns < 1:
            raise ValueError(f"{rows} x {columns} of {kind}")
        stored = _array(payload, kind, rows * columns, 0).reshape(rows, columns)
        table = _array(payload, "<f4", entries, stored.nbytes)
        if stored.nbytes + table.nbytes != len(payload):
            raise ValueError("bytes are left over")
        padding = fields["padding"]
        spacing = fields["spacing"]
        first = int(fields["first"])
        if stored.min() < first or stored.max() >= first + entries:
            raise ValueError("a stored value has no entry in the table")
        gray = Grayscale(
            first,
            table,
            bool(fields["inverted"]),
            None if padding is None else (int(padding[0]), int(padding[1])),
            str(fields["rescale_type"]),
        )
        return Radiograph(
            stored=stored,
            grayscale=gray,
            spacing=None if spacing is None else PixelSpacing(**spacing),
            orientation=Orientation(**fields["orientation"]),
            source=source,
            notes=tuple(str(note) for note in fields["notes"]),
            **{name: fields[name] for name in _SCALARS},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InternalError(
            f"the decoding process answered with what is no radiograph ({error})", source=source
        ) from None


def _array(payload: bytearray, kind: str, count: int, offset: int) -> npt.NDArray[Any]:
    """A read-only array over the payload, which nothing else holds."""
    array = np.frombuffer(payload, kind, count, offset)
    array.flags.writeable = False
    return array
