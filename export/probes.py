"""Inputs to compare a graph with its framework on: a radiograph as the network sees it, and noise."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from edge_sacro import dicom
from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.locate import SegmentationGeometry, segmentation_input
from edge_sacro.orient import canonical_from_stored
from edge_sacro.phantom import PhantomOptions, render
from edge_sacro.phantom.dx import bytes_from_phantom
from edge_sacro.preprocess.imagenet import imagenet_input
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.preprocess.squish import squished
from export.architectures import Architecture

Array = npt.NDArray[np.float32]


def phantom_gray() -> npt.NDArray[np.uint8]:
    """A simulated radiograph as the runtime reads it, rows x columns."""
    return gray_from_dicom(bytes_from_phantom(render(0, PhantomOptions(spacing_mm=0.4))), "phantom")


def gray_from_dicom(data: bytes, name: str) -> npt.NDArray[np.uint8]:
    """A radiograph as the runtime reads it: 8 bits, canonical view.

    Raises:
        InputRefused: the runtime would refuse it.
    """
    radiograph = dicom.read(data, name=name, isolation="none")
    return canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)


def input_from_gray(gray: npt.NDArray[np.uint8], architecture: Architecture) -> Array:
    """The radiograph as this network's input: the systems' own steps, but for crops and windows.

    Args:
        gray: rows x columns, 8 bits, canonical view.
        architecture: with one channel, its range is -1 to 1 for segmenters and 0 to 1 for classifiers.
    """
    _, channels, rows, columns = architecture.shape
    if architecture.dense:
        size = max(rows, columns)
        whole = segmentation_input(gray, SegmentationGeometry(size, size))
        return np.ascontiguousarray(whole[None, None, :rows, :columns])
    if channels == 1:
        return classifier_input(gray, ClassifierGeometry(rows, columns))[None, None]
    return imagenet_input(squished(gray, (rows, columns)).astype(np.float32) / np.float32(255))


def random_input(architecture: Architecture) -> Array:
    """Noise over the network's range, the same for each shape on every machine."""
    random = np.random.default_rng(zlib.crc32(repr(architecture.shape).encode()))
    if architecture.shape[1] == 1:
        lowest = -1 if architecture.dense else 0
        return random.uniform(lowest, 1, architecture.shape).astype(np.float32)
    return random.normal(size=architecture.shape).astype(np.float32)
