"""The TensorRT backend through unmodified pycuda, on the stand-in for the driver that the kernels are tested on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.cuda.emulated import EMULATION, build, compiler
from tests.cuda.test_pycuda import UNAVAILABLE, _pycuda
from tests.engines.through_pycuda import ERRORS

MORE = Path(__file__).parent / "emulation" / "driver_more.cpp"

KEPT = {
    "cuCtxPushCurrent_v2": "emulated_push",
    "cuCtxPopCurrent_v2": "emulated_pop",
}
"""Calls that the part appended puts others in place of, and what it finds the first ones by."""


def _driver(folder: Path, package: Path) -> Path:
    """The stand-in with what this backend calls beside the kernels' calls, and every symbol that pycuda links to."""
    (extension,) = package.glob("_driver*.so")
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", str(extension)], check=True, capture_output=True, text=True
    )
    wanted = {word for word in listed.stdout.split() if word.startswith("cu") and word[2].isupper()}
    base = (EMULATION / "driver.cpp").read_text()
    for name, kept in KEPT.items():
        base = f"#define {name} {kept}\n{base}\n#undef {name}\n"
    source = base + MORE.read_text()
    stubs = "".join(
        f'extern "C" int {name}() {{ return 801; }}\n' for name in sorted(wanted) if f" {name}(" not in source
    )
    (folder / "driver.cpp").write_text(source + stubs)
    library = folder / "libcuda.so.1"
    flags = ("-O0", "-std=c++17", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1")
    subprocess.run([compiler(), *flags, "-o", str(library), str(folder / "driver.cpp"), "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    package, entry = _pycuda()
    driver = _driver(tmp_path_factory.mktemp("driver"), package)
    environment = {
        **os.environ,
        "EMULATED_KERNELS": str(build(tmp_path_factory.mktemp("kernels"), "-O0")),
        "PYTHONPATH": os.pathsep.join([str(ROOT), entry]),
        "LD_LIBRARY_PATH": str(driver.parent),
    }
    command = [sys.executable, "-m", "tests.engines.through_pycuda", str(driver)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    unclean = done.stderr.count("clean-up operation failed")
    assert unclean == done.stderr.count("cuCtxPushCurrent failed"), "only where no context can be made current"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("memory", ["copied", "mapped"])
def test_every_answer_is_right_through_pycuda(answer: dict[str, Any], memory: str) -> None:
    found = answer[memory]
    assert found["state"] == {"gpu": "emulated GPU 8.7", "memory": memory, "launch": "graph"}
    assert found["runs"] == [True] * 3
    assert found["threads"] == [True] * 4
    assert found["in place"] is True
    assert (found["deadline"], found["after"]) == (True, True)


@pytest.mark.parametrize("memory", ["copied", "mapped"])
def test_nothing_is_allocated_after_opening_nor_left_after_closing(answer: dict[str, Any], memory: str) -> None:
    assert answer[memory]["allocated since"] == 0
    assert answer[memory]["left"] == 0
    assert answer[memory]["depths"] == [0, 0], "of the contexts of the thread that opened and of the one that closed"


@pytest.mark.parametrize("call", ERRORS)
def test_every_status_becomes_an_error_and_leaves_nothing(answer: dict[str, Any], call: str) -> None:
    code, what, left = answer["failures"][call]
    assert code == ("backend_unavailable" if call in UNAVAILABLE else "backend_failed")
    assert "told to fail" in what
    assert left == 0
