"""A TensorRT calibration cache from the scales of the Q/DQ graph, for implicit quantisation: TensorRT 8 and 10, DLA.

DLA on JetPack 6 takes no explicit Q/DQ: there the FP32 file is built with the INT8 flag and this cache. A line is a
tensor's name and its scale, largest magnitude over 127, as the eight hex digits of a big-endian IEEE 754 single. The
first line names version and algorithm; TensorRT ignores a cache whose first line is another's, so there is a file for
each version.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import onnx

from calibration.graph import float_shapes
from edge_sacro.errors import UsageError

ALGORITHM = "EntropyCalibration2"
"""The one algorithm that DLA supports."""


def header_from_version(version: str) -> str:
    """First line of a cache for a version such as ``10.3.0``: NV_TENSORRT_VERSION, whose form changed with 10.

    Raises:
        UsageError: it is no version of TensorRT 8 or 10, the ones with implicit quantisation.
    """
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    if major not in (8, 10):
        raise UsageError(f"TensorRT {version} has no implicit quantisation; 8 and 10 have")
    number = major * 1000 + minor * 100 + patch if major == 8 else major * 10_000 + minor * 100 + patch
    return f"TRT-{number}-{ALGORITHM}"


def cache_from_scales(scales: Mapping[str, float], version: str) -> str:
    """The cache's text, tensors by name."""
    lines = [f"{name}: {struct.pack('>f', scale).hex()}" for name, scale in sorted(scales.items())]
    return "\n".join([header_from_version(version), *lines]) + "\n"


def scales_from_cache(text: str) -> tuple[str, dict[str, float]]:
    """Header and scales of a cache.

    Raises:
        UsageError: a line is not of the format.
    """
    header, *lines = text.splitlines()
    scales = {}
    for line in lines:
        name, separator, digits = line.rpartition(": ")
        if not separator or len(digits) != 8:
            raise UsageError(f"{line!r} is no line of a calibration cache")
        scales[name] = float(struct.unpack(">f", bytes.fromhex(digits))[0])
    return header, scales


def tensors_without_scale(content: bytes, scales: Mapping[str, float]) -> list[str]:
    """Activations of the FP32 file that have no scale: their layers stay in float, on the GPU where DLA was meant."""
    model = onnx.load_from_string(content)
    constant = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if all(name in constant for name in node.input if name):
            constant |= set(node.output)
    return sorted(name for name in float_shapes(model) if name not in constant and name not in scales)
