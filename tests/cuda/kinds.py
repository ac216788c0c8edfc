"""A tiny bundle of each published system with an image that it answers, and what of a result must not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.bundle import Bundle
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from tests.systems.bundles import write_classifier_bundle, write_detector_bundle, write_slice
from tests.tiny import drawn_pelvis, write_bundle, write_dicom, write_standard_bundle

SLICE_TOLERANCE = 1e-6
"""Of fu2024's input, as ``docs/cuda.md`` has it."""

OVERLAPPING = {"size": 192, "window": 128, "overlap": 0.5, "dilation_fraction": 0.05}


@dataclass(frozen=True)
class Kind:
    """A system's bundle and what it reads.

    Attributes:
        write: writes the bundle.
        file: writes a DICOM file.
        uploads: copies to the GPU that one image takes: its stored pixels, and tables of its values.
        tolerance: of what the networks see; 0 for the same bits.
    """

    write: Callable[[Path], Path]
    file: Callable[[Path], Path]
    uploads: int
    tolerance: float = 0.0


def slanted(brighter: int = 0) -> npt.NDArray[np.uint16]:
    """The drawn pelvis with bones of many gray levels, so that one pixel to the side is another image."""
    image, (rows, columns) = drawn_pelvis(), np.mgrid[0:512, 0:512]
    bones = (image > 1500) & (image < 3500)
    return np.where(bones, image + (rows * 3 + columns * 5) % 201 - 100 + brighter, image).astype(np.uint16)


def write_radiograph(path: Path) -> Path:
    return write_dicom(path, slanted())


def write_turned(path: Path) -> Path:
    return write_dicom(path, slanted()[:, ::-1].T.copy(), PatientOrientation=["F", "R"])


def write_halves(path: Path) -> Path:
    """A radiograph whose halves differ, and which differs along rows and columns."""
    rows, columns = np.mgrid[0:300, 0:400]
    image = np.where(columns < 200, 900, 2200) + (rows * 3 + columns * 5) % 401
    image[50:250, 10:40], image[50:250, -40:-10] = 300, 4000
    return write_dicom(path, image.astype(np.uint16))


KINDS = {
    "dorfner2024": Kind(write_bundle, write_radiograph, 5),
    "dorfner2024, turned": Kind(write_bundle, write_turned, 5),
    "dorfner2024, windows that overlap": Kind(
        lambda folder: write_bundle(folder, segmentation=OVERLAPPING), write_radiograph, 5
    ),
    "dorfner2024, published numerics": Kind(
        lambda folder: write_bundle(folder, numerics="published"), write_radiograph, 4
    ),
    "dorfner2024-standard": Kind(write_standard_bundle, write_radiograph, 5),
    "bressem2021": Kind(lambda folder: write_classifier_bundle(folder, "bressem2021", True), write_radiograph, 4),
    "poddubnyy2020": Kind(lambda folder: write_classifier_bundle(folder, "poddubnyy2020"), write_turned, 4),
    "noh2021": Kind(write_detector_bundle, write_halves, 4),
    "fu2024-resnext50": Kind(
        lambda folder: write_classifier_bundle(folder, "fu2024-resnext50", True), write_slice, 2, SLICE_TOLERANCE
    ),
}


def answer(result: Result) -> dict[str, Any]:
    """All that a result says, save what computed it and how long it took."""
    return result.model_dump(mode="json", exclude={"timings_ms", "backend"})


def on_host(bundle: Bundle | Path, *files: Path) -> list[dict[str, Any]]:
    with Runtime(bundle, threads=1) as runtime:
        return [answer(runtime.infer(file)) for file in files]
