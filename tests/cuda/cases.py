"""What a device must compute, held against the NumPy reference: the same table for an emulated and for a real GPU.

Where the tolerance is 0, bits are compared. Each case has a near miss, another plausible way to the same picture, that
must lie outside its tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.cuda.session import Session
from edge_sacro.cuda.structs import Encoding
from edge_sacro.cuda.systems import anatomy_case, bressem2021_input, fu2024_input, noh2021_input
from edge_sacro.locate import SegmentationGeometry, segmentation_input
from edge_sacro.orient import canonical_from_stored
from edge_sacro.preprocess.imagenet import imagenet_input
from edge_sacro.preprocess.intensity import minus_one_to_one, published_eight_bit
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.preprocess.squish import squished
from edge_sacro.preprocess.tf_resize import detector_input
from edge_sacro.preprocess.window import windowed
from edge_sacro.types import Box, Radiograph
from tests.cuda.radiographs import axial_slice, twelve_bit

Array = npt.NDArray[Any]

SEGMENTATION = SegmentationGeometry(96, 64, 0.75)
CLASSIFIER = ClassifierGeometry(64, 100)
BOXES = (Box(30, 40, 171, 129), Box(3, 5, 90, 150), Box(100, 20, 107, 25), Box(60, 60, 62, 62), Box(0, 0, 200, 160))
HALF, INT8 = Encoding("fp16"), Encoding("int8", 1 / 127)
WINDOW = (400.0, 1800.0)
SLICE_TOLERANCE = 1e-6
"""OpenCV's own last bit depends on the processor: 1.2e-7 of the window, over the least standard deviation of 0.224."""


@dataclass(frozen=True)
class Case:
    """One network's input.

    Attributes:
        name: of the case.
        found: the device's.
        expected: the reference's.
        near: of another way that looks the same.
        tolerance: the largest absolute difference; 0 for the same bits.
    """

    name: str
    found: Callable[[Session], Array]
    expected: Callable[[], Array]
    near: Callable[[], Array]
    tolerance: float = 0.0

    def check(self, session: Session) -> None:
        """Raise where the device's answer is not the reference's, or where the near miss would pass for it."""
        found, expected, near = self.found(session), self.expected(), self.near()
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape == near.shape
        if self.tolerance == 0:
            np.testing.assert_array_equal(found, expected)
        worst, missed = (
            np.abs(other.astype(np.float64) - expected.astype(np.float64)).max() for other in (found, near)
        )
        assert worst <= self.tolerance < missed, f"{worst} and {missed} against {self.tolerance}"


def encoded(values: Array, encoding: Encoding) -> Array:
    """The reference's values as a network takes them."""
    if encoding.precision == "int8":
        return np.clip(np.rint(values / np.float32(encoding.step)), -128, 127).astype(np.int8)
    return values.astype(encoding.dtype)


def windows(resized: Array, geometry: SegmentationGeometry) -> Array:
    """Every window of the segmenter's input, in the order in which they run."""
    side = geometry.window
    parts = [resized[y : y + side, x : x + side] for x in geometry.starts for y in geometry.starts]
    return np.stack(parts)[:, None]


def canonical_gray(radiograph: Radiograph) -> npt.NDArray[np.uint8]:
    """The normaliser's image in canonical view."""
    return canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)


def crops(gray: npt.NDArray[np.uint8], boxes: tuple[Box, ...], geometry: ClassifierGeometry) -> Array:
    """The classifier's input of each box."""
    return np.stack([classifier_input(gray[b.y0 : b.y1, b.x0 : b.x1], geometry) for b in boxes])[:, None]


def opencv_crops(gray: npt.NDArray[np.uint8], boxes: tuple[Box, ...], geometry: ClassifierGeometry) -> Array:
    """The same with OpenCV's CLAHE in place of the published filter."""
    filtered = []
    for box in boxes:
        crop = np.ascontiguousarray(gray[box.y0 : box.y1, box.x0 : box.x1])
        equalised = cv2.createCLAHE(clipLimit=2.56, tileGridSize=(8, 8)).apply(crop)
        resized = cv2.resize(equalised, (geometry.columns, geometry.rows)).astype(np.float32) / np.float32(255)
        filtered.append(resized)
    return np.stack(filtered)[:, None]


def _segmenter(radiograph: Radiograph, encoding: Encoding) -> Case:
    def found(session: Session) -> Array:
        return anatomy_case(session, radiograph, "corrected").segmenter_windows(SEGMENTATION, encoding).copy()

    def expected() -> Array:
        return encoded(windows(segmentation_input(canonical_gray(radiograph), SEGMENTATION), SEGMENTATION), encoding)

    def near() -> Array:
        resized = cv2.resize(canonical_gray(radiograph), (SEGMENTATION.size,) * 2, interpolation=cv2.INTER_AREA)
        return encoded(windows(minus_one_to_one(resized.astype(np.float32)), SEGMENTATION), encoding)

    return Case(f"dorfner2024 segmenter {radiograph.stored.shape} {encoding.precision}", found, expected, near)


def _published_segmenter(radiograph: Radiograph) -> Case:
    values = radiograph.grayscale.table[radiograph.stored.astype(np.int64) - radiograph.grayscale.first]
    seen = canonical_from_stored(
        np.float32((1 << radiograph.bits_stored) - 1) - values if radiograph.grayscale.inverted else values,
        radiograph.orientation,
    )

    def found(session: Session) -> Array:
        return anatomy_case(session, radiograph, "published").segmenter_windows(SEGMENTATION).copy()

    def near() -> Array:
        return windows(segmentation_input(canonical_gray(radiograph), SEGMENTATION), SEGMENTATION)

    return Case(
        "dorfner2024 segmenter, published numerics",
        found,
        lambda: windows(segmentation_input(seen, SEGMENTATION), SEGMENTATION),
        near,
    )


