"""From the crop to a probability of definite radiographic sacroiliitis. The decision is another stage's.

The network sees the displayed crop mirrored left to right: the published arrays are transposed and then turned. The
contrast filter follows the mirroring, because its tile grid stands at a corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import BundleContractBroken
from edge_sacro.locate import Network
from edge_sacro.preprocess.contrast import contrast_filter
from edge_sacro.preprocess.resize import (
    Size,
    bilinear_align_corners,
    center_crop_or_pad,
    center_slices,
    longest_side_size,
)
from edge_sacro.types import Box

CLASSES = 2
RADIOGRAPHIC = 1
"""Index of definite radiographic disease; 0 is its absence."""


@dataclass(frozen=True)
class ClassifierGeometry:
    """Rows and columns that the network takes. The crop's longer side is resized to the larger of them."""

    rows: int = 416
    columns: int = 628

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 1:
            raise ValueError(f"no classifier input of {self.rows} x {self.columns}")

    @property
    def size(self) -> Size:
        """Rows and columns."""
        return self.rows, self.columns


@dataclass(frozen=True)
class Placement:
    """Where the crop stands in the classifier's input, for an explanation to find its way back.

    Attributes:
        resized: rows and columns of the whole crop after the resize, before it is cut or padded.
        source: the part of the resized, mirrored crop that the network sees.
        target: where that part stands in the input; outside it is padding.
    """

    resized: Size
    source: Box
    target: Box


@dataclass(frozen=True)
class Classification:
    """Logits as the network gave them and their softmax at :data:`RADIOGRAPHIC`, 0 to 1."""

    logits: tuple[float, ...]
    probability: float


def classify(
    crop: npt.NDArray[np.generic], network: Network, geometry: ClassifierGeometry | None = None
) -> Classification:
    """Run the classifier on a crop.

    Args:
        crop: rows x columns, display orientation, at least 2 x 2.
        network: (1, 1, rows, columns) float32, 0 to 1, to logits (1, 2).
        geometry: published sizes where None.

    Raises:
        BundleContractBroken: the network's logits have another shape.
        ValueError: the crop is smaller than 2 x 2.
    """
    return classification_from_logits(network(classifier_input(crop, geometry or ClassifierGeometry())[None, None]))


def classification_from_logits(logits: npt.NDArray[np.float32]) -> Classification:
    """Softmax of two classes.

    Raises:
        BundleContractBroken: the logits are not (1, 2).
    """
    if logits.shape != (1, CLASSES):
        raise BundleContractBroken(f"classifier logits are {logits.shape}, the contract says {(1, CLASSES)}")
    return Classification(tuple(float(value) for value in logits[0]), float(softmax(logits[0])[RADIOGRAPHIC]))


def classifier_input(crop: npt.NDArray[np.generic], geometry: ClassifierGeometry) -> npt.NDArray[np.float32]:
    """Mirror, filter, resize the longer side, cut or pad about the centre: float32, rows x columns, 0 to 1.

    Args:
        crop: rows x columns, display orientation, at least 2 x 2, any real type.
        geometry: rows and columns of the result.
    """
    filtered = contrast_filter(np.ascontiguousarray(crop[:, ::-1]))
    size = longest_side_size(filtered.shape, max(geometry.size))
    return center_crop_or_pad(bilinear_align_corners(filtered, size), geometry.size)


def placement(crop_size: Size, geometry: ClassifierGeometry) -> Placement:
    """Where :func:`classifier_input` puts a crop of these rows and columns (mirrored in its input)."""
    resized = longest_side_size(crop_size, max(geometry.size))
    rows_from, rows_to = center_slices(resized[0], geometry.rows)
    columns_from, columns_to = center_slices(resized[1], geometry.columns)
    return Placement(
        resized,
        Box(columns_from.start, rows_from.start, columns_from.stop, rows_from.stop),
        Box(columns_to.start, rows_to.start, columns_to.stop, rows_to.stop),
    )


def softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Softmax along the last axis in double precision; no logit is too large for it.

    Args:
        logits: finite, any shape with at least one axis.
    """
    shifted = logits.astype(np.float64) - np.max(logits, axis=-1, keepdims=True)
    weights = np.exp(shifted)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
