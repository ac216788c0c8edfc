"""What goes between the reading process and its child: a length-prefixed JSON header, then raw bytes. No pickle.

::

    uint32 header bytes | uint64 payload bytes | header, JSON | payload

The child took hostile bytes apart, so what it answers is checked like any other input.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro import errors
from edge_sacro.dicom.mapped import FileBytes
from edge_sacro.errors import EdgeSacroError, InputRefused, InternalError
from edge_sacro.types import Acquisition, Grayscale, Orientation, PixelSpacing, Radiograph, SlicePlane

PREFIX = struct.Struct("<IQ")
MAX_HEADER = 1 << 20
_DTYPES = frozenset({"|u1", "<u2", "<i2"})
_SCALARS = tuple(
    field.name
    for field in dataclasses.fields(Radiograph)
    if field.name not in ("stored", "grayscale", "spacing", "orientation", "source", "notes", "plane", "acquisition")
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


def message_from_radiograph(
    radiograph: Radiograph, data: FileBytes | None = None
) -> tuple[dict[str, Any], list[memoryview]]:
    """The header and the payload's parts that carry a radiograph: stored values, then the grayscale's table.

    Args:
        radiograph: what was read.
        data: the file's bytes, where the receiver has them too. Stored values that stand in them as they are do not
            travel, and of all that was read instead the hash does, for :func:`was_received`.
    """
    gray = radiograph.grayscale
    stored = np.ascontiguousarray(radiograph.stored)
    at = None if data is None else _place(stored, data)
    header = {name: getattr(radiograph, name) for name in _SCALARS} | {
        "dtype": stored.dtype.newbyteorder("<").str,
        "shape": list(stored.shape),
        "spacing": None if radiograph.spacing is None else dataclasses.asdict(radiograph.spacing),
        "orientation": dataclasses.asdict(radiograph.orientation),
        "acquisition": dataclasses.asdict(radiograph.acquisition),
        "plane": None if radiograph.plane is None else dataclasses.asdict(radiograph.plane),
        "first": gray.first,
        "entries": gray.table.size,
        "inverted": gray.inverted,
        "padding": gray.padding,
        "rescale_type": gray.rescale_type,
        "notes": list(radiograph.notes),
        "at": at,
    }
    message: dict[str, Any] = {"radiograph": header}
    if data is not None:
        message["read"] = _digest_beside(data, at, stored.nbytes)
    parts = [gray.table.view(np.uint8).data]
    return message, parts if at is not None else [stored.reshape(-1).view(np.uint8).data, *parts]


def was_received(header: dict[str, Any], radiograph: Radiograph, data: bytes, sha256: str) -> bool:
    """Whether an answer was made of a file's bytes, and of no others.

    Args:
        header: of the message.
        radiograph: what ``radiograph_from_message`` made of it.
        data: the file's bytes.
        sha256: their hash.
    """
    at = header["radiograph"]["at"]
    expected = sha256 if at is None else _digest_beside(data, at, radiograph.stored.nbytes)
    return bool(header.get("read") == expected)


def _place(stored: npt.NDArray[np.integer], data: FileBytes) -> int | None:
    """Where an array stands in the bytes of a file; None where it is not a part of them."""
    at = stored.__array_interface__["data"][0] - np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    if at % stored.itemsize or not 0 <= at <= len(data) - stored.nbytes:
        return None
    return int(at)


def _digest_beside(data: FileBytes, at: int | None, size: int) -> str:
    """Hash of the bytes, those of the pixels left out where they stand there."""
    if at is None:
        return hashlib.sha256(data).hexdigest()
    view = memoryview(data)
    digest = hashlib.sha256(view[:at])
    digest.update(view[at + size :])
    return digest.hexdigest()


def message_from_frames(
    frames: int, found: Sequence[Radiograph | InputRefused]
) -> tuple[dict[str, Any], list[memoryview]]:
    """The header and the payload's parts that carry some of an object's frames, one after another."""
    messages = [
        message_from_radiograph(each) if isinstance(each, Radiograph) else (message_from_error(each), [])
        for each in found
    ]
    sizes = [sum(part.nbytes for part in parts) for _, parts in messages]
    headers = [{**header, "bytes": size} for (header, _), size in zip(messages, sizes, strict=True)]
    return {"frames": frames, "found": headers}, [part for _, parts in messages for part in parts]


def frames_from_message(
    header: dict[str, Any], payload: bytearray, source: str
) -> tuple[int, list[Radiograph | InputRefused]]:
    """The number of frames and those that ``message_from_frames`` put in a message.

    Raises:
        InternalError: the message is none of ours.
    """
    whole, start = memoryview(payload), 0
    found: list[Radiograph | InputRefused] = []
    try:
        frames = int(header["frames"])
        for each in header["found"]:
            end = start + int(each["bytes"])
            if "error" in each:
                refusal = error_from_message(each, source)
                if not isinstance(refusal, InputRefused):
                    raise refusal
                found.append(refusal)
            else:
                found.append(radiograph_from_message(each, whole[start:end], source))
            start = end
    except (KeyError, TypeError, ValueError) as error:
        raise InternalError(f"the decoding process answered with what are no frames ({error})", source=source) from None
    if not 1 <= len(found) <= frames or start != len(payload):
        raise InternalError("the decoding process answered with other bytes than its frames have", source=source)
    return frames, found


def radiograph_from_message(
    header: dict[str, Any], payload: bytearray | memoryview, source: str, data: bytes = b""
) -> Radiograph:
    """The radiograph that ``message_from_radiograph`` put in a message.

    Args:
        header: of the message.
        payload: of the message.
        source: what the file is called.
        data: the file's bytes, where the message may leave its pixels there.

    Raises:
        InternalError: the message is none of ours.
    """
    try:
        fields = header["radiograph"]
        rows, columns = (int(side) for side in fields["shape"])
        kind, entries = str(fields["dtype"]), int(fields["entries"])
        if kind not in _DTYPES or rows < 1 or columns < 1:
            raise ValueError(f"{rows} x {columns} of {kind}")
        at = None if fields["at"] is None else int(fields["at"])
        held: bytes | bytearray | memoryview = payload if at is None else data
        stored = _array(held, kind, rows * columns, at or 0).reshape(rows, columns)
        sent = stored.nbytes if at is None else 0
        table = _array(payload, "<f4", entries, sent)
        if sent + table.nbytes != len(payload):
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
            plane=_plane(fields["plane"]),
            acquisition=_acquisition(fields["acquisition"]),
            source=source,
            notes=tuple(str(note) for note in fields["notes"]),
            **{name: fields[name] for name in _SCALARS},
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InternalError(
            f"the decoding process answered with what is no radiograph ({error})", source=source
        ) from None


def _acquisition(fields: dict[str, Any]) -> Acquisition:
    equipment = fields.pop("equipment")
    numbers = {name: None if value is None else float(value) for name, value in fields.items()}
    return Acquisition(equipment=None if equipment is None else str(equipment), **numbers)


def _plane(fields: dict[str, Any] | None) -> SlicePlane | None:
    if fields is None:
        return None
    numbers: dict[str, Any] = {}
    for name, size in (("position_mm", 3), ("axes", 6)):
        numbers[name] = None if fields[name] is None else tuple(float(each) for each in fields[name])
        if numbers[name] is not None and len(numbers[name]) != size:
            raise ValueError(f"{name} is not {size} numbers")
    return SlicePlane(**{**fields, **numbers})


def _array(payload: bytes | bytearray | memoryview, kind: str, count: int, offset: int) -> npt.NDArray[Any]:
    """A read-only array over the payload, which nothing else changes."""
    array = np.frombuffer(payload, kind, count, offset)
    array.flags.writeable = False
    return array
