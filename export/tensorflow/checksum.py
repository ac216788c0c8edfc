"""CRC-32C of large buffers with NumPy, and the masked form that TensorFlow stores.

Sources: RFC 3720, appendix B.4; ``tensorflow/tsl/lib/hash/crc32c.h``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed (RFC 3720, appendix B.4)."""

_MASK_DELTA = 0xA282EAD8
_LANES = 4096
_WORTH_SPLITTING = 1 << 16

Words = npt.NDArray[np.uint32]


def _byte_table() -> Words:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


_TABLE = _byte_table()
_TABLE_LIST: list[int] = [int(word) for word in _TABLE]


def crc32c(data: bytes | memoryview) -> int:
    """CRC-32C of ``data``: 0xE3069283 for ``b"123456789"``.

    A large buffer is cut into lanes of equal length whose checksums advance together and are then joined.
    """
    state = 0xFFFFFFFF
    rest = memoryview(data)
    if len(rest) >= _WORTH_SPLITTING:
        length = len(rest) // _LANES
        lanes = np.frombuffer(rest[: length * _LANES], np.uint8).reshape(_LANES, length).T
        state = _joined(_lane_states(np.ascontiguousarray(lanes)), length, state)
        rest = rest[length * _LANES :]
    for byte in rest.tobytes():
        state = _TABLE_LIST[(state ^ byte) & 0xFF] ^ state >> 8
    return state ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | memoryview) -> int:
    """The checksum as TensorFlow stores it: rotated and offset, so that a checksum of checksums is no special case."""
    return masked(crc32c(data))


def masked(crc: int) -> int:
    """Mask a plain CRC-32C."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _lane_states(columns: npt.NDArray[np.uint8]) -> Words:
    """State of each lane after its bytes, from state 0; ``columns`` is bytes x lanes."""
    state = np.zeros(columns.shape[1], np.uint32)
    for column in columns:
        state = _TABLE[(state ^ column) & np.uint32(0xFF)] ^ state >> np.uint32(8)
    return state


def _joined(states: Words, length: int, state: int) -> int:
    """State after all lanes in a row. Advancing by zero bytes is linear over GF(2): one table of 32 columns does it."""
    basis = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for _ in range(length):
        basis = _TABLE[basis & np.uint32(0xFF)] ^ basis >> np.uint32(8)
    columns = [int(word) for word in basis]
    for lane in states.tolist():
        advanced = 0
        for bit, column in enumerate(columns):
            if state >> bit & 1:
                advanced ^= column
        state = advanced ^ lane
    return state
