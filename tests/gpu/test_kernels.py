"""Every kernel on a real GPU: the same comparisons as on an emulated one, at full size too, and twice the same bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge_sacro.classify import ClassifierGeometry
from edge_sacro.cuda.gpu import open_gpu
from edge_sacro.cuda.image import gray_from_table, gray_table_on_device, image_from_radiograph
from edge_sacro.cuda.session import Session
from edge_sacro.cuda.systems import anatomy_case, bressem2021_input, noh2021_input
from edge_sacro.errors import BackendFailed, BackendUnavailable, ContradictoryAttributes
from edge_sacro.locate import SegmentationGeometry, segmentation_input
from edge_sacro.preprocess.imagenet import imagenet_input
from edge_sacro.preprocess.squish import squished
from edge_sacro.preprocess.tf_resize import detector_input
from edge_sacro.types import Box
from tests.cuda.cases import CASES, Case, canonical_gray, crops, windows
from tests.cuda.radiographs import kinds, made, twelve_bit

pytestmark = pytest.mark.gpu

KINDS = kinds()
ROWS, COLUMNS = 2500, 3000


@pytest.fixture(scope="module")
def gpu() -> Iterator[Session]:
    try:
        device = open_gpu()
    except BackendUnavailable as error:
        pytest.skip(f"no GPU: {error.what}")
    with Session(device) as session:
        yield session


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_networks_input_is_the_references(gpu: Session, case: Case) -> None:
    case.check(gpu)


@pytest.mark.parametrize("kind", KINDS)
def test_gray_levels_have_the_references_bits(gpu: Session, kind: str) -> None:
    image = image_from_radiograph(gpu, KINDS[kind])
    np.testing.assert_array_equal(gray_from_table(image, gray_table_on_device(image)), canonical_gray(KINDS[kind]))


def test_a_full_sized_radiograph_is_the_references_and_twice_the_same(gpu: Session) -> None:
    radiograph = twelve_bit(ROWS, COLUMNS, "RF")
    gray = canonical_gray(radiograph)
    boxes = (Box(900, 700, 2101, 1600), Box(0, 0, COLUMNS, ROWS))
    seen = []
    for _ in range(2):
        case = anatomy_case(gpu, radiograph, "corrected")
        seen.append(
            (
                case.gray(),
                case.segmenter_windows(SegmentationGeometry()).copy(),
                case.classifier_crops(boxes, ClassifierGeometry()).copy(),
            )
        )
    for first, second in zip(*seen, strict=True):
        np.testing.assert_array_equal(first, second)
    geometry = SegmentationGeometry()
    np.testing.assert_array_equal(seen[0][0], gray)
    np.testing.assert_array_equal(seen[0][1], windows(segmentation_input(gray, geometry), geometry))
    np.testing.assert_array_equal(seen[0][2], crops(gray, boxes, ClassifierGeometry()))
    assert (seen[0][2] != crops(gray[:, ::-1], boxes, ClassifierGeometry())).any()


def test_full_sized_inputs_of_whole_image_networks_are_the_references(gpu: Session) -> None:
    radiograph = twelve_bit(ROWS, COLUMNS, "HL", inverted=True)
    gray = canonical_gray(radiograph)
    found = bressem2021_input(gpu, radiograph, (768, 768)).copy()
    np.testing.assert_array_equal(
        found, imagenet_input(squished(gray, (768, 768)).astype(np.float32) / np.float32(255))
    )
    found = noh2021_input(gpu, radiograph, 1024)[0].copy()
    np.testing.assert_array_equal(found, detector_input(gray, 1024)[0])
    assert (found != detector_input(gray[::-1], 1024)[0]).any()


def test_a_refusal_leaves_the_session_of_use(gpu: Session) -> None:
    with pytest.raises(ContradictoryAttributes):
        image_from_radiograph(gpu, made(np.full((20, 30), 5000, np.uint16), 12))
    CASES[0].check(gpu)


def test_memory_that_the_gpu_has_not_is_an_error_that_says_so(gpu: Session) -> None:
    with pytest.raises(BackendFailed, match="allocating"):
        gpu.device.allocate(1 << 50)
    CASES[0].check(gpu)
