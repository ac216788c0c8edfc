"""The kernels' arguments as C lays them out: ``kernels/*.cu`` and this table are held against one another by a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge_sacro.preprocess.tf_resize import MEAN, STANDARD_DEVIATION

STORED_TYPES: Mapping[str, int] = MappingProxyType({"uint8": 0, "int8": 1, "uint16": 2, "int16": 3, "int32": 4})
"""Types of stored pixels by their number in ``pixel.h``."""

Precision = Literal["fp32", "fp16", "int8"]

_OUTPUT_TYPES: Mapping[Precision, tuple[int, type[np.generic]]] = MappingProxyType(
    {"fp32": (0, np.float32), "fp16": (1, np.float16), "int8": (2, np.int8)}
)

_POINTER = "<u8"


def _aligned(*fields: tuple[str, Any] | tuple[str, Any, tuple[int, ...]]) -> np.dtype[np.void]:
    return np.dtype(list(fields), align=True)


def _fields(kind: str, *names: str) -> list[tuple[str, str]]:
    return [(name, kind) for name in names]


IMAGE = _aligned(
    ("pixels", _POINTER),
    *_fields("<i4", "type", "first", "entries", "rows", "columns", "transposed", "mirrored", "inverted"),
)
OUTPUT = _aligned(("data", _POINTER), ("type", "<i4"), ("step", "<f4"))
CHANNELS = _aligned(("mean", "<f4", (3,)), ("deviation", "<f4", (3,)))
WINDOWS = _aligned(*_fields("<i4", "size", "window", "step", "across"))
CROP = _aligned(
    *_fields("<i4", "left", "top", "rows", "columns", "offset"),
    *_fields("<i4", "tile_rows", "tile_columns", "tiles_down", "tiles_across"),
    *_fields("<i4", "from_row", "from_column", "to_row", "to_column", "kept_rows", "kept_columns"),
    *_fields("<f4", "row_step", "column_step"),
)
BOUNDS = _aligned(("gray", "<u4", (2,)), ("sharpened", "<u4", (2,)), ("level", "<u4", (2,)))
GAUSSIAN = _aligned(("weights", "<f8", (5,)))
EQUALISATION = _aligned(("clip_limit", "<f8"), ("levels", "<i4"), ("bin_width", "<i4"))
RANGE = _aligned(("low", "<f8"), ("high", "<f8"), ("contrast", "<i4"))

STRUCTS: Mapping[str, np.dtype[np.void]] = MappingProxyType(
    {
        "Image": IMAGE,
        "Output": OUTPUT,
        "Channels": CHANNELS,
        "Windows": WINDOWS,
        "Crop": CROP,
        "Bounds": BOUNDS,
        "Gaussian": GAUSSIAN,
        "Equalisation": EQUALISATION,
        "Range": RANGE,
    }
)
"""Every structure of the kernels by its name there."""

KERNELS: Mapping[str, np.dtype[np.void]] = MappingProxyType(
    {
        "histogram": _aligned(("image", IMAGE), *_fields(_POINTER, "counts", "outside")),
        "level_weights": _aligned(
            *_fields(_POINTER, "counts", "rank", "weights"), *_fields("<i4", "entries", "pad_first", "pad_last")
        ),
        "gray_range": _aligned(
            *_fields(_POINTER, "weights", "values", "range"), *_fields("<f8", "low", "high", "flat"), ("levels", "<i4")
        ),
        "gray_table": _aligned(
            *_fields(_POINTER, "table", "range", "gray"), *_fields("<i4", "entries", "sign", "pad_first", "pad_last")
        ),
        "gray_image": _aligned(("image", IMAGE), *_fields(_POINTER, "table", "gray")),
        "area_resize": _aligned(
            ("image", IMAGE), *_fields(_POINTER, "eight_bit", "values", "resized", "bounds"), ("size", "<i4")
        ),
        "segmenter_windows": _aligned(
            *_fields(_POINTER, "resized", "bounds"), ("windows", WINDOWS), ("output", OUTPUT)
        ),
        "crop_gray": _aligned(("image", IMAGE), *_fields(_POINTER, "table", "crops", "gray", "bounds")),
        "sharpen": _aligned(
            *_fields(_POINTER, "crops", "gray", "sharpened", "bounds"), ("gaussian", GAUSSIAN), ("part", "<f4")
        ),
        "tile_maps": _aligned(
            *_fields(_POINTER, "crops", "sharpened", "bounds", "bins", "maps"), ("how", EQUALISATION)
        ),
        "interpolate": _aligned(*_fields(_POINTER, "crops", "bins", "maps", "levels", "bounds")),
        "classifier_input": _aligned(
            *_fields(_POINTER, "crops", "levels", "bounds"), ("output", OUTPUT), *_fields("<i4", "rows", "columns")
        ),
        "squish_weights": _aligned(*_fields(_POINTER, "first", "weights"), *_fields("<i4", "length", "target", "taps")),
        "squish_across": _aligned(
            ("image", IMAGE),
            *_fields(_POINTER, "table", "first", "weights", "squished"),
            *_fields("<i4", "target", "taps"),
        ),
        "squish_down": _aligned(
            *_fields(_POINTER, "squished", "first", "weights"),
            ("output", OUTPUT),
            ("channels", CHANNELS),
            *_fields("<i4", "length", "rows", "columns", "taps"),
        ),
        "detector_input": _aligned(
            ("image", IMAGE),
            ("table", _POINTER),
            ("output", OUTPUT),
            ("channels", CHANNELS),
            *_fields("<i4", "size", "rows", "columns"),
            *_fields("<f4", "row_ratio", "column_ratio"),
        ),
        "slice_input": _aligned(
            ("image", IMAGE),
            ("table", _POINTER),
            ("output", OUTPUT),
            ("channels", CHANNELS),
            *_fields("<i4", "rows", "columns"),
            *_fields("<f8", "row_ratio", "column_ratio"),
        ),
    }
)
"""Arguments of every kernel, in its order, as one structure."""


@dataclass(frozen=True)
class Encoding:
    """How a network takes its input.

    Attributes:
        precision: ``"fp32"``, ``"fp16"``, or ``"int8"`` after ONNX's QuantizeLinear with zero point 0.
        step: of int8, the size of one level (the graph's scale); above 0.
    """

    precision: Precision = "fp32"
    step: float = 1.0

    def __post_init__(self) -> None:
        if self.precision not in _OUTPUT_TYPES or not (np.isfinite(self.step) and np.float32(self.step) > 0):
            raise ValueError(f"no encoding {self.precision!r} in steps of {self.step}")

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of one value."""
        return np.dtype(_OUTPUT_TYPES[self.precision][1])

    def output(self, address: int) -> npt.NDArray[np.void]:
        """The kernels' ``Output`` for a tensor that begins at this address of the device."""
        return np.array((address, _OUTPUT_TYPES[self.precision][0], self.step), OUTPUT)


def imagenet_channels() -> npt.NDArray[np.void]:
    """The kernels' ``Channels`` of ImageNet's statistics."""
    return np.array((MEAN, STANDARD_DEVIATION), CHANNELS)


def packed_arguments(kernel: str, arguments: Mapping[str, Any]) -> bytes:
    """The kernel's arguments as the driver takes them.

    Raises:
        KeyError: there is no such kernel.
        TypeError: an argument is missing or unknown.
    """
    dtype = KERNELS[kernel]
    names = dtype.names or ()
    if set(names) != set(arguments):
        raise TypeError(f"{kernel} takes {list(names)}, not {sorted(arguments)}")
    packed = np.zeros((), dtype)
    for name in names:
        packed[name] = arguments[name]
    offset = dict(dtype.fields or {})[names[-1]][1]
    # Without the padding that C adds behind a structure: a parameter list has none.
    return packed.tobytes()[: offset + dtype[names[-1]].itemsize]
