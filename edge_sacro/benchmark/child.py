"""What runs in a process of its own: a first answer, timed from the process's start, and the drawing of phantoms.

Both would disturb the measurement in the process that measures: the one is over once a process is warm, the other takes
memory that an assessment does not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_sacro.errors import BackendFailed, EdgeSacroError, all_errors
from edge_sacro.memory import keep_freed_memory

SEED = 975_000
"""Of the phantom that is drawn where no file is given; no training, calibration or guard band uses it."""

_CODE = "import sys, json; sys.path[:] = json.loads(sys.argv[1]);from edge_sacro.benchmark.child import main; main()"


def first_answer(order: Mapping[str, Any]) -> dict[str, Any]:
    """Open a runtime in a fresh process, assess one file, and tell when.

    Args:
        order: fields of :class:`edge_sacro.benchmark.order.Order`.

    Returns:
        ``started``, ``began``, ``imported``, ``opened`` and ``answered`` in seconds of ``time.monotonic``, which all
        processes share; ``peak_mb``.

    Raises:
        EdgeSacroError: as in this process.
        BackendFailed: the process ended otherwise; the message has its last words.
    """
    started = time.monotonic()
    return {"started": started, **_run({"task": "first", **order})}


def draw_phantom(folder: Path, ct: bool) -> list[Path]:
    """Draw one phantom at full size into a folder, a radiograph or a CT slice, and name its file."""
    _run({"task": "draw", "folder": str(folder), "ct": ct})
    return sorted(folder.rglob("*.dcm"))


def _run(request: Mapping[str, Any]) -> dict[str, Any]:
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - "" means the working folder
    done = subprocess.run(  # noqa: S603 - our own interpreter and a constant text
        [sys.executable, "-I", "-c", _CODE, json.dumps(paths), json.dumps(request)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise BackendFailed(f"a fresh process ended with exit status {done.returncode}: {words[0]}", source="bench")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "error" in answer:
        known = next(error for error in all_errors() if error.code == answer["error"])
        raise known(answer["what"], source=answer["source"], remedy=answer["remedy"])
    return answer


def main() -> None:
    """Do what the second argument asks for and print one line of JSON."""
    began = time.monotonic()
    request = json.loads(sys.argv[2])
    answer: dict[str, Any] = {"began": began}
    try:
        if request.pop("task") == "draw":
            _draw(Path(request["folder"]), request["ct"])
        else:
            keep_freed_memory()
            answer |= _assess(request)
    except EdgeSacroError as error:
        answer = {"error": error.code, "what": error.what, "source": error.source, "remedy": error.remedy}
    print(json.dumps(answer))


def _draw(folder: Path, ct: bool) -> None:
    from edge_sacro.phantom import CtOptions, write_ct_study, write_study

    if ct:
        write_ct_study(folder, 1, SEED, CtOptions(slices=1))
    else:
        write_study(folder, 1, SEED)


def _assess(request: dict[str, Any]) -> dict[str, Any]:
    import edge_sacro.runtime  # noqa: F401 - what is timed is its import
    from edge_sacro.benchmark.order import Order, answered, open_runtime
    from edge_sacro.benchmark.processes import resident_mb

    path = request.pop("path")
    imported = time.monotonic()
    with open_runtime(Order(**request)) as runtime:
        opened = time.monotonic()
        answered(runtime, Path(path))
        done = time.monotonic()
    return {"imported": imported, "opened": opened, "answered": done, "peak_mb": resident_mb("VmHWM")}
