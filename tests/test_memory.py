"""Freed memory stays with the process where that is asked for: the next image finds it without page faults."""

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
