"""What makes the networks' inputs out of an image, wherever it does so, and the one that does it on the host.

A system asks an :class:`Inputs` for what its networks see and runs them on it; whether the values are an array or are
written by kernels into a GPU's memory shows in no result. ``edge_sacro.cuda.inputs`` is the other implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.crop import pixels
from edge_sacro.engine.base import Array, Engine
from edge_sacro.locate import Numerics, SegmentationGeometry, segmentation_input, window_of
from edge_sacro.orient import canonical_from_stored
from edge_sacro.preprocess.imagenet import imagenet_input
from edge_sacro.preprocess.intensity import published_eight_bit
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.preprocess.resize import Size
from edge_sacro.preprocess.squish import squished
from edge_sacro.preprocess.tf_resize import detector_input
from edge_sacro.preprocess.window import windowed
from edge_sacro.types import Box, Radiograph

Gray = npt.NDArray[np.uint8]

GrayLevels = Callable[[], Gray]
"""Gives an image's 8-bit gray levels in canonical view, for the stages between the networks."""


class NetworkInput(Protocol):
    """The input of a network that has one."""

    def run(self, engine: Engine, deadline: float | None) -> dict[str, Array]:
        """Run a network on it; the outputs are the caller's to keep. Errors are those of ``Engine.run``."""


class AnatomyInputs(Protocol):
    """One radiograph as both networks of the anatomy-aware model see it."""

    def gray(self) -> Gray:
        """What is cropped and classified, 8 bits, in canonical view."""

    def windows(self, geometry: SegmentationGeometry) -> Callable[[int, int], NetworkInput]:
        """The segmenter's input of the window that begins at a column and a row of the resized image."""

    def crop(self, box: Box, geometry: ClassifierGeometry) -> NetworkInput:
        """The classifier's input of a box in canonical view; the whole image's where that is the box."""


class Inputs(Protocol):
    """Makes the inputs of one image's networks. A method may refuse the image, as ``preprocess`` does."""

    def anatomy(self, radiograph: Radiograph, numerics: Numerics) -> AnatomyInputs:
        """For ``dorfner2024`` and its standard model."""

    def squished(self, radiograph: Radiograph, size: Size) -> NetworkInput:
        """Normalise to 8 bits, squish, scale to 0..1, normalise as ImageNet: (1, 3, rows, columns)."""

    def detector(self, radiograph: Radiograph, size: int) -> tuple[NetworkInput, Size, GrayLevels]:
        """Normalise to 8 bits, resize keeping the aspect, normalise as ImageNet, pad: (1, 3, size, size).

        Returns:
            the input, the rows and columns of it that the image fills, and the image itself.
        """

    def slice(self, radiograph: Radiograph, window: tuple[float, float], size: Size) -> NetworkInput:
        """A CT slice through a window (center, width) to 0..1, resized, as ImageNet: (1, 3, rows, columns).

        Raises:
            MissingAttributes: the values are not in Hounsfield units.
        """


@dataclass(frozen=True, eq=False)
class HostInput:
    """An input that is an array.

    Attributes:
        values: batch, channels, rows, columns.
    """

    values: Array

    def run(self, engine: Engine, deadline: float | None) -> dict[str, Array]:
        """As :class:`NetworkInput`."""
        (given,) = engine.spec.inputs
        return engine.run({given.name: self.values}, deadline=deadline)


@dataclass(frozen=True, eq=False)
class HostAnatomy:
    """As :class:`AnatomyInputs`.

    Attributes:
        seen: what the segmenter sees, in canonical view.
        cropped: what is cropped, in canonical view.
    """

    seen: npt.NDArray[np.generic]
    cropped: Gray

    def gray(self) -> Gray:
        """As :class:`AnatomyInputs`."""
        return self.cropped

    def windows(self, geometry: SegmentationGeometry) -> Callable[[int, int], NetworkInput]:
        """As :class:`AnatomyInputs`."""
        resized = segmentation_input(self.seen, geometry)
        return lambda x, y: HostInput(window_of(resized, x, y, geometry))

    def crop(self, box: Box, geometry: ClassifierGeometry) -> NetworkInput:
        """As :class:`AnatomyInputs`."""
        return HostInput(classifier_input(pixels(self.cropped, box), geometry)[None, None])


class HostInputs:
    """Inputs made on the host, with NumPy: the specification of every other way."""

    def anatomy(self, radiograph: Radiograph, numerics: Numerics) -> HostAnatomy:
        """One image for segmenter and crop, save under published numerics.

        The original gives the segmenter modality values, MONOCHROME1 turned over, and crops from what is left of them
        after a cast to 8 bits.
        """
        if numerics == "corrected":
            gray = _gray(radiograph)
            return HostAnatomy(gray, gray)
        values = radiograph.grayscale.table[radiograph.stored.astype(np.int32) - radiograph.grayscale.first]
        if radiograph.grayscale.inverted:
            values = np.float32((1 << radiograph.bits_stored) - 1) - values
        values = canonical_from_stored(values, radiograph.orientation)
        return HostAnatomy(values, published_eight_bit(values))

    def squished(self, radiograph: Radiograph, size: Size) -> HostInput:
        """As :class:`Inputs`."""
        small = squished(_gray(radiograph), size)
        return HostInput(imagenet_input(small.astype(np.float32) / np.float32(255)))

    def detector(self, radiograph: Radiograph, size: int) -> tuple[HostInput, Size, GrayLevels]:
        """As :class:`Inputs`."""
        gray = _gray(radiograph)
        values, filled = detector_input(gray, size)
        return HostInput(values), filled, lambda: gray

    def slice(self, radiograph: Radiograph, window: tuple[float, float], size: Size) -> HostInput:
        """As :class:`Inputs`."""
        image = canonical_from_stored(windowed(radiograph, *window), radiograph.orientation)
        resized = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        return HostInput(imagenet_input(np.asarray(resized, np.float32)))


HOST = HostInputs()


def _gray(radiograph: Radiograph) -> Gray:
    return canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
