"""Radiographs of every kind that the kernels read, small enough for an emulated device."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.types import Grayscale, Orientation, Radiograph
from tests.golden.images import radiograph

ORIENTATIONS = ("LF", "RF", "LH", "RH", "FL", "FR", "HL", "HR")
"""Row and column directions of a coronal image."""


def made(stored: npt.NDArray[Any], bits: int, axes: str = "LF", **grayscale: Any) -> Radiograph:
    """A radiograph of these stored values; the table is the identity unless ``table`` or other fields are given."""
    signed = stored.dtype.kind == "i"
    first = -(1 << (bits - 1)) if signed else 0
    values = np.arange(first, first + (1 << bits), dtype=np.float32)
    fields = {"first": first, "table": values, "inverted": False, "padding": None, "rescale_type": "US", **grayscale}
    return Radiograph(
        stored=stored,
        grayscale=Grayscale(**fields),
        bits_stored=bits,
        spacing=None,
        orientation=Orientation(axes[0], axes[1], False),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
        sop_instance_uid="2.25.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="DX",
        photometric_interpretation="MONOCHROME1" if fields["inverted"] else "MONOCHROME2",
        body_part="PELVIS",
        view="AP",
        laterality=None,
        lossy=False,
        lossy_ratio=None,
        frame=0,
        sha256="0" * 64,
        source="drawn",
    )


def twelve_bit(rows: int, columns: int, axes: str = "LF", **grayscale: Any) -> Radiograph:
    """A pelvis-like image of 12 bits."""
    return made(radiograph(rows, columns, rows + columns, bits=12), 12, axes, **grayscale)


def kinds() -> dict[str, Radiograph]:
    """One radiograph of each kind of pixel, table, padding and border."""
    image = radiograph(149, 181, 5, bits=12)
    sixteen = radiograph(120, 90, 6, bits=16)
    bordered = image.copy()
    bordered[:20], bordered[:, -30:] = 0, 4095
    padded = image.astype(np.int16) - 2048
    padded[:9, ::2], padded[:9, 1::2] = -2048, -2040
    return {
        "12 bits": made(image, 12),
        "16 bits": made(sixteen, 16),
        "8 bits": made(radiograph(96, 131, 7), 8),
        "8 bits, signed": made(radiograph(96, 131, 7).astype(np.int16).astype(np.int8), 8),
        "12 bits, in 32": made(image.astype(np.int32), 12, first=0, table=np.arange(4096, dtype=np.float32)),
        "signed, padded": made(padded, 12, padding=(-2048, -2040)),
        "border and saturation": made(bordered, 12),
        "inverted": made(image, 12, inverted=True),
        "falling rescale": made(image, 12, table=(np.arange(4096) * -0.37 + 11.5).astype(np.float32)),
        "lookup table with plateaus": made(image, 12, table=(np.arange(4096) // 7 % 450).astype(np.float32)),
        "one value": made(np.full((40, 50), 77, np.uint16), 12),
        "two values": made(np.where(image > 2000, 9, 5).astype(np.uint16), 12),
        "padding alone": made(np.zeros((40, 50), np.uint16), 12, padding=(0, 0)),
    }


def axial_slice(rows: int, columns: int, axes: str = "LP") -> Radiograph:
    """A CT slice in Hounsfield units: its rescale takes unsigned values down to -1024."""
    stored = radiograph(rows, columns, 17, bits=12)
    table = np.arange(4096, dtype=np.float32) - 1024
    return made(stored, 12, axes, table=table, rescale_type="HU", padding=(0, 3))
