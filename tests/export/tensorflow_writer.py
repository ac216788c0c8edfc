"""Writes TensorFlow 2 variable bundles for tests: the index's table, the data shards and the object graph.

It shares no code with the reader but the checksum of large tensors, which a test holds to the plain bytewise one here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from export.tensorflow.checksum import crc32c

KINDS = {"float32": 1, "float64": 2, "int32": 3, "string": 7, "int64": 9, "bool": 10}
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SLOW = 1 << 16
TAIL = "/.ATTRIBUTES/VARIABLE_VALUE"


@dataclass
class TrackedObject:
    """A node of the object graph: children and slots by node number, and the variable that it is."""

    children: dict[str, int] = field(default_factory=dict)
    full_name: str = ""
    key: str = ""
    slots: list[tuple[int, str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Form:
    """What a test may vary: shards, entries of a block, compression mark, byte order, whether there is a graph."""

    shards: int = 1
    block: int = 16
    compression: int = 0
    endianness: int = 0
    graph: bool = True


def plain_crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _table()[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def write_model(prefix: Path, variables: Mapping[str, np.ndarray], form: Form = Form(), root: str = "model") -> None:
    """A bundle whose variables all hang under one object of the root."""
    nodes = [TrackedObject({root: 1}), TrackedObject()]
    arrays = {}
    for index, (name, value) in enumerate(variables.items()):
        key = f"{root}/part/{index}{TAIL}"
        nodes[1].children[str(index)] = len(nodes)
        nodes.append(TrackedObject(full_name=name, key=key))
        arrays[key] = value
    write_bundle(prefix, arrays, nodes, form)


def write_bundle(
    prefix: Path, arrays: Mapping[str, np.ndarray], nodes: Sequence[TrackedObject], form: Form = Form()
) -> None:
    """A bundle from tensors by key and an object graph."""
    tensors: dict[str, tuple[int, tuple[int, ...], bytes, int]] = {}
    if form.graph:
        graph = b"".join(_bytes(1, _node(node)) for node in nodes)
        fixed = struct.pack("<I", len(graph))
        check = struct.pack("<I", _masked(fixed))
        tensors[GRAPH] = (KINDS["string"], (), varint(len(graph)) + check + graph, _masked(fixed + check + graph))
    for key, value in arrays.items():
        data = np.ascontiguousarray(value).tobytes()
        tensors[key] = (KINDS[value.dtype.name], value.shape, data, _masked(data))
    shards = [bytearray() for _ in range(form.shards)]
    entries = {b"": _integer(1, form.shards) + _integer(2, form.endianness) + _bytes(3, _integer(1, 1))}
    for index, key in enumerate(sorted(tensors)):
        kind, shape, data, check = tensors[key]
        shard = index % form.shards
        sizes = b"".join(_bytes(2, _integer(1, size)) for size in shape)
        place = _integer(3, shard) + _integer(4, len(shards[shard])) + _integer(5, len(data))
        entries[key.encode()] = _integer(1, kind) + _bytes(2, sizes) + place + b"\x35" + struct.pack("<I", check)
        shards[shard] += data
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(f"{prefix.name}.index").write_bytes(_table_file(entries, form))
    for shard, content in enumerate(shards):
        prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{form.shards:05d}").write_bytes(content)


def varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _node(node: TrackedObject) -> bytes:
    found = b"".join(_bytes(1, _integer(1, at) + _bytes(2, name.encode())) for name, at in node.children.items())
    if node.key:
        attribute = _bytes(1, b"VARIABLE_VALUE") + _bytes(2, node.full_name.encode()) + _bytes(3, node.key.encode())
        found += _bytes(2, attribute)
    for variable, name, slot in node.slots:
        found += _bytes(3, _integer(1, variable) + _bytes(2, name.encode()) + _integer(3, slot))
    return found


def _table_file(entries: Mapping[bytes, bytes], form: Form) -> bytes:
    keys = sorted(entries)
    content, index = bytearray(), {}
    for start in range(0, len(keys), form.block):
        part = keys[start : start + form.block]
        index[part[-1]] = _append(content, _block({key: entries[key] for key in part}), form.compression)
    meta = _append(content, _block({}), 0)
    handles = meta + _append(content, _block(index), 0)
    return bytes(content) + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def _append(content: bytearray, block: bytes, compression: int) -> bytes:
    handle = varint(len(content)) + varint(len(block))
    marked = block + bytes([compression])
    content += marked + struct.pack("<I", _masked(marked))
    return handle


def _block(entries: Mapping[bytes, bytes]) -> bytes:
    found, restarts, before = bytearray(), [], b""
    for index, (key, value) in enumerate(entries.items()):
        shared = 0
        if index % 4 == 0:
            restarts.append(len(found))
        else:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        found += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    return bytes(found) + b"".join(struct.pack("<I", at) for at in (*restarts, len(restarts)))


def _integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value) if value else b""


def _bytes(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def _masked(data: bytes) -> int:
    crc = plain_crc32c(data) if len(data) < _SLOW else crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@lru_cache(maxsize=1)
def _table() -> list[int]:
    found = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        found.append(crc)
    return found
