"""Lookup tables as the standard encodes them: Modality LUT (PS3.3 C.11.1.1) and VOI LUT (C.11.2.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import ContradictoryAttributes, MissingAttributes

if TYPE_CHECKING:
    from edge_sacro.dicom.attributes import Header


@dataclass(frozen=True, eq=False)
class LookupTable:
    """One LUT.

    Attributes:
        first: input value that ``data[0]`` belongs to; lower inputs map to ``data[0]``, higher ones to ``data[-1]``.
        data: outputs, uint16.
        bits: bits of an output, 8 to 16: outputs run from 0 to ``2**bits - 1``.
    """

    first: int
    data: npt.NDArray[np.uint16]
    bits: int

    def of(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint16]:
        """The outputs for these inputs; an input between two whole ones takes the lower (C.11.2.1.1)."""
        index = np.clip(np.floor(values) - self.first, 0, self.data.size - 1)
        return np.asarray(self.data[index.astype(np.int64)], np.uint16)


def lookup_table_from_item(item: Header, negative_inputs: bool) -> LookupTable:
    """Read LUT Descriptor and LUT Data of a sequence item.

    The descriptor's second value has the sign of the inputs, whatever VR the file gives it; its other two are
    unsigned. Data of at most 8 bits may stand one to a byte, and a zero count means 65536 entries.

    Args:
        item: the sequence's item.
        negative_inputs: the inputs may lie below zero.

    Raises:
        MissingAttributes: no descriptor or no data.
        ContradictoryAttributes: fewer data than the descriptor counts, or bits out of range.
    """
    descriptor = item.words("LUTDescriptor")
    if len(descriptor) != 3:
        raise MissingAttributes("a LUT Descriptor of three values")
    count = descriptor[0] or 65536
    first = descriptor[1] - 65536 if negative_inputs and descriptor[1] >= 32768 else descriptor[1]
    data = _data(item, count, descriptor[2])
    bits = descriptor[2]
    if not 8 <= bits <= 16:
        raise ContradictoryAttributes(f"a LUT of {bits} bits; 8 to 16 exist")
    highest = int(data.max())
    if highest >= 1 << bits:
        bits = highest.bit_length()
        item.notes.append(f"A LUT holds values of {bits} bits and announces {descriptor[2]}; the values were believed.")
    return LookupTable(first, data, bits)


def _data(item: Header, count: int, bits: int) -> npt.NDArray[np.uint16]:
    """Exactly ``count`` outputs, from 16-bit words or from bytes packed into words."""
    words = np.array(item.words("LUTData"), np.uint16)
    if words.size == 0:
        raise MissingAttributes("LUT Data")
    if bits <= 8 and words.size == (count + 1) // 2 and count > 1:
        # the low byte of each word comes first (PS3.3 C.11.1.1.1 leaves 8-bit entries to OW's packing, PS3.5 8.1.2)
        packed = np.stack([words & 0xFF, words >> 8], axis=1).ravel()
        return packed[:count].astype(np.uint16)
    if words.size < count:
        raise ContradictoryAttributes(f"a LUT holds {words.size} entries and announces {count}")
    return words[:count]
