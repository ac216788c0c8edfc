"""Inputs written into memory of an engine's own, and what a device's memory must wait for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sacro.classify import ClassifierGeometry
from edge_sacro.cuda.device import Buffer
from edge_sacro.cuda.gpu import open_gpu
from edge_sacro.cuda.inputs import FLOATS
from edge_sacro.cuda.segmenter import segmenter_window
from edge_sacro.cuda.session import Session
from edge_sacro.cuda.systems import anatomy_case
from edge_sacro.errors import InternalError
from edge_sacro.locate import SegmentationGeometry
from edge_sacro.types import Box
from tests.cuda.cases import BOXES, SEGMENTATION, canonical_gray, crops
from tests.cuda.kernel_gpu import Workplace
from tests.cuda.radiographs import twelve_bit

GEOMETRY = ClassifierGeometry(64, 100)


def _place(session: Session, count: int) -> Buffer:
    return session.device.allocate(count * FLOATS.dtype.itemsize)


@pytest.mark.parametrize("integrated", [False, True], ids=["copied", "shared"])
def test_a_second_input_does_not_change_the_first_that_is_still_under_way(
    monkeypatch: pytest.MonkeyPatch, library: Path, integrated: bool
) -> None:
    """Both are queued before anything waits; what the host fills for the second is what the first one still reads."""
    Workplace(monkeypatch, library, integrated=integrated)
    radiograph, boxes = twelve_bit(160, 200), (BOXES[0], BOXES[1])
    with Session(open_gpu()) as session:
        case = anatomy_case(session, radiograph, "corrected")
        places = [_place(session, 64 * 100) for _ in boxes]
        for box, place in zip(boxes, places, strict=True):
            case.classifier_crops([box], GEOMETRY, place=place)
        found = [np.empty((1, 1, 64, 100), np.float32) for _ in boxes]
        for place, values in zip(places, found, strict=True):
            session.device.download(place, values)
    expected = crops(canonical_gray(radiograph), boxes, GEOMETRY)
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert (expected[0] != expected[1]).any()


def test_windows_cut_one_by_one_are_those_of_the_batch(session: Session) -> None:
    case = anatomy_case(session, twelve_bit(160, 200, "RF"), "corrected")
    batch = case.segmenter_windows(SEGMENTATION).copy()
    image, side = case.segmenter_image(SEGMENTATION), SEGMENTATION.window
    place, at = _place(session, side * side), [(x, y) for x in SEGMENTATION.starts for y in SEGMENTATION.starts]
    assert len(at) == len(batch) > 4
    for number, corner in enumerate(at):
        found = segmenter_window(image, corner, FLOATS, place=place).copy()
        np.testing.assert_array_equal(found[0], batch[number])
        assert (found[0] != batch[number - 1]).any(), "control: another window"


@pytest.mark.parametrize("at", [(-1, 0), (0, -1), (33, 0), (0, 33)])
def test_a_window_beyond_the_image_is_refused(session: Session, at: tuple[int, int]) -> None:
    case = anatomy_case(session, twelve_bit(50, 60), "corrected")
    image = case.segmenter_image(SegmentationGeometry(96, 64))
    segmenter_window(image, (32, 32), FLOATS)
    with pytest.raises(ValueError, match="no window of 64"):
        segmenter_window(image, at, FLOATS)


def test_a_window_of_an_image_that_is_gone_is_refused(session: Session) -> None:
    image = anatomy_case(session, twelve_bit(50, 60), "corrected").segmenter_image(SEGMENTATION)
    anatomy_case(session, twelve_bit(60, 50), "corrected")
    with pytest.raises(InternalError, match="image 1 of this session is gone"):
        segmenter_window(image, (0, 0), FLOATS)


def test_a_larger_crop_of_an_image_of_the_same_size_takes_no_more_memory(session: Session) -> None:
    case = anatomy_case(session, twelve_bit(160, 200), "corrected")
    case.classifier_crops([Box(60, 60, 70, 70)], GEOMETRY)
    counted = session.allocations
    case.whole_image(GEOMETRY)
    anatomy_case(session, twelve_bit(160, 200, "RF"), "corrected").classifier_crops([BOXES[0]], GEOMETRY)
    assert session.allocations == counted
    case = anatomy_case(session, twelve_bit(161, 200), "corrected")
    case.classifier_crops([Box(60, 60, 70, 70)], GEOMETRY)
    assert session.allocations > counted, "control: a larger image"


def test_a_place_of_another_size_is_refused_before_anything_is_written(session: Session) -> None:
    place = _place(session, 64 * 64 - 1)
    case = anatomy_case(session, twelve_bit(160, 200), "corrected")
    with pytest.raises(InternalError, match="a place of"):
        case.classifier_crops([BOXES[0]], GEOMETRY, place=place)
    with pytest.raises(InternalError, match="a place of"):
        segmenter_window(case.segmenter_image(SEGMENTATION), (0, 0), FLOATS, place=place)
    untouched = np.empty(place.nbytes, np.uint8)
    session.device.download(place, untouched)
    assert len(set(untouched.tolist())) == 1
