"""A runtime on TensorRT's engines from DICOM to result through unmodified pycuda, on the stand-in for the driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.cuda.runtime_through_pycuda import ERRORS
from tests.cuda.test_pycuda import _pycuda
from tests.engines.test_trt_pycuda import _driver

MEMORIES = ("copied", "mapped")


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
    folder = str(tmp_path_factory.mktemp("written"))
    command = [sys.executable, "-m", "tests.cuda.runtime_through_pycuda", str(driver), folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("bundle", ["demonstration", "tiny", "slice"])
def test_a_result_is_the_hosts_and_a_warm_runtime_allocates_nothing(
    answer: dict[str, Any], bundle: str, memory: str
) -> None:
    assert answer[bundle]["state"] in {"positive", "negative"}
    assert answer[bundle][memory] == {"same": [True] * 3, "allocated": 0, "left": 0}


def test_a_crop_one_pixel_to_the_side_is_another_probability(answer: dict[str, Any]) -> None:
    """The control of the comparison above, in which every digit of the result counts."""
    assert answer["shifted"] is not None
    assert answer["shifted"] != answer["demonstration"]["probability"]


@pytest.mark.parametrize("call", ERRORS)
def test_a_call_that_fails_ends_the_assessment_and_leaves_nothing(answer: dict[str, Any], call: str) -> None:
    code, what, left = answer["failures"][call]
    assert code == "backend_failed"
    assert "told to fail" in what
    assert left == 0
