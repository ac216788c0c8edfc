"""Assess files through the C library, by ctypes: ``python3 embedded.py FILE...`` in an emulated root (docs/jetson.md).

Prints a line for each file; exit code 1 where one has no result. Needs no compiler.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import tempfile
from pathlib import Path

from edge_sacro.embed import library

STATES = ("none", "positive", "negative", "borderline", "located", "not_assessable", "refused")
PATIENT_MS = 500_000
"""Emulation takes its time."""


class Options(ctypes.Structure):
    """es_options."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        *((name, ctypes.c_char_p) for name in ("python", "bundle", "backend", "engines", "precision")),
        *((name, ctypes.c_char_p) for name in ("operating_point", "overrides", "trust", "trust_state", "log_path")),
        ("memory_limit_bytes", ctypes.c_uint64),
        ("start_deadline_ms", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
    ]


class Error(ctypes.Structure):
    """es_error."""

    _fields_ = [
        ("status", ctypes.c_int32),
        ("code", ctypes.c_char * 60),
        ("text", ctypes.c_char * 1024),
        ("remedy", ctypes.c_char * 1024),
    ]


def interpreter(folder: str) -> bytes:
    """This interpreter without ``-I``, which would not see the packages of the emulated root."""
    path = Path(folder) / "python"
    path.write_text(
        f"#!{sys.executable}\nimport os, sys\nos.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[2:]])\n"
    )
    path.chmod(0o755)
    return os.fsencode(path)


def main(paths: list[str]) -> int:
    """Assess each file, and once with a deadline that cannot be met."""
    loaded = ctypes.CDLL(str(library()))
    loaded.es_result_probability.restype = ctypes.c_double
    runtime, error, result = ctypes.c_void_p(), Error(), ctypes.c_void_p()
    with tempfile.TemporaryDirectory() as folder:
        options = Options(python=interpreter(folder), threads=1, start_deadline_ms=PATIENT_MS)
        options.size = ctypes.sizeof(options)
        if loaded.es_open(ctypes.byref(options), ctypes.byref(runtime), ctypes.byref(error)):
            print(f"not opened: {error.text.decode()} [{error.code.decode()}]")
            return 1
        for path, deadline_ms in ((paths[0], 1), *((each, PATIENT_MS) for each in paths)):
            arguments = runtime, os.fsencode(path), deadline_ms, ctypes.byref(result), ctypes.byref(error)
            if loaded.es_infer_file(*arguments):
                print(f"{path}: no result [{error.code.decode()}] {error.text.decode()}", flush=True)
                if deadline_ms == PATIENT_MS:
                    return 1
                continue
            probability = loaded.es_result_probability(result)
            shown = "-" if math.isnan(probability) else f"{probability:.4f}"
            print(f"{path}: {STATES[loaded.es_result_state(result)]} {shown}", flush=True)
            loaded.es_result_free(result)
        loaded.es_close(runtime)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
