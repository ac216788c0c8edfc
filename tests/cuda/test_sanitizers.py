"""No kernel reads or writes outside its buffers, and none does what C++ leaves undefined."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.cuda.emulated import build, compiler
from tests.cuda.under_sanitizers import CHOSEN

pytestmark = pytest.mark.heavy

FLAGS = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("checked"), *FLAGS)


def _run(library: Path, missing: int) -> subprocess.CompletedProcess[str]:
    """Every kernel, in buffers that are so many bytes too small."""
    command = [compiler(), "-print-file-name=libasan.so"]
    runtime = Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    if not runtime.is_file():
        pytest.skip("the compiler has no AddressSanitizer")
    environment = {
        **os.environ,
        "LD_PRELOAD": str(runtime.resolve()),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.cuda.under_sanitizers", str(library), str(missing)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)


def test_no_kernel_leaves_its_buffers(checked: Path) -> None:
    done = _run(checked, 0)
    assert done.returncode == 0, done.stderr[:4000]
    assert done.stdout.split() == [str(len(CHOSEN))]


def test_one_byte_too_few_is_found_with_the_kernels_line(checked: Path) -> None:
    done = _run(checked, 1)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
    assert ".cu:" in done.stderr
