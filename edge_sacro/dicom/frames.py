"""Where one frame's bytes are: a slice of native pixel data, or the fragments that carry one codestream."""

from __future__ import annotations

import struct

from edge_sacro.dicom.mapped import FileBytes
from edge_sacro.dicom.part10 import Part10, PixelElement
from edge_sacro.errors import ContradictoryAttributes, DecodeFailed, MultiFrameImage, TruncatedFile

_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD


def native_frame(part10: Part10, pixels: PixelElement, frame: int, frames: int, frame_bytes: int) -> memoryview:
    """One frame of native pixel data (PS3.5 8.1.1), not copied; its length must be exact, the even padding byte aside.

    Raises:
        TruncatedFile: fewer bytes than the attributes announce.
        ContradictoryAttributes: more bytes, or an encapsulated value under a native transfer syntax.
    """
    if pixels.length is None:
        raise ContradictoryAttributes("the pixel data are encapsulated under a transfer syntax that is native")
    whole = frames * frame_bytes
    if pixels.length < whole:
        raise TruncatedFile(f"the pixel data hold {pixels.length} bytes and {whole} are announced")
    if pixels.length > whole + whole % 2:
        raise ContradictoryAttributes(f"the pixel data hold {pixels.length} bytes and only {whole} are announced")
    start = pixels.offset + frame * frame_bytes
    return memoryview(part10.data)[start : start + frame_bytes]


def word_swapped_frame(part10: Part10, pixels: PixelElement, frame: int, frames: int, frame_bytes: int) -> bytes:
    """One frame of 8-bit cells that stand two by two in big-endian words (OW, PS3.5 8.1.2 and D)."""
    native_frame(part10, pixels, frame, frames, frame_bytes)
    skipped = frame * frame_bytes
    start = pixels.offset + skipped // 2 * 2
    words = bytearray(part10.data[start : start + (frame_bytes + 2) // 2 * 2])
    if len(words) % 2:
        raise ContradictoryAttributes("8-bit cells in words, and an odd number of bytes")
    words[0::2], words[1::2] = words[1::2], words[0::2]
    return bytes(words[skipped % 2 : skipped % 2 + frame_bytes])


def encapsulated_frame(part10: Part10, pixels: PixelElement, frame: int, frames: int) -> bytes:
    """The codestream of one frame, from one or several fragments (PS3.5 A.4).

    Raises:
        TruncatedFile: the value ends before its sequence delimitation item.
        DecodeFailed: the fragments cannot be told to frames.
    """
    if pixels.length is not None:
        raise ContradictoryAttributes("the pixel data are native under a transfer syntax that is encapsulated")
    table, fragments = _items(part10.data, pixels.offset)
    if not fragments:
        raise DecodeFailed("the encapsulated pixel data hold no fragment")
    starts = _frame_starts(part10, table, frames, fragments)
    end = starts[frame + 1] if frame + 1 < frames else len(fragments)
    chosen = fragments[starts[frame] : end]
    return b"".join(part10.data[offset : offset + length] for offset, length in chosen)


def _items(data: FileBytes, offset: int) -> tuple[bytes, list[tuple[int, int]]]:
    """The basic offset table and each fragment's offset and length; items are little endian (PS3.5 A.4)."""
    items: list[tuple[int, int]] = []
    while True:
        if offset + 8 > len(data):
            raise TruncatedFile("the encapsulated pixel data end before their sequence delimitation item")
        group, element, length = struct.unpack_from("<HHI", data, offset)
        tag = group << 16 | element
        offset += 8
        if tag == _SEQUENCE_END:
            break
        if tag != _ITEM:
            raise DecodeFailed(f"tag {tag:08X} stands where a fragment of the pixel data must begin")
        if offset + length > len(data):
            raise TruncatedFile("the file ends inside a fragment of its pixel data")
        items.append((offset, length))
        offset += length
    if not items:
        return b"", []
    start, length = items[0]
    return data[start : start + length], items[1:]


def _frame_starts(part10: Part10, table: bytes, frames: int, fragments: list[tuple[int, int]]) -> list[int]:
    """Index of each frame's first fragment."""
    if frames == 1:
        return [0]
    extended = part10.header.get("ExtendedOffsetTable")
    if extended:
        offsets = list(struct.unpack(f"<{len(extended) // 8}Q", extended[: len(extended) // 8 * 8]))
    elif table:
        offsets = list(struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4]))
    elif len(fragments) == frames:
        return list(range(frames))
    else:
        raise MultiFrameImage(f"{len(fragments)} fragments carry {frames} frames and no offset table tells which")
    first = fragments[0][0] - 8
    index = {offset - 8 - first: number for number, (offset, _) in enumerate(fragments)}
    starts = [index.get(offset, -1) for offset in offsets]
    if len(starts) != frames or -1 in starts or starts != sorted(set(starts)):
        raise DecodeFailed(f"the offset table does not point at the first fragments of {frames} frames")
    return starts
