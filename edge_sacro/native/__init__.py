"""Compiled twins of a few NumPy functions: the same values bit for bit, sooner.

The sources are built for Linux on x86_64 and aarch64 (``scripts/build-native``) and come with the package, so that no
compiler is needed. Where no binary is for the machine, the NumPy functions run: the answer is the same.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import platform
import sys
from pathlib import Path

import cv2

from edge_sacro.errors import InternalError

SOURCES = tuple(Path(__file__).parent / name for name in ("contrast.c", "pixels.c"))
BINARIES = Path(__file__).parent / "binaries"
_OPENCVS_AVX2 = 11
"""CV_CPU_AVX2 of OpenCV's interface, which Python's does not name."""

_POINTER, _LONG, _FLOAT, _DOUBLE = ctypes.c_void_p, ctypes.c_long, ctypes.c_float, ctypes.c_double
_ARGUMENTS: dict[str, list[type[ctypes._SimpleCData]]] = {  # type: ignore[type-arg]
    "sharpen": [_POINTER, *[_LONG] * 4, *[_POINTER] * 4],
    "bins": [_POINTER, *[_LONG] * 3, _FLOAT, _FLOAT, _POINTER, _POINTER, _LONG],
    "maps": [_POINTER, *[_LONG] * 7, _DOUBLE, _POINTER],
    "mix": [_POINTER, *[_LONG] * 8, _POINTER, _LONG, *[_POINTER] * 3],
    "rescale": [_POINTER, _LONG, _FLOAT, _FLOAT],
    "area": [_POINTER, _LONG, _POINTER, _LONG, _LONG, _POINTER, _LONG, _POINTER, _POINTER],
    "bilinear": [_POINTER, _LONG, _POINTER, _POINTER, _LONG, _LONG, _POINTER, _POINTER, _LONG, _POINTER],
    "ends": [_POINTER, *[_LONG] * 5, _POINTER, _POINTER],
    "extents": [_POINTER, _LONG, _LONG, *[_POINTER] * 3],
    "dilate": [_POINTER, *[_LONG] * 5, _POINTER, _POINTER],
}


class Library:
    """The compiled functions, for one kind of processor.

    Args:
        path: of the binary.
        kind: ``"baseline"`` or ``"avx2"``; the values do not depend on it.
    """

    def __init__(self, path: Path, kind: str) -> None:
        loaded = ctypes.CDLL(str(path))
        for name, arguments in _ARGUMENTS.items():
            function = loaded[f"edge_sacro_{name}_{kind}"]
            function.argtypes, function.restype = arguments, None
            setattr(self, name, function)

    sharpen: ctypes._NamedFuncPointer
    bins: ctypes._NamedFuncPointer
    maps: ctypes._NamedFuncPointer
    mix: ctypes._NamedFuncPointer
    rescale: ctypes._NamedFuncPointer
    area: ctypes._NamedFuncPointer
    bilinear: ctypes._NamedFuncPointer
    ends: ctypes._NamedFuncPointer
    extents: ctypes._NamedFuncPointer
    dilate: ctypes._NamedFuncPointer


def kinds() -> list[str]:
    """The kinds of compiled functions that this machine runs, the fastest first; none where no binary is for it."""
    machine = platform.machine()
    if sys.platform != "linux" or not _binary(machine).exists():
        return []
    return ["avx2", "baseline"] if machine == "x86_64" and cv2.checkHardwareSupport(_OPENCVS_AVX2) else ["baseline"]


def fastest() -> Library | None:
    """The compiled functions that this machine runs fastest; None where there are none for it.

    Raises:
        InternalError: the binary is not the one that came with the package.
    """
    found = kinds()
    return library(found[0]) if found else None


@functools.cache
def library(kind: str) -> Library:
    """The compiled functions of one kind.

    Raises:
        InternalError: the binary is not the one that came with the package.
    """
    path = _binary(platform.machine())
    known = json.loads((BINARIES / "manifest.json").read_text())["files"]
    if hashlib.sha256(path.read_bytes()).hexdigest() != known[path.name]:
        raise InternalError(f"{path.name} is not what was built", source="native", remedy="Install the package again.")
    return Library(path, kind)


def _binary(machine: str) -> Path:
    return BINARIES / f"functions-{machine}.so"
