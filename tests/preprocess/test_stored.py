"""Stored values through a turned table: as by plain indexing, for every type and sign."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sacro.preprocess.stored import sixteen_bits, through_table
from edge_sacro.types import Grayscale


def _grayscale(first: int, entries: int) -> Grayscale:
    return Grayscale(first, np.zeros(entries, np.float32), False, None, "US")


@pytest.mark.parametrize(
    ("kind", "first", "entries"),
    [
        ("u1", 0, 256),
        ("i1", -128, 256),
        ("<u2", 0, 4096),
        (">u2", 0, 65536),
        ("<i2", -2048, 4096),
        (">i2", -32768, 65536),
        ("<i2", -1, 3),
        ("<i4", -32768, 65536),
        ("<i4", 100_000, 500),
    ],
)
@pytest.mark.parametrize("entry", [np.uint8, np.float32])
def test_each_value_gets_its_own_entry(kind: str, first: int, entries: int, entry: type) -> None:
    random = np.random.default_rng(5)
    table = random.integers(1, 255, entries).astype(entry)
    index = random.integers(0, entries, (40, 50))
    index.flat[:2] = 0, entries - 1
    stored = (index + first).astype(kind)
    np.testing.assert_array_equal(through_table(stored, _grayscale(first, entries), table), table[index])
    off = through_table(stored, _grayscale(first + 1, entries), table)
    assert not np.array_equal(off, table[index]), "a table turned by one more place is noticed"


def test_a_value_beyond_the_table_is_0() -> None:
    stored = np.array([[-3, -2, 1, 2]], np.int16)
    found = through_table(stored, _grayscale(-2, 4), np.array([7, 8, 9, 10], np.uint8))
    np.testing.assert_array_equal(found, [[0, 7, 10, 0]])


def test_sixteen_bits_are_not_copied() -> None:
    stored = np.arange(12, dtype=np.int16).reshape(3, 4) - 6
    assert np.shares_memory(sixteen_bits(stored), stored)
    assert not np.shares_memory(sixteen_bits(stored.astype(np.uint8)), stored)
