"""Variables of a TensorFlow 2 checkpoint by their full names, without TensorFlow.

A bundle is an index (a sorted table of entries, one a tensor) and one or several data files. A SavedModel keeps one
under ``variables/variables``; a training run writes ``ckpt-<n>``. A key in the index is a path through the object graph
(``model/_box_predictor/.../.ATTRIBUTES/VARIABLE_VALUE``); the graph itself, stored beside the variables, gives each
variable's full name and tells which are an optimizer's slots.

Sources: ``tensor_bundle.proto``, ``trackable_object_graph.proto`` and ``tensor_bundle.cc`` of TensorFlow 2.15.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import UsageError
from export.tensorflow.checksum import masked_crc32c
from export.tensorflow.table import entries_from_table
from export.tensorflow.wire import Fields, fields_from_bytes, integer, messages, text, varint

Variables = dict[str, npt.NDArray[Any]]
"""Arrays by the variables' full names, such as ``stem_conv2d/kernel``."""

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"

_REMEDY = "Give a TensorFlow 2 SavedModel folder, or the prefix of a checkpoint (ckpt-0 for ckpt-0.index), complete."
_TYPES: dict[int, type[np.generic]] = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64, 10: np.bool_}
"""TensorFlow's ``DataType`` numbers that a detector's checkpoint holds beside strings."""
_STRING = 7


@dataclass(frozen=True)
class Entry:
    """Where one tensor stands: shard, offset and size in bytes, masked CRC-32C; ``kind`` is TensorFlow's data type."""

    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    sliced: bool


@dataclass(frozen=True)
class Named:
    """A variable of the object graph: its full name and its key in the index."""

    full_name: str
    key: str


def variables_from_saved_model(folder: Path) -> Variables:
    """Every variable of a SavedModel, by full name.

    Args:
        folder: holds ``variables/variables.index``.

    Raises:
        UsageError: no SavedModel of this form can be read there, or a tensor differs from its checksum.
    """
    return variables_from_checkpoint(folder / "variables" / "variables")


def variables_from_checkpoint(prefix: Path) -> Variables:
    """Every variable under the ``model`` of a checkpoint (under its root, where there is none), by full name.

    An optimizer's slots and counters, the step and the save counter are left out.

    Args:
        prefix: the index's path without ``.index``.

    Raises:
        UsageError: no checkpoint can be read there, or a tensor differs from its checksum.
    """
    try:
        return Bundle(prefix).model_variables()
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        what = f"no TensorFlow 2 variables can be read: {error}"
        raise UsageError(what, source=str(prefix), remedy=_REMEDY) from error


class Bundle:
    """One index and its data files.

    Raises:
        OSError: a file is absent.
        ValueError: a file is not what its format says.
    """

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix
        table = entries_from_table(prefix.with_name(f"{prefix.name}.index").read_bytes())
        header = fields_from_bytes(table.pop(b""))
        if integer(header, 2) != 0:
            raise ValueError("the bundle is big-endian")
        self._shards = integer(header, 1)
        self.entries = {key.decode("utf-8"): _entry(value) for key, value in table.items()}
        self._files: dict[int, memoryview] = {}

    def model_variables(self) -> Variables:
        """Arrays of the model's variables, by full name; see :func:`variables_from_checkpoint`."""
        found: Variables = {}
        for variable in self._named():
            if not variable.full_name or variable.full_name in found:
                raise ValueError(f"two variables, or none, are called {variable.full_name!r} ({variable.key})")
            found[variable.full_name] = self.array(variable.key)
        if not found:
            raise ValueError("the object graph names no variable")
        return found

    def array(self, key: str) -> npt.NDArray[Any]:
        """One tensor by its key.

        Raises:
            KeyError: the index has no such key.
            ValueError: its type is none that a detector has, it is sliced, or it differs from its checksum.
        """
        if key not in self.entries:
            raise KeyError(f"the index lacks {key}")
        entry = self.entries[key]
        if entry.sliced or entry.kind not in _TYPES:
            raise ValueError(f"{key} is sliced or of data type {entry.kind}, which is not read")
        dtype = np.dtype(_TYPES[entry.kind]).newbyteorder("<")
        data = self._bytes(entry)
        if masked_crc32c(data) != entry.checksum:
            raise ValueError(f"the checksum of {key} differs")
        if len(data) != dtype.itemsize * int(np.prod(entry.shape, dtype=np.int64)):
            raise ValueError(f"{key} has {len(data)} bytes, not those of shape {entry.shape}")
        return np.frombuffer(data, dtype).reshape(entry.shape).astype(dtype.newbyteorder("="))

    def _named(self) -> list[Named]:
        graph = fields_from_bytes(self._string(GRAPH_KEY))
        nodes = [fields_from_bytes(node) for node in messages(graph, 1)]
        slots = {integer(fields_from_bytes(slot), 3) for node in nodes for slot in messages(node, 3)}
        reachable = _reachable(nodes, slots)
        attributes = [fields_from_bytes(item) for number in reachable for item in messages(nodes[number], 2)]
        named = [Named(text(item, 2), text(item, 3)) for item in attributes if text(item, 1) == "VARIABLE_VALUE"]
        return [variable for variable in named if self._is_tensor(variable.key)]

    def _is_tensor(self, key: str) -> bool:
        return key not in self.entries or self.entries[key].kind != _STRING

    def _string(self, key: str) -> bytes:
        """A scalar of strings: its length, the lengths' checksum, the bytes (``WriteStringTensor``)."""
        if key not in self.entries:
            raise ValueError(f"there is no object graph ({key}): no TensorFlow 2 checkpoint")
        entry = self.entries[key]
        data = bytes(self._bytes(entry))
        length, at = varint(data, 0)
        if at + 4 + length != len(data):
            raise ValueError(f"{key} is no single string")
        # The checksum covers the length in its fixed form, where the file has a varint.
        if masked_crc32c(struct.pack("<I", length) + data[at:]) != entry.checksum:
            raise ValueError(f"the checksum of {key} differs")
        return data[at + 4 :]

    def _bytes(self, entry: Entry) -> memoryview:
        if entry.shard not in self._files:
            name = f"{self._prefix.name}.data-{entry.shard:05d}-of-{self._shards:05d}"
            self._files[entry.shard] = memoryview(self._prefix.with_name(name).read_bytes())
        data = self._files[entry.shard][entry.offset : entry.offset + entry.size]
        if len(data) != entry.size:
            raise ValueError(f"shard {entry.shard} ends inside a tensor of {entry.size} bytes")
        return data


def _entry(data: bytes) -> Entry:
    fields = fields_from_bytes(data)
    shape = fields_from_bytes((messages(fields, 2) or [b""])[-1])
    return Entry(
        kind=integer(fields, 1),
        shape=tuple(integer(fields_from_bytes(size), 1) for size in messages(shape, 2)),
        shard=integer(fields, 3),
        offset=integer(fields, 4),
        size=integer(fields, 5),
        checksum=integer(fields, 6),
        sliced=bool(messages(fields, 7)),
    )


def _reachable(nodes: list[Fields], slots: set[int]) -> list[int]:
    """Nodes under the root's ``model`` (under the root, where it has none), slots left out, in the graph's order."""
    children = [[fields_from_bytes(child) for child in messages(node, 1)] for node in nodes]
    models = [integer(child, 1) for child in children[0] if text(child, 2) == "model"]
    pending = models or [0]
    seen = set(slots)
    found = []
    while pending:
        number = pending.pop()
        if number in seen:
            continue
        seen.add(number)
        found.append(number)
        pending.extend(integer(child, 1) for child in children[number])
    return sorted(found)
