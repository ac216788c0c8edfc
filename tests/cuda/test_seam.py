"""What a session and its device refuse, keep and give back; what each system's input refuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edge_sacro.cuda.image import table_on_device
from edge_sacro.cuda.segmenter import segmenter_windows
from edge_sacro.cuda.session import Session
from edge_sacro.cuda.structs import Encoding, packed_arguments
from edge_sacro.cuda.systems import anatomy_case, bressem2021_input, fu2024_input, noh2021_input
from edge_sacro.errors import BackendFailed, InternalError, MissingAttributes, WorkshopError
from edge_sacro.preprocess.tf_resize import MEAN, STANDARD_DEVIATION
from edge_sacro.types import Box
from engines.__main__ import main
from engines.kernels import build_kernels
from tests.cuda.cases import BOXES, CASES, CLASSIFIER, HALF, SEGMENTATION, WINDOW
from tests.cuda.emulated import EmulatedDevice
from tests.cuda.radiographs import axial_slice, twelve_bit


def test_a_warm_session_allocates_nothing(session: Session) -> None:
    counted = []
    for size in ((160, 200), (120, 100), (160, 200)):
        case = anatomy_case(session, twelve_bit(*size), "corrected")
        case.segmenter_windows(SEGMENTATION).copy()
        case.classifier_crops([box for box in BOXES if box.x1 <= size[1] and box.y1 <= size[0]], CLASSIFIER).copy()
        counted.append(session.allocations)
    assert counted[0] == counted[-1] > 0
    anatomy_case(session, twelve_bit(170, 200), "corrected")
    assert session.allocations > counted[-1], "a larger image than any before takes more memory"


def test_a_batch_of_boxes_takes_as_many_launches_as_one(library: Path) -> None:
    launches = []
    for boxes in (BOXES[:1], BOXES):
        device = EmulatedDevice(library)
        with Session(device) as session:
            case = anatomy_case(session, twelve_bit(160, 200), "corrected")
            before = len(device.launched)
            case.classifier_crops(boxes, CLASSIFIER)
            launches.append(len(device.launched) - before)
    assert launches == [5, 5]


@pytest.mark.parametrize(("made", "launches"), [(noh2021_input, 5), (bressem2021_input, 8)])
def test_a_whole_image_takes_few_launches(library: Path, made: object, launches: int) -> None:
    device = EmulatedDevice(library)
    with Session(device) as session:
        if made is noh2021_input:
            noh2021_input(session, twelve_bit(60, 50), 64)
        else:
            bressem2021_input(session, twelve_bit(60, 50), (64, 64))
    assert len(device.launched) == launches


def test_a_tensor_is_refused_once_its_memory_has_another(session: Session) -> None:
    case = anatomy_case(session, twelve_bit(160, 200), "corrected")
    first = case.segmenter_windows(SEGMENTATION)
    kept = first.copy()
    second = case.segmenter_windows(SEGMENTATION, HALF)
    with pytest.raises(InternalError, match="this segmenter input is gone"):
        first.copy()
    np.testing.assert_array_equal(second.copy(), kept.astype(np.float16))
    anatomy_case(session, twelve_bit(100, 90), "corrected")
    with pytest.raises(InternalError, match="gone"):
        second.copy()
    for use in (case.gray, lambda: case.segmenter_windows(SEGMENTATION), lambda: case.whole_image(CLASSIFIER)):
        with pytest.raises(InternalError, match="image 1 of this session is gone; image 2 has its memory"):
            use()


def test_a_copy_is_the_callers(session: Session) -> None:
    first = anatomy_case(session, twelve_bit(60, 50), "corrected").gray()
    kept = first.copy()
    anatomy_case(session, twelve_bit(50, 60), "corrected").gray()
    np.testing.assert_array_equal(first, kept)


def test_everything_is_given_back(library: Path) -> None:
    device = EmulatedDevice(library)
    with Session(device) as session:
        CASES[0].found(session)
        assert device.live > 5
    assert device.live == 0
    session.close()


@pytest.mark.parametrize("boxes", [(), (Box(0, 0, 1, 9),), (Box(0, 0, 61, 20),), (Box(0, 40, 9, 51),)])
def test_a_box_that_is_no_crop_of_the_image_is_refused(session: Session, boxes: tuple[Box, ...]) -> None:
    case = anatomy_case(session, twelve_bit(50, 60), "corrected")
    with pytest.raises(ValueError, match=r"no crop|no box"):
        case.classifier_crops(boxes, CLASSIFIER)


def test_a_batch_that_no_index_reaches_is_refused(session: Session) -> None:
    case = anatomy_case(session, twelve_bit(50, 60), "corrected")
    vast = replace(case, image=replace(case.image, rows=1 << 16, columns=1 << 16))
    with pytest.raises(ValueError, match="fewer than"):
        vast.classifier_crops([Box(0, 0, 1 << 16, 1 << 15)], CLASSIFIER)


def test_a_slice_without_hounsfield_units_is_refused(session: Session) -> None:
    with pytest.raises(MissingAttributes, match="not in Hounsfield units"):
        fu2024_input(session, twelve_bit(60, 60), (400.0, 1800.0), (32, 32))


def test_padding_of_a_slice_is_dark_whatever_its_value(session: Session) -> None:
    """A stored value of 2001 is 977 Hounsfield units, and nothing where it is padding."""
    seen = axial_slice(64, 64)
    stored = seen.stored.copy()
    stored[:32] = 2001
    padded = replace(seen, stored=stored, grayscale=replace(seen.grayscale, padding=(2000, 2003)))
    bright = replace(padded, grayscale=replace(seen.grayscale, padding=None))
    found, other = (fu2024_input(session, each, WINDOW, (64, 64)).copy()[0, :, 5, 5] for each in (padded, bright))
    np.testing.assert_allclose(found, -np.array(MEAN, np.float32) / np.array(STANDARD_DEVIATION, np.float32))
    assert (other > found + 1).all()


def test_an_image_too_narrow_for_the_detector_is_refused(session: Session) -> None:
    with pytest.raises(ValueError, match="leaves no pixel"):
        noh2021_input(session, twelve_bit(2, 300), 64)


@pytest.mark.parametrize(
    ("kernel", "blocks", "threads", "arguments"),
    [
        ("no_such", (1, 1, 1), (1, 1, 1), {}),
        ("gray_image", (1, 0, 1), (1, 1, 1), {}),
        ("gray_image", (1, 1, 1), (1025, 1, 1), {}),
        ("gray_image", (1, 1, 1), (1, 1, 1), {"image": 0}),
        ("interpolate", (1, 1, 1), (1, 1, 1), {"crops": 0, "bins": 0, "maps": 0, "levels": 0, "bounds": "here"}),
    ],
)
def test_a_launch_that_cannot_be_meant_is_a_defect(
    session: Session,
    kernel: str,
    blocks: tuple[int, int, int],
    threads: tuple[int, int, int],
    arguments: dict[str, int],
) -> None:
    with pytest.raises(InternalError):
        session.device.launch(kernel, blocks, threads, **arguments)


def test_what_does_not_fit_is_a_defect(session: Session) -> None:
    small = session.device.allocate(8)
    with pytest.raises(InternalError, match="9 bytes and a buffer of 8"):
        session.device.upload(small, np.zeros(9, np.uint8))
    with pytest.raises(InternalError, match="contiguous"):
        session.device.download(small, np.zeros((4, 4), np.uint8)[:2, :2])
    with pytest.raises(InternalError, match="16 bytes"):
        session.device.zero(small, 16)
    case = anatomy_case(session, twelve_bit(50, 60), "corrected")
    with pytest.raises(InternalError, match="for 4096 stored values"):
        table_on_device(case.image, "short", np.zeros(256, np.uint8))
    with pytest.raises(ValueError, match="one table"):
        segmenter_windows(case.image, SEGMENTATION, Encoding())


@pytest.mark.parametrize(("precision", "step"), [("fp64", 1.0), ("int8", 0.0), ("int8", float("nan")), ("int8", -0.1)])
def test_an_encoding_that_no_network_has_is_refused(precision: str, step: float) -> None:
    with pytest.raises(ValueError, match="no encoding"):
        Encoding(precision, step)  # type: ignore[arg-type]


def test_arguments_end_where_the_last_one_does() -> None:
    packed = packed_arguments("segmenter_windows", {"resized": 1, "bounds": 2, "windows": 0, "output": 0})
    assert len(packed) == 8 + 8 + 16 + 16
    packed = packed_arguments(
        "area_resize", dict.fromkeys(("eight_bit", "values", "resized", "bounds", "image"), 0) | {"size": 7}
    )
    assert packed[-4:] == (7).to_bytes(4, "little")
    assert len(packed) == 40 + 4 * 8 + 4


class FailingDevice(EmulatedDevice):
    """A device that fails at the first launch and again when it is closed."""

    def _launch(self, *_: object) -> None:
        raise BackendFailed("launching: lost")

    def close(self) -> None:
        raise BackendFailed("closing: lost")


def test_the_error_that_ended_the_work_is_the_one_told(library: Path) -> None:
    with pytest.raises(BackendFailed, match="launching"), Session(FailingDevice(library)) as session:
        anatomy_case(session, twelve_bit(50, 60), "corrected")
    with pytest.raises(BackendFailed, match="closing"), Session(FailingDevice(library)):
        pass


def test_importing_the_package_loads_no_vendor() -> None:
    code = (
        "import sys, edge_sacro.cuda.systems, edge_sacro.cuda.gpu\n"
        "assert not {'pycuda', 'tensorrt', 'onnxruntime', 'pydicom'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_compiler_that_refuses_is_told_with_its_message(tmp_path: Path) -> None:
    compilers = tmp_path / "nvidia" / "cu13" / "bin", tmp_path / "nvidia" / "cuda_nvrtc" / "lib"
    for folder, name in zip(compilers, ("nvcc", "libnvrtc.so.12"), strict=True):
        folder.mkdir(parents=True)
        (folder / name).write_text("#!/bin/sh\necho all.cu: no such word >&2\nexit 2\n")
        (folder / name).chmod(0o755)
    with pytest.raises(WorkshopError, match=r"nvcc ended with 2: all\.cu: no such word"):
        build_kernels(tmp_path, tmp_path / "out")
    done = CliRunner().invoke(main, ["kernels", "--toolchain", str(tmp_path)])
    assert done.exit_code == WorkshopError.exit_code
    assert "no such word" in done.output
