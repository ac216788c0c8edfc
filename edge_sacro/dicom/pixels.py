"""Pixel cells become stored values: HighBit, mask and sign (PS3.5 8.1.1), after every check that needs no pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sacro.dicom.attributes import Header
from edge_sacro.dicom.codestream import CodestreamHeader
from edge_sacro.dicom.decoders import CellFormat, Syntax
from edge_sacro.dicom.frames import encapsulated_frame, native_frame, word_swapped_frame
from edge_sacro.dicom.limits import ReadLimits
from edge_sacro.dicom.part10 import Part10, PixelElement
from edge_sacro.errors import ColourImage, ContradictoryAttributes, SizeLimitExceeded

REQUIRED = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
)
_RLE = "1.2.840.10008.1.2.5"


@dataclass(frozen=True)
class PixelFormat:
    """The image pixel module (PS3.3 C.7.6.3), checked against itself.

    Attributes:
        rows, columns: size in pixels.
        bits_allocated: 8 or 16.
        bits_stored: 2 to ``bits_allocated``.
        high_bit: most significant bit of a stored value within its cell.
        signed: True where stored values are two's complement.
        photometric_interpretation: ``"MONOCHROME1"`` or ``"MONOCHROME2"``.
    """

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric_interpretation: str

    @property
    def answer_bytes(self) -> int:
        """What one frame takes as stored values, with the table of what they mean."""
        return self.rows * self.columns * (self.bits_allocated // 8) + (4 << self.bits_stored)

    @property
    def first(self) -> int:
        """The lowest value that can be stored."""
        return -(1 << (self.bits_stored - 1)) if self.signed else 0

    @property
    def last(self) -> int:
        """The highest value that can be stored."""
        return self.first + (1 << self.bits_stored) - 1


def pixel_format_from_header(header: Header, limits: ReadLimits) -> PixelFormat:
    """Read the image pixel module.

    Raises:
        MissingAttributes: one of ``REQUIRED`` is absent or empty.
        ColourImage: several samples a pixel, or a palette.
        SizeLimitExceeded: Rows or Columns are outside the limits.
        ContradictoryAttributes: the attributes exclude one another.
    """
    header.require(REQUIRED)
    interpretation = header.text("PhotometricInterpretation") or ""
    numbers = {keyword: header.integer(keyword) or 0 for keyword in REQUIRED[:-1]}
    samples = numbers["SamplesPerPixel"]
    monochrome = interpretation in ("MONOCHROME1", "MONOCHROME2")
    if not monochrome and (samples in (1, 3, 4)):
        raise ColourImage(f"Photometric Interpretation is {interpretation[:16]}, samples per pixel {samples}")
    if not monochrome or samples != 1:
        raise ContradictoryAttributes(f"{samples} samples per pixel under {interpretation[:16]}")
    rows, columns = numbers["Rows"], numbers["Columns"]
    if not (limits.min_side <= rows <= limits.max_side and limits.min_side <= columns <= limits.max_side):
        raise SizeLimitExceeded(
            f"{rows} rows and {columns} columns; {limits.min_side} to {limits.max_side} of either are read"
        )
    allocated, stored = numbers["BitsAllocated"], numbers["BitsStored"]
    high = header.integer("HighBit")
    if high is None:
        high = stored - 1
        header.notes.append("High Bit is absent; Bits Stored minus one was taken.")
    if allocated not in (8, 16) or not 2 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise ContradictoryAttributes(
            f"Bits Allocated {allocated}, Bits Stored {stored} and High Bit {high} exclude one another"
        )
    representation = numbers["PixelRepresentation"]
    if representation not in (0, 1):
        raise ContradictoryAttributes(f"Pixel Representation is {representation}; 0 and 1 exist")
    return PixelFormat(rows, columns, allocated, stored, high, representation == 1, interpretation)


def stored_values(
    part10: Part10, pixels: PixelElement, syntax: Syntax, pixel_format: PixelFormat, frame: tuple[int, int]
) -> npt.NDArray[np.integer]:
    """The stored values of one frame.

    Args:
        part10: the file.
        pixels: its pixel data.
        syntax: its transfer syntax.
        pixel_format: its image pixel module.
        frame: index of the frame from 0, and number of frames.

    Returns:
        rows x columns, uint8 or uint16, int16 where signed; between ``pixel_format.first`` and ``pixel_format.last``.
    """
    index, frames = frame
    cells = CellFormat(pixel_format.rows, pixel_format.columns, pixel_format.bits_allocated)
    if syntax.decode is None:
        return _from_cells(_native_cells(part10, pixels, cells, index, frames), pixel_format)
    stream = encapsulated_frame(part10, pixels, index, frames)
    if part10.transfer_syntax_uid == _RLE:
        return _from_cells(syntax.decode(stream, cells)[0], pixel_format)
    if pixel_format.high_bit != pixel_format.bits_stored - 1:
        # PS3.5 8.2: a codestream holds samples, not cells, so there is nothing that a High Bit could shift
        raise ContradictoryAttributes(
            f"High Bit {pixel_format.high_bit} with {pixel_format.bits_stored} bits stored on compressed pixel data"
        )
    samples, header = syntax.decode(stream, cells)
    return _from_samples(samples, header, pixel_format, syntax)


def check_frames(part10: Part10, pixels: PixelElement, syntax: Syntax, pixel_format: PixelFormat, frames: int) -> None:
    """Refuse pixel data that do not hold so many frames, before any of them is decoded.

    Raises:
        TruncatedFile, ContradictoryAttributes, DecodeFailed, MultiFrameImage: as finding the first frame does.
    """
    if syntax.decode is None:
        cells = CellFormat(pixel_format.rows, pixel_format.columns, pixel_format.bits_allocated)
        _native_cells(part10, pixels, cells, 0, frames)
    else:
        encapsulated_frame(part10, pixels, 0, frames)


def _native_cells(
    part10: Part10, pixels: PixelElement, cells: CellFormat, index: int, frames: int
) -> npt.NDArray[np.integer]:
    """Unsigned cells of a native frame."""
    shape, size = (cells.rows, cells.columns), cells.rows * cells.columns * cells.bits_allocated // 8
    if cells.bits_allocated == 8 and not part10.little_endian and pixels.vr == "OW":
        return np.frombuffer(word_swapped_frame(part10, pixels, index, frames, size), "u1").reshape(shape)
    kind = f"{'<' if part10.little_endian else '>'}u{cells.bits_allocated // 8}"
    return np.frombuffer(native_frame(part10, pixels, index, frames, size), kind).reshape(shape)


def _from_cells(cells: npt.NDArray[np.integer], pixel_format: PixelFormat) -> npt.NDArray[np.integer]:
    """Shift a stored value down from High Bit, drop what stands beside it, and extend its sign."""
    unsigned: npt.NDArray[np.uint16] = cells.astype(np.uint16, copy=False)
    shift = pixel_format.high_bit + 1 - pixel_format.bits_stored
    if pixel_format.signed and not shift:
        # most senders extend the sign through the cell themselves, and then the file's own bytes will do
        extended = _in_range(unsigned, pixel_format)
        if extended is not None:
            return extended
    if shift:
        unsigned = unsigned >> np.uint16(shift)
    mask = np.uint16((1 << pixel_format.bits_stored) - 1)
    # most images have nothing there, and then the file's own bytes will do
    if pixel_format.high_bit + 1 < pixel_format.bits_allocated and unsigned.max() > mask:
        unsigned = unsigned & mask
    return _signed(unsigned, pixel_format.bits_stored, pixel_format)


def _signed(unsigned: npt.NDArray[np.uint16], bits: int, pixel_format: PixelFormat) -> npt.NDArray[np.integer]:
    """Extend the sign of ``bits``-bit values where the format is signed; the smallest type otherwise."""
    if not pixel_format.signed:
        return unsigned.astype(np.uint8) if pixel_format.bits_allocated == 8 else unsigned
    extended = _in_range(unsigned, pixel_format)
    if extended is not None:
        return extended
    shift = np.int16(16 - bits)
    return np.asarray((unsigned.view(np.int16) << shift) >> shift, np.int16)


def _in_range(unsigned: npt.NDArray[np.uint16], pixel_format: PixelFormat) -> npt.NDArray[np.int16] | None:
    """The same memory as signed values, where each is one that can be stored."""
    signed = unsigned.view(np.int16)
    return signed if pixel_format.first <= signed.min() and signed.max() <= pixel_format.last else None


def _from_samples(
    samples: npt.NDArray[np.integer], header: CodestreamHeader, pixel_format: PixelFormat, syntax: Syntax
) -> npt.NDArray[np.integer]:
    """Samples of a codestream become stored values.

    A lossy decoder may overshoot what can be stored, and clips; wrapping would turn white into black. A lossless
    sample that is wider than Bits Stored carries an overlay or nothing above them, and is masked.
    """
    if header.signed and not pixel_format.signed:
        raise ContradictoryAttributes("the codestream has signed samples and Pixel Representation is 0")
    if header.signed or (syntax.may_lose and not pixel_format.signed):
        clipped = np.clip(samples, pixel_format.first, pixel_format.last)
        if pixel_format.signed:
            return np.asarray(clipped, np.int16)
        return np.asarray(clipped, np.uint8 if pixel_format.bits_allocated == 8 else np.uint16)
    if pixel_format.signed and header.precision < pixel_format.bits_stored:
        raise ContradictoryAttributes(
            f"the codestream has {header.precision} bits a sample and signed values take {pixel_format.bits_stored}"
        )
    mask = np.uint16((1 << pixel_format.bits_stored) - 1)
    return _signed(samples.astype(np.uint16) & mask, pixel_format.bits_stored, pixel_format)
