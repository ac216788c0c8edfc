"""How often each kernel reads each stored pixel: memory's rate bounds them, so none is read again without need."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_sacro.cuda.device import Shape3
from edge_sacro.cuda.session import Session
from tests.cuda.cases import BOXES, CASES, Case
from tests.cuda.emulated import EmulatedDevice, build

MOST_PIXELS = 500_000


class CountingDevice(EmulatedDevice):
    """An emulated device that keeps, by kernel, how often each pixel of the image was read; launches add up."""

    def __init__(self, library: Path) -> None:
        super().__init__(library)
        self._counts = np.zeros(MOST_PIXELS, np.uint32)
        place = ctypes.c_void_p.in_dll(ctypes.CDLL(str(library)), "reads_of_pixels")
        place.value = self._counts.ctypes.data
        self.reads: dict[str, npt.NDArray[np.uint32]] = {}

    def _launch(self, kernel: str, blocks: Shape3, threads: Shape3, packed: bytes) -> None:
        self._counts[:] = 0
        super()._launch(kernel, blocks, threads, packed)
        if self._counts.any():
            self.reads[kernel] = self.reads.get(kernel, 0) + self._counts


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("counting"), "-DPIXEL_READ=counted")


def reads(counting: Path, case: Case) -> dict[str, npt.NDArray[np.uint32]]:
    with Session(device := CountingDevice(counting)) as session:
        case.check(session)
    return device.reads


def named(part: str) -> Case:
    (case,) = (case for case in CASES if part in case.name)
    return case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_histogram_reads_each_pixel_once(counting: Path, case: Case) -> None:
    found = reads(counting, case)["histogram"]
    assert np.bincount(found)[1:].tolist() == [np.count_nonzero(found)]


@pytest.mark.parametrize(
    ("name", "kernel", "mean", "most"),
    [
        ("segmenter (150, 210) fp32", "area_resize", 1.03, 2),
        ("segmenter (300, 60)", "area_resize", 1.0, 1),
        ("segmenter, published", "area_resize", 1.04, 2),
        ("segmenter (700, 620)", "area_resize", 1.3, 4),
        ("standard", "crop_gray", 1.0, 1),
        ("bressem2021 (150, 210)", "squish_across", 1.0, 1),
        ("bressem2021 (60, 70)", "squish_across", 1.0, 1),
        ("bressem2021 (8, 8193)", "squish_across", 1.015, 2),
        ("fu2024 (128, 160)", "slice_input", 1.0, 1),
    ],
)
def test_a_networks_input_reads_each_pixel_once(counting: Path, name: str, kernel: str, mean: float, most: int) -> None:
    """Save what two blocks share, of bins or rows larger than a block holds."""
    found = reads(counting, named(name))
    assert set(found) == {"histogram", kernel}
    assert found[kernel].max() == most
    pixels = np.count_nonzero(found["histogram"])
    assert np.count_nonzero(found[kernel]) == pixels
    assert found[kernel].sum() <= mean * pixels


def test_a_crop_reads_the_pixels_of_its_box_once(counting: Path) -> None:
    found = reads(counting, named("classifier fp32"))["crop_gray"]
    assert found.sum() == sum((box.x1 - box.x0) * (box.y1 - box.y0) for box in BOXES)
    assert found.max() == 4, "as many boxes lie over one another at most"


def test_what_is_read_again_is_counted(counting: Path) -> None:
    """Negative control: a bilinear resize to more pixels than there are."""
    found = reads(counting, named("noh2021 (50, 90)"))["detector_input"]
    assert found.sum() > 8 * np.count_nonzero(found)
