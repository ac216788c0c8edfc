"""What each published system's networks see, made on the device: the twins of ``edge_sacro.systems``' inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge_sacro.classify import ClassifierGeometry
from edge_sacro.cuda.contrast import classifier_crops
from edge_sacro.cuda.device import Buffer
from edge_sacro.cuda.image import (
    DeviceImage,
    gray_from_table,
    gray_table_on_device,
    image_from_radiograph,
    table_on_device,
)
from edge_sacro.cuda.resized import detector_input, slice_input, squished_input
from edge_sacro.cuda.segmenter import SegmenterImage, segmenter_image, segmenter_windows
from edge_sacro.cuda.session import Session, Tensor
from edge_sacro.cuda.structs import Encoding
from edge_sacro.locate import Numerics, SegmentationGeometry
from edge_sacro.preprocess.intensity import published_eight_bit
from edge_sacro.preprocess.resize import Size
from edge_sacro.preprocess.window import windowed
from edge_sacro.types import Box, Radiograph

FULL_PRECISION = Encoding()


@dataclass(frozen=True, eq=False)
class AnatomyCase:
    """One radiograph of ``dorfner2024`` or its standard model, on the device.

    Attributes:
        image: the radiograph.
        cropped: table of what is cropped and classified, 8 bits.
        seen: table of what the segmenter sees in single precision, under published numerics; None where it sees what
            is cropped.
    """

    image: DeviceImage
    cropped: Buffer
    seen: Buffer | None

    def segmenter_windows(self, geometry: SegmentationGeometry, encoding: Encoding = FULL_PRECISION) -> Tensor:
        """Every sliding window, (windows, 1, window, window); see :func:`edge_sacro.cuda.segmenter`."""
        eight_bit = self.cropped if self.seen is None else None
        return segmenter_windows(self.image, geometry, encoding, eight_bit=eight_bit, values=self.seen)

    def segmenter_image(self, geometry: SegmentationGeometry) -> SegmenterImage:
        """The image as windows are cut from it."""
        eight_bit = self.cropped if self.seen is None else None
        return segmenter_image(self.image, geometry, eight_bit=eight_bit, values=self.seen)

    def classifier_crops(
        self,
        boxes: Sequence[Box],
        geometry: ClassifierGeometry,
        encoding: Encoding = FULL_PRECISION,
        *,
        place: Buffer | None = None,
    ) -> Tensor:
        """The classifier's input of each box in canonical view, (boxes, 1, rows, columns)."""
        return classifier_crops(self.image, self.cropped, boxes, geometry, encoding, place=place)

    def whole_image(self, geometry: ClassifierGeometry, encoding: Encoding = FULL_PRECISION) -> Tensor:
        """The standard model's input, (1, 1, rows, columns)."""
        return self.classifier_crops([Box(0, 0, self.image.columns, self.image.rows)], geometry, encoding)

    def gray(self) -> npt.NDArray[np.uint8]:
        """What is cropped, in canonical view, for the stages between the networks."""
        return gray_from_table(self.image, self.cropped)


def anatomy_case(session: Session, radiograph: Radiograph, numerics: Numerics) -> AnatomyCase:
    """Bring a radiograph to the device for ``dorfner2024``.

    Raises:
        BackendFailed: the device's own error.
        ContradictoryAttributes: a pixel's value is none that can be stored.
    """
    image = image_from_radiograph(session, radiograph)
    if numerics == "corrected":
        return AnatomyCase(image, gray_table_on_device(image), None)
    values = radiograph.grayscale.table
    if radiograph.grayscale.inverted:
        values = np.float32((1 << radiograph.bits_stored) - 1) - values
    cropped = table_on_device(image, "cropped", published_eight_bit(values))
    return AnatomyCase(image, cropped, table_on_device(image, "seen", values))


def bressem2021_input(
    session: Session, radiograph: Radiograph, size: Size, encoding: Encoding = FULL_PRECISION
) -> Tensor:
    """The classifier's input of ``bressem2021`` and ``poddubnyy2020``, (1, 3, rows, columns).

    Raises:
        BackendFailed: the device's own error.
        ContradictoryAttributes: a pixel's value is none that can be stored.
    """
    image = image_from_radiograph(session, radiograph)
    return squished_input(image, gray_table_on_device(image), size, encoding)


def noh2021_input(
    session: Session, radiograph: Radiograph, size: int, encoding: Encoding = FULL_PRECISION
) -> tuple[Tensor, Size]:
    """The detector's input of ``noh2021``, (1, 3, size, size), and the rows and columns that the image fills.

    Raises:
        BackendFailed: the device's own error.
        ContradictoryAttributes: a pixel's value is none that can be stored.
        ValueError: the image is so narrow that nothing would be left of it.
    """
    image = image_from_radiograph(session, radiograph)
    return detector_input(image, gray_table_on_device(image), size, encoding)


def fu2024_input(
    session: Session,
    radiograph: Radiograph,
    window: tuple[float, float],
    size: Size,
    encoding: Encoding = FULL_PRECISION,
) -> Tensor:
    """The classifiers' input of ``fu2024``, (1, 3, rows, columns).

    Args:
        session: the device's.
        radiograph: an axial CT slice.
        window: center and width in Hounsfield units.
        size: rows and columns of the result.
        encoding: of the result.

    Raises:
        BackendFailed: the device's own error.
        ContradictoryAttributes: a pixel's value is none that can be stored.
        MissingAttributes: the values are not in Hounsfield units.
    """
    image = image_from_radiograph(session, radiograph)
    return slice_input(image, window_table(image, radiograph, window), size, encoding)


def window_table(image: DeviceImage, radiograph: Radiograph, window: tuple[float, float]) -> Buffer:
    """What each stored value of a CT slice is in a window (center, width), on the device.

    Raises:
        BackendFailed: the device's own error.
        MissingAttributes: the values are not in Hounsfield units.
    """
    # One pixel of each value: the reference itself makes the table, and refuses what it refuses.
    every = np.arange(image.entries, dtype=np.int32) + radiograph.grayscale.first
    return table_on_device(image, "window", windowed(replace(radiograph, stored=every[None]), *window)[0])
