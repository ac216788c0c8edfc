"""Unmodified pycuda on a stand-in for the driver: memory, streams, statuses and launches as on a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.cuda.gpu import open_gpu
from edge_sacro.errors import BackendUnavailable
from tests.conftest import ROOT
from tests.cuda.cases import CASES
from tests.cuda.emulated import EMULATION, compiler
from tests.cuda.through_pycuda import ERRORS

UNAVAILABLE = {"cuInit", "cuDeviceGet"}
"""Calls whose failure means that there is no GPU; any other means that one has failed."""


def _pycuda() -> tuple[Path, str]:
    """Folder of pycuda's package, and a search path on which it is; the test is skipped where there is none."""
    path = os.environ.get("EDGE_SACRO_PYCUDA", "")
    for entry in [path, *sys.path] if path else sys.path:
        if (Path(entry) / "pycuda" / "driver.py").is_file():
            return Path(entry) / "pycuda", entry
    pytest.skip("pycuda is not here: python -m tests.cuda.build_pycuda FOLDER, then EDGE_SACRO_PYCUDA=FOLDER")


def _driver(folder: Path, package: Path) -> Path:
    """The stand-in, with every symbol that pycuda links to; those that no test calls give CUDA_ERROR_NOT_SUPPORTED."""
    (extension,) = package.glob("_driver*.so")
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", str(extension)], check=True, capture_output=True, text=True
    )
    wanted = {word for word in listed.stdout.split() if word.startswith("cu") and word[2].isupper()}
    source = (EMULATION / "driver.cpp").read_text()
    stubs = "".join(
        f'extern "C" int {name}() {{ return 801; }}\n' for name in sorted(wanted) if f" {name}(" not in source
    )
    (folder / "driver.cpp").write_text(source + stubs)
    library = folder / "libcuda.so.1"
    flags = ("-O1", "-std=c++17", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1")
    subprocess.run([compiler(), *flags, "-o", str(library), str(folder / "driver.cpp"), "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def answer(library: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    package, entry = _pycuda()
    driver = _driver(tmp_path_factory.mktemp("driver"), package)
    environment = {
        **os.environ,
        "EMULATED_KERNELS": str(library),
        "PYTHONPATH": os.pathsep.join([str(ROOT), entry]),
        "LD_LIBRARY_PATH": str(driver.parent),
    }
    command = [sys.executable, "-m", "tests.cuda.through_pycuda", str(driver)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_networks_input_comes_through_pycuda(answer: dict[str, Any]) -> None:
    assert answer["cases"] == [case.name for case in CASES]
    assert answer["launches"] > 5 * len(CASES)


def test_a_gpu_that_shares_the_hosts_memory_reads_it_there(answer: dict[str, Any]) -> None:
    """The same cases with not one copy to the device: that call fails meanwhile, and is not missed."""
    shared = answer["shared"]
    assert shared == {"cases": len(CASES), "live": 0, "allocated": 0, "copied": False, "pointer": True}


def test_nothing_is_left_behind(answer: dict[str, Any]) -> None:
    """Device memory, page-locked memory, streams, events and the context, after success and after every failure."""
    assert answer["live"] == 0
    assert answer["left"] == dict.fromkeys(ERRORS, 0)


def test_a_warm_session_allocates_nothing(answer: dict[str, Any]) -> None:
    first, last = answer["allocations"]
    assert first == last > 0


def test_a_copied_result_is_the_callers(answer: dict[str, Any]) -> None:
    assert answer["kept"] is True


@pytest.mark.parametrize("call", ERRORS)
def test_every_status_becomes_an_error_that_tells_what_failed(answer: dict[str, Any], call: str) -> None:
    code, what, remedy = answer["failures"][call]
    assert code == ("backend_unavailable" if call in UNAVAILABLE else "backend_failed")
    assert "told to fail" in what
    assert remedy


def test_a_driver_of_jetpack_6_is_served_and_an_older_one_refused(answer: dict[str, Any]) -> None:
    assert answer["jetpack 6"] == "none"
    assert answer["old driver"] == "backend_unavailable"


@pytest.mark.skipif(find_spec("pycuda") is not None, reason="pycuda is installed")
def test_without_pycuda_the_error_names_the_extra() -> None:
    with pytest.raises(BackendUnavailable, match="pycuda") as caught:
        open_gpu()
    assert "tensorrt" in caught.value.remedy
