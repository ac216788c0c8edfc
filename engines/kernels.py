"""Compile the CUDA kernels that the package carries, with the compilers that PyPI has; no GPU is needed.

The same compilers on the same sources give the same bytes.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import lzma
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge_sacro.cuda.binaries import BINARIES, MANIFEST, SOURCES, source_hash
from edge_sacro.errors import WorkshopError

WHEELS = (
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-runtime==13.0.88",
    "nvidia-cuda-nvrtc-cu12==12.6.85",
)
"""The compilers: CUDA 13.0 for machine code, CUDA 12.6's run-time compiler for the PTX that older drivers take."""

TARGETS = (75, 80, 86, 87, 90, 100, 110, 120)
"""Compute capabilities with machine code of their own. Within a major number a desktop GPU runs that of a lower one
(8.9 that of 8.6, 12.1 that of 12.0); Orin (8.7) and Thor (11.0) run their own alone."""

PTX = 75
"""Of both binaries: what any later GPU's driver compiles."""

FLAGS = ("-fmad=false", "-std=c++17")
"""Contraction would round where the reference does not."""

_NVCC = Path("nvidia/cu13/bin/nvcc")
_NVRTC = Path("nvidia/cuda_nvrtc/lib/libnvrtc.so.12")


def build_kernels(toolchain: Path, out: Path = BINARIES) -> dict[str, int]:
    """Compile both binaries and write their manifest.

    Args:
        toolchain: folder of the compilers; what is absent is installed there by pip.
        out: folder of the binaries.

    Returns:
        bytes of each file as stored.

    Raises:
        WorkshopError: a compiler cannot be installed or refuses the sources.
    """
    if not ((toolchain / _NVCC).is_file() and (toolchain / _NVRTC).is_file()):
        _run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(toolchain), *WHEELS])
    out.mkdir(parents=True, exist_ok=True)
    contents = {"kernels.fatbin": _fatbin(toolchain / _NVCC), "kernels.ptx": _ptx(toolchain / _NVRTC)}
    for name, content in contents.items():
        (out / f"{name}.xz").write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    document = {"sources": source_hash(), "compilers": WHEELS, "flags": FLAGS, "targets": TARGETS, "files": files}
    (out / MANIFEST).write_text(json.dumps({**document, "ptx": PTX}, indent=1) + "\n")
    return {name: (out / f"{name}.xz").stat().st_size for name in contents}


def _fatbin(nvcc: Path) -> bytes:
    codes = [f"arch=compute_{target},code=sm_{target}" for target in TARGETS]
    codes.append(f"arch=compute_{PTX},code=compute_{PTX}")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "kernels.fatbin"
        command = [str(nvcc), "-fatbin", *FLAGS, "--no-compress", "-o", str(made)]
        _run([*command, *(word for code in codes for word in ("-gencode", code)), str(SOURCES / "all.cu")])
        return made.read_bytes()


def _run(command: Sequence[str]) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - pinned compilers
    if done.returncode:
        raise WorkshopError(
            f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()[-2000:]}",
            source="kernels",
            remedy="It needs g++ and, the first time, a package registry.",
        )


def _ptx(library: Path) -> bytes:
    """PTX of the kernels from NVRTC, which takes the included files as strings."""
    nvrtc = ctypes.CDLL(str(library))
    nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
    program = ctypes.c_void_p()
    headers = {path.name: path.read_bytes() for path in sorted(SOURCES.iterdir()) if path.name != "all.cu"}
    count = len(headers)
    texts = (ctypes.c_char_p * count)(*headers.values())
    names = (ctypes.c_char_p * count)(*(name.encode() for name in headers))
    source = (SOURCES / "all.cu").read_bytes()
    options = [f"--gpu-architecture=compute_{PTX}".encode(), *(flag.encode() for flag in FLAGS)]
    _check(nvrtc, nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"all.cu", count, texts, names), "opening")
    try:
        status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        _check(nvrtc, status, _text(nvrtc, program, "ProgramLog")[-2000:].decode(errors="replace"))
        return _text(nvrtc, program, "PTX").rstrip(b"\0") + b"\0"
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), what)
    text = ctypes.create_string_buffer(size.value)
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}")(program, text), what)
    return text.raw


def _check(nvrtc: ctypes.CDLL, status: int, doing: str) -> None:
    if status:
        reason = nvrtc.nvrtcGetErrorString(status).decode(errors="replace")
        raise WorkshopError(f"NVRTC: {reason}: {doing}", source="kernels", remedy="Mend the kernels' source.")
