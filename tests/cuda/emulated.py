"""The kernels on a processor: compiled by g++ with CUDA's execution model emulated, and called without a driver."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_sacro.cuda.binaries import SOURCES
from edge_sacro.cuda.device import Buffer, Device, Shape3
from edge_sacro.cuda.structs import KERNELS

EMULATION = Path(__file__).parent / "emulation"
FLAGS = ("-std=c++17", "-shared", "-fPIC", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-Wall", "-Werror")
ORDERS = {"ascending": 0, "descending": 1, "shuffled": 2}
FRESH = 0xCD
"""What new memory is filled with, so that a kernel that counts on zeros is found out."""


def compiler() -> str:
    """g++, or the test is skipped."""
    found = shutil.which("g++")
    if found is None:
        pytest.skip("g++ is not installed; the kernels are compiled with it for this test")
    return found


def build(folder: Path, *flags: str, sources: Path = SOURCES) -> Path:
    """Compile every kernel as a shared library."""
    wrapper = folder / "kernels.cpp"
    exported = "".join(f"EMULATED({name})\n" for name in KERNELS)
    wrapper.write_text(f'#include "emulation.h"\n#include "all.cu"\n{exported}')
    library = folder / "libkernels.so"
    paths = (f"-I{EMULATION}", f"-I{sources}")
    subprocess.run(
        [compiler(), "-O2", *FLAGS, *flags, *paths, "-o", str(library), str(wrapper)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    return library


class EmulatedDevice(Device):
    """Memory of the process, and kernels run at once. ``order`` is that of threads and blocks."""

    name = "emulated"

    def __init__(self, library: Path, order: str = "ascending") -> None:
        self._library = ctypes.CDLL(str(library))
        self._order = ORDERS[order]
        self._memory: dict[int, npt.NDArray[np.uint8]] = {}
        self.launched: list[str] = []

    @property
    def stream(self) -> int | None:
        return None

    @property
    def live(self) -> int:
        """Buffers that were not given back."""
        return len(self._memory)

    def release(self, buffer: Buffer) -> None:
        del self._memory[buffer.address]

    def synchronise(self) -> None:
        """Nothing is ever under way."""

    def close(self) -> None:
        self._memory.clear()

    def _allocate(self, nbytes: int) -> Buffer:
        memory = np.full(nbytes, FRESH, np.uint8)
        address = memory.ctypes.data
        self._memory[address] = memory
        return Buffer(address, nbytes)

    def _upload(self, buffer: Buffer, array: npt.NDArray[Any]) -> None:
        self._memory[buffer.address][: array.nbytes] = array.reshape(-1).view(np.uint8)

    def _download(self, buffer: Buffer, array: npt.NDArray[Any]) -> None:
        array.reshape(-1).view(np.uint8)[:] = self._memory[buffer.address][: array.nbytes]

    def _zero(self, buffer: Buffer, nbytes: int) -> None:
        self._memory[buffer.address][:nbytes] = 0

    def _launch(self, kernel: str, blocks: Shape3, threads: Shape3, packed: bytes) -> None:
        shape = ctypes.c_uint * 3
        self.launched.append(kernel)
        status = self._library[f"launch_{kernel}"](packed, shape(*blocks), shape(*threads), self._order)
        assert status == 0, f"{kernel}: threads of a block part at a barrier"
