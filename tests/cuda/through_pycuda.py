"""Run in a process of its own: every case through unmodified pycuda on the stand-in for the driver.

``python -m tests.cuda.through_pycuda DRIVER`` loads that library as libcuda and prints one JSON document.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys

import numpy as np

from edge_sacro.cuda.binaries import CHOICES
from edge_sacro.cuda.gpu import open_gpu
from edge_sacro.cuda.session import Session
from edge_sacro.cuda.systems import anatomy_case
from edge_sacro.errors import EdgeSacroError
from tests.cuda.cases import BOXES, CASES, CLASSIFIER, SEGMENTATION
from tests.cuda.radiographs import twelve_bit

ERRORS = {
    "cuInit": 100,
    "cuDeviceGet": 101,
    "cuDevicePrimaryCtxRetain": 2,
    "cuCtxPushCurrent_v2": 201,
    "cuModuleLoadDataEx": 209,
    "cuModuleGetFunction": 500,
    "cuStreamCreate": 2,
    "cuMemAlloc_v2": 2,
    "cuMemHostAlloc": 2,
    "cuMemcpyHtoDAsync_v2": 1,
    "cuMemsetD8Async": 1,
    "cuLaunchKernel": 719,
    "cuEventCreate": 2,
    "cuStreamSynchronize": 700,
    "cuMemcpyDtoHAsync_v2": 1,
}
"""A status of the driver for each call that can fail."""


def run_cases() -> list[str]:
    """Names of the cases that the device answers as the reference does; one session for all of them."""
    with Session(device := open_gpu()) as session:
        assert device.stream != 0
        for case in CASES:
            case.check(session)
    return [case.name for case in CASES]


def allocations() -> list[int]:
    """How often a session has allocated after its first image, and after three more, one of them smaller."""
    counted = []
    with Session(open_gpu()) as session:
        for size in ((160, 200), (160, 200), (120, 100), (160, 200)):
            case = anatomy_case(session, twelve_bit(*size), "corrected")
            case.segmenter_windows(SEGMENTATION).copy()
            boxes = [box for box in BOXES if box.x1 <= size[1] and box.y1 <= size[0]]
            case.classifier_crops(boxes, CLASSIFIER).copy()
            case.gray()
            counted.append(session.allocations)
    return [counted[0], counted[-1]]


def run_on_shared_memory(driver: ctypes.CDLL) -> dict[str, int]:
    """The cases on a GPU that shares the host's memory, which then lacks a call."""
    driver.fake_integrated(1)
    with Session(open_gpu()) as session:
        for case in CASES:
            case.check(session)
        counted = session.allocations
        CASES[-1].check(session)
    answer = {"cases": len(CASES), "live": driver.fake_live(), "allocated": session.allocations - counted}
    answer["copied"] = failure(driver, "cuMemcpyHtoDAsync_v2")[0] != "none"
    answer["pointer"] = failure(driver, "cuMemHostGetDevicePointer_v2")[0] == "backend_failed"
    driver.fake_integrated(0)
    return answer


def copies_are_kept() -> bool:
    """Whether a copy of a result survives the next image."""
    with Session(open_gpu()) as session:
        first = anatomy_case(session, twelve_bit(120, 100), "corrected").segmenter_windows(SEGMENTATION).copy()
        kept = first.copy()
        anatomy_case(session, twelve_bit(100, 120), "corrected").segmenter_windows(SEGMENTATION).copy()
    return bool(np.array_equal(first, kept))


def failure(driver: ctypes.CDLL, call: str, status: int | None = None) -> list[str]:
    """Code, message and remedy of the error that a call becomes which fails and goes on failing."""
    driver.fake_fail(call.encode(), ERRORS.get(call, 1) if status is None else status)
    try:
        with Session(open_gpu()) as session:
            anatomy_case(session, twelve_bit(60, 50), "corrected").segmenter_windows(SEGMENTATION).copy()
    except EdgeSacroError as error:
        return [error.code, error.what, error.remedy]
    finally:
        driver.fake_fail(call.encode(), 0)
    return ["none", "", ""]


def main(path: str) -> None:
    """Print what every check found."""
    driver = ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
    answer: dict[str, object] = {"cases": run_cases(), "launches": driver.fake_launches()}
    answer["live"] = driver.fake_live()
    answer["allocations"], answer["kept"] = allocations(), copies_are_kept()
    answer["shared"] = run_on_shared_memory(driver)
    failures, left = {}, {}
    for call in ERRORS:
        before = driver.fake_live()
        failures[call] = failure(driver, call)
        gc.collect()  # what an error's frames still hold
        left[call] = driver.fake_live() - before
    answer["failures"], answer["left"] = failures, left
    driver.fake_device(12060, 8, 7)
    answer["jetpack 6"] = failure(driver, "cuInit", 0)[0]
    driver.fake_device(12020, 8, 7)
    answer["old driver"] = failure(driver, "cuInit", 0)[0]
    answer["binaries"] = [choice.name for choice in CHOICES]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
