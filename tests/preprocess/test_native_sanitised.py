"""The compiled functions under AddressSanitizer and UndefinedBehaviorSanitizer, on images of any size."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sacro import native
from tests.conftest import ROOT

COMPILER = shutil.which("gcc")
pytestmark = pytest.mark.skipif(COMPILER is None or not native.kinds(), reason="needs gcc on Linux")

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from edge_sacro import native
from edge_sacro.preprocess import clahe, contrast, field
from edge_sacro.preprocess.components import counted_extents, dilated
from edge_sacro.preprocess.resize import _corner_positions, area_means, bilinear_between, compiled_area_means

library = native.Library(Path(sys.argv[1]), "baseline")
if "spoilt" in sys.argv:
    image, few = np.zeros((40, 4000), np.uint8), np.zeros(2000, np.uint16)
    library.dilate(image.ctypes.data, 4000, 40, 4000, 1, 5, few.ctypes.data, np.empty_like(image).ctypes.data)
random = np.random.default_rng(0)
for _ in range(100):
    shape, size = (tuple(int(each) for each in random.integers(1, 150, 2)) for _ in range(2))
    image, radius = random.integers(0, 256, shape).astype(np.uint8), int(random.integers(0, 160))
    labels, positions = image % 4, [_corner_positions(n, m) for n, m in zip(shape, size)]
    np.testing.assert_array_equal(compiled_area_means(image, size, library), area_means(image, size))
    for found, expected in zip(field.counted(image, library), field.counted(image, None)):
        np.testing.assert_array_equal(found, expected)
    assert counted_extents(labels, library) == counted_extents(labels, None)
    np.testing.assert_array_equal(dilated(labels, 2, radius, library), dilated(labels, 2, radius, None))
    values = image.astype(np.float32)
    found, expected = (bilinear_between(values, *positions, each) for each in (library, None))
    np.testing.assert_array_equal(found, expected)
    if min(shape) >= contrast.SMALLEST:
        np.testing.assert_array_equal(contrast.compiled_filter(image, library), clahe.clahe_variant(image))
print("the same")
"""


@pytest.fixture(scope="module")
def sanitised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("sanitised") / "functions.so"
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    flags = ("-g", "-O1", "-std=c11", "-fPIC", "-ffp-contract=off", "-shared", "-DSUFFIX(name)=name##_baseline")
    subprocess.run([str(COMPILER), *flags, *checks, "-o", built, *native.SOURCES], check=True)
    return built


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    sanitisers = [
        subprocess.run([str(COMPILER), f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
        for name in ("libasan.so", "libubsan.so")
    ]
    environment = {**os.environ, "LD_PRELOAD": " ".join(map(str.strip, sanitisers)), "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)


def test_no_size_reads_or_writes_beyond_an_array(sanitised: Path) -> None:
    done = run(sanitised)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the same\n"


def test_an_array_that_is_too_small_is_noticed(sanitised: Path) -> None:
    done = run(sanitised, "spoilt")
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
