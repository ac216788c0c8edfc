"""What each pixel shows: segmentation over sliding windows, and the largest component of each label.

Arrays are rows x columns in display orientation. Labels are 0 background, 1 sacrum, 2 and 3 the two halves of the
pelvis, which the published code calls left and right: those are sides of the image, label 2 on its left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import BundleContractBroken
from edge_sacro.preprocess.components import largest_component
from edge_sacro.preprocess.intensity import minus_one_to_one
from edge_sacro.preprocess.resize import Size, area_resize, nearest_inverse

Network = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""A loaded network: one input array to one array of logits."""

WindowLogits = Callable[[int, int], npt.NDArray[np.float32]]
"""Logits of the window that begins at a column and a row of the resized image."""

Numerics = Literal["corrected", "published"]
"""``published`` reproduces the original's fallbacks and defects; ``corrected`` has reasons in their place."""

Labels = npt.NDArray[np.uint8]

CLASSES = 4
SACRUM, LEFT_PELVIS, RIGHT_PELVIS = 1, 2, 3


@dataclass(frozen=True)
class SegmentationGeometry:
    """How the image meets the network: a square of ``size`` pixels under square windows.

    Attributes:
        size: rows and columns that the image is resized to, whatever its aspect.
        window: rows and columns that the network takes, at most ``size``.
        overlap: part of a window that the next one covers again, 0 to below 1.
    """

    size: int = 768
    window: int = 512
    overlap: float = 0.75

    def __post_init__(self) -> None:
        if not (1 <= self.window <= self.size and 0 <= self.overlap < 1):
            raise ValueError(f"no windows of {self.window} with overlap {self.overlap} in {self.size}")

    @property
    def starts(self) -> tuple[int, ...]:
        """First pixel of each window along an axis; the last window ends with the image."""
        step = max(int(self.window * (1 - self.overlap)), 1)
        last = self.size - self.window
        return (*range(0, last, step), last)


def segment(image: npt.NDArray[np.generic], network: Network, geometry: SegmentationGeometry | None = None) -> Labels:
    """Label each pixel of a radiograph.

    Args:
        image: rows x columns, display orientation, any real type and range.
        network: (1, 1, window, window) float32, -1 to 1, to logits (1, 4, window, window).
        geometry: published sizes where None.

    Returns:
        labels 0 to 3 of the image's size; of each class only its largest component.

    Raises:
        BundleContractBroken: the network's logits have another shape.
    """
    geometry = geometry or SegmentationGeometry()
    resized = segmentation_input(image, geometry)
    return labels_from_windows(
        lambda x, y: network(window_of(resized, x, y, geometry)), geometry, (image.shape[0], image.shape[1])
    )


def labels_from_windows(logits_at: WindowLogits, geometry: SegmentationGeometry, size: Size) -> Labels:
    """Label each pixel of a radiograph by what the network answers to each window.

    Args:
        logits_at: the answer, (1, 4, window, window), to the window that begins at a column and a row of the resized
            image.
        geometry: of the windows.
        size: rows and columns of the image.

    Returns:
        labels 0 to 3 of the image's size; of each class only its largest component.

    Raises:
        BundleContractBroken: the network's logits have another shape.
    """
    labels = largest_components(labels_from_logits(mean_of_windows(logits_at, geometry)))
    at_size: Labels = nearest_inverse(labels, size)
    return at_size


def segmentation_input(image: npt.NDArray[np.generic], geometry: SegmentationGeometry) -> npt.NDArray[np.float32]:
    """The whole image as the windows are cut from it: size x size, float32, -1 to 1."""
    return minus_one_to_one(area_resize(image, (geometry.size, geometry.size)))


def window_of(
    image: npt.NDArray[np.float32], x: int, y: int, geometry: SegmentationGeometry
) -> npt.NDArray[np.float32]:
    """The window that begins at a column and a row of the resized image, (1, 1, window, window)."""
    window = geometry.window
    return np.ascontiguousarray(image[None, None, y : y + window, x : x + window])


def mean_logits(
    image: npt.NDArray[np.float32], network: Network, geometry: SegmentationGeometry
) -> npt.NDArray[np.float32]:
    """Plain mean of the windows' logits, (4, size, size), float32.

    Args:
        image: size x size, float32, -1 to 1.
        network: (1, 1, window, window) to (1, 4, window, window).
        geometry: sizes; ``image`` fits them.
    """
    return mean_of_windows(lambda x, y: network(window_of(image, x, y, geometry)), geometry)


def mean_of_windows(logits_at: WindowLogits, geometry: SegmentationGeometry) -> npt.NDArray[np.float32]:
    """Plain mean of the windows' logits, (4, size, size), float32.

    Windows run one at a time (a batch costs more for the same numbers), down each column from the left, and are summed
    in single precision in that order: the published one, its arrays being transposed.

    Args:
        logits_at: the network's answer to the window that begins at a column and a row of the resized image.
        geometry: of the windows.
    """
    window, starts = geometry.window, geometry.starts
    if len(starts) == 1:
        only: npt.NDArray[np.float32] = _checked(logits_at(0, 0), window)[0]
        return only
    total = np.zeros((CLASSES, geometry.size, geometry.size), np.float32)
    count = np.zeros((geometry.size, geometry.size), np.float32)
    for x in starts:
        for y in starts:
            total[:, y : y + window, x : x + window] += _checked(logits_at(x, y), window)[0]
            count[y : y + window, x : x + window] += 1
    return total / count


def _checked(logits: npt.NDArray[np.float32], window: int) -> npt.NDArray[np.float32]:
    expected = (1, CLASSES, window, window)
    if logits.shape != expected:
        raise BundleContractBroken(f"segmentation logits are {logits.shape}, the contract says {expected}")
    return logits


def labels_from_logits(logits: npt.NDArray[np.float32]) -> Labels:
    """The class of the highest logit, the lowest class on ties. (4, rows, columns) to (rows, columns)."""
    best, labels = logits[0].copy(), np.zeros(logits.shape[1:], np.uint8)
    for number, plane in enumerate(logits[1:], start=1):
        np.maximum(labels, (plane > best).view(np.uint8) * np.uint8(number), out=labels)
        np.maximum(best, plane, out=best)
    return labels


def largest_components(labels: Labels) -> Labels:
    """Keep the largest component of each class, diagonal neighbours being connected; the rest becomes 0.

    Of several largest the last is kept, counted by their first pixels column by column.
    """
    kept = np.zeros_like(labels)
    for label in (SACRUM, LEFT_PELVIS, RIGHT_PELVIS):
        component = largest_component(labels == label, connectivity=8, tie=-1)
        if component is not None:
            kept[component] = label
    return kept
