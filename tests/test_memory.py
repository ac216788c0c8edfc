"""Freed memory stays with the process, or goes back to the system, as it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge_sacro.memory import keep_freed_memory

pytestmark = pytest.mark.skipif(not keep_freed_memory(), reason="the C library here has no such setting")

IMAGES = """
import resource, sys
import numpy as np
if "keep" in sys.argv:
    from edge_sacro.memory import keep_freed_memory
    assert keep_freed_memory()
def image():
    file, gray = bytes(15_000_000), np.ones(7_500_000, np.uint8)
    several = [np.ones(500_000, np.float32) for _ in range(4)]
image(); image()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    image()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 20)
"""


def faults(*arguments: str) -> int:
    """Page faults of an image that is not the first."""
    command = [sys.executable, "-c", IMAGES, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_an_image_asks_the_system_for_no_memory_again() -> None:
    assert faults("keep") < 50
    assert faults() > 1000, "negative control: without the setting every image does"


def test_what_opening_leaves_goes_back() -> None:
    code = """
from edge_sacro.benchmark.processes import resident_mb
from edge_sacro.memory import give_back_freed_memory, keep_freed_memory
keep_freed_memory()
left = [b"x" * 1_000_000 for _ in range(100)]
last = bytes(1_000)
del left
before = resident_mb("VmRSS")
print(before, give_back_freed_memory(), resident_mb("VmRSS"))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, given, after = run.stdout.split()
    assert given == "True"
    assert float(before) - float(after) > 80, "of 100 MB that were freed, and kept until then"
