"""The sorted table that a checkpoint's ``.index`` file is: LevelDB's format, as TensorFlow writes it, uncompressed.

Source: leveldb ``doc/table_format.md``; TensorFlow's copy stands in ``tensorflow/core/lib/io``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from export.tensorflow.checksum import masked_crc32c
from export.tensorflow.wire import varint

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER = 5
"""A block is followed by its compression type and a checksum over both."""


def entries_from_table(data: bytes) -> dict[bytes, bytes]:
    """All keys and values of a table, in the file's order.

    Raises:
        ValueError: the bytes are no table, a block's checksum differs, or a block is compressed.
    """
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as a table does")
    footer = data[-_FOOTER:]
    _, at = _handle(footer, 0)
    (offset, size), _ = _handle(footer, at)
    found: dict[bytes, bytes] = {}
    for _, handle in _entries(_block(data, offset, size)):
        (block_offset, block_size), _ = _handle(handle, 0)
        found.update(_entries(_block(data, block_offset, block_size)))
    return found


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and the offset after the handle."""
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _block(data: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + _TRAILER > len(data):
        raise ValueError(f"a block of {size} bytes at byte {offset} ends after the file")
    kind, stored = struct.unpack("<BI", data[end : end + _TRAILER])
    if masked_crc32c(data[offset : end + 1]) != stored:
        raise ValueError(f"the checksum of the block at byte {offset} differs")
    if kind != 0:
        name = "snappy" if kind == 1 else f"type {kind}"
        raise ValueError(f"the block at byte {offset} is compressed ({name}); only uncompressed tables are read")
    return data[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A key is stored as the length it shares with the one before it, and the rest."""
    if len(block) < 4:
        raise ValueError("a block has no restart points")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        unshared, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or at + unshared + length > end:
            raise ValueError("an entry is longer than its block")
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + length]
        at += length