def _published_crop(radiograph: Radiograph) -> Case:
    values = radiograph.grayscale.table[radiograph.stored.astype(np.int64) - radiograph.grayscale.first]
    gray = canonical_from_stored(published_eight_bit(values), radiograph.orientation)

    def found(session: Session) -> Array:
        return anatomy_case(session, radiograph, "published").classifier_crops(BOXES[:1], CLASSIFIER).copy()

    return Case(
        "dorfner2024 classifier, published numerics",
        found,
        lambda: crops(gray, BOXES[:1], CLASSIFIER),
        lambda: crops(canonical_gray(radiograph), BOXES[:1], CLASSIFIER),
    )


def _classifier(radiograph: Radiograph, encoding: Encoding) -> Case:
    def found(session: Session) -> Array:
        return anatomy_case(session, radiograph, "corrected").classifier_crops(BOXES, CLASSIFIER, encoding).copy()

    return Case(
        f"dorfner2024 classifier {encoding.precision}",
        found,
        lambda: encoded(crops(canonical_gray(radiograph), BOXES, CLASSIFIER), encoding),
        lambda: encoded(opencv_crops(canonical_gray(radiograph), BOXES, CLASSIFIER), encoding),
    )


def _standard(radiograph: Radiograph) -> Case:
    def found(session: Session) -> Array:
        return anatomy_case(session, radiograph, "corrected").whole_image(CLASSIFIER).copy()

    whole = (Box(0, 0, 150, 210),)
    return Case(
        "dorfner2024-standard",
        found,
        lambda: crops(canonical_gray(radiograph), whole, CLASSIFIER),
        lambda: opencv_crops(canonical_gray(radiograph), whole, CLASSIFIER),
    )


def _squish(radiograph: Radiograph, size: tuple[int, int], encoding: Encoding) -> Case:
    def through(gray: npt.NDArray[np.uint8]) -> Array:
        return encoded(imagenet_input(gray.astype(np.float32) / np.float32(255)), encoding)

    def near() -> Array:
        return through(cv2.resize(canonical_gray(radiograph), size[::-1], interpolation=cv2.INTER_LINEAR))

    return Case(
        f"bressem2021 {radiograph.stored.shape} to {size} {encoding.precision}",
        lambda session: bressem2021_input(session, radiograph, size, encoding).copy(),
        lambda: through(squished(canonical_gray(radiograph), size)),
        near,
    )


def _detector(radiograph: Radiograph, size: int, encoding: Encoding) -> Case:
    def found(session: Session) -> Array:
        tensor, filled = noh2021_input(session, radiograph, size, encoding)
        assert filled == detector_input(canonical_gray(radiograph), size)[1]
        return tensor.copy()

    def near() -> Array:
        gray = canonical_gray(radiograph)
        rows, columns = detector_input(gray, size)[1]
        centred = cv2.resize(gray.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
        result = np.zeros((1, 3, size, size), np.float32)
        result[:, :, :rows, :columns] = imagenet_input(centred / np.float32(255))
        return encoded(result, encoding)

    return Case(
        f"noh2021 {radiograph.stored.shape} {size} {encoding.precision}",
        found,
        lambda: encoded(detector_input(canonical_gray(radiograph), size)[0], encoding),
        near,
    )


def _slice(radiograph: Radiograph, size: tuple[int, int]) -> Case:
    def resized(how: int) -> Array:
        image = canonical_from_stored(windowed(radiograph, *WINDOW), radiograph.orientation)
        return imagenet_input(np.asarray(cv2.resize(image, size[::-1], interpolation=how), np.float32))

    return Case(
        f"fu2024 {radiograph.stored.shape} to {size}",
        lambda session: fu2024_input(session, radiograph, WINDOW, size).copy(),
        lambda: resized(cv2.INTER_LINEAR),
        lambda: resized(cv2.INTER_CUBIC),
        SLICE_TOLERANCE,
    )


CASES = (
    _segmenter(twelve_bit(150, 210, "FR", inverted=True), Encoding()),
    _segmenter(twelve_bit(300, 60), HALF),
    _segmenter(twelve_bit(700, 620, "LH"), Encoding()),
    _segmenter(twelve_bit(150, 210), INT8),
    _published_segmenter(twelve_bit(150, 210, "RF", inverted=True)),
    _published_crop(twelve_bit(160, 200)),
    _classifier(twelve_bit(160, 200, "RH"), Encoding()),
    _classifier(twelve_bit(200, 160, "HL"), HALF),
    _classifier(twelve_bit(160, 200), INT8),
    _standard(twelve_bit(150, 210, "FL")),
    _squish(twelve_bit(150, 210, "LH"), (96, 80), Encoding()),
    _squish(twelve_bit(60, 70), (96, 80), HALF),
    _squish(twelve_bit(8, 8193, "RF"), (4, 70), Encoding()),
    _squish(twelve_bit(8, 9001), (4, 2), Encoding()),
    _detector(twelve_bit(150, 210, "HR"), 128, Encoding()),
    _detector(twelve_bit(50, 90), 128, HALF),
    _slice(axial_slice(128, 128), (112, 112)),
    _slice(axial_slice(128, 160, "RA"), (64, 80)),
    _slice(axial_slice(90, 130, "PL"), (299, 224)),
)
