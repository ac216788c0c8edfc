"""Several CT slices as frames of one object, with functional groups as enhanced and converted objects have them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

ENHANCED = UID("1.2.840.10008.5.1.4.1.1.2.1")
CONVERTED = UID("1.2.840.10008.5.1.4.1.1.2.2")
SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7.3")
"""Multi-frame Grayscale Word Secondary Capture."""

_OF_FRAMES = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SliceLocation"),
    *("RescaleIntercept", "RescaleSlope", "RescaleType", "WindowCenter", "WindowWidth", "BodyPartExamined"),
    *("ConvolutionKernel", "InstanceNumber", "PixelData"),
)


def item(**attributes: Any) -> Dataset:
    """A data set of these attributes."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def macro(source: Dataset, *keywords: str) -> Items:
    """A sequence of one item that holds what the source has of these attributes."""
    return Items([item(**{keyword: source[keyword].value for keyword in keywords if keyword in source})])


def enhanced_from_slices(slices: Sequence[FileDataset], sop_class: UID = ENHANCED) -> FileDataset:
    """One object of single-frame slices: position and rescale for each frame, spacing and orientation shared."""
    whole = copy.deepcopy(slices[0])
    for keyword in _OF_FRAMES:
        if keyword in whole:
            delattr(whole, keyword)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = sop_class
    whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID = UID(f"{slices[0].SOPInstanceUID}"[:60] + ".9")
    whole.NumberOfFrames = len(slices)
    shared = item(
        PixelMeasuresSequence=macro(slices[0], "PixelSpacing", "SliceThickness"),
        PlaneOrientationSequence=macro(slices[0], "ImageOrientationPatient"),
        FrameVOILUTSequence=macro(slices[0], "WindowCenter", "WindowWidth"),
        FrameAnatomySequence=Items(
            [item(FrameLaterality="U", AnatomicRegionSequence=Items([item(CodeMeaning="Pelvis")]))]
        ),
    )
    groups = [
        item(
            FrameContentSequence=Items([item(StackID="1", InStackPositionNumber=number)]),
            PlanePositionSequence=macro(each, "ImagePositionPatient"),
            PixelValueTransformationSequence=macro(each, "RescaleIntercept", "RescaleSlope", "RescaleType"),
            CTReconstructionSequence=macro(each, "ConvolutionKernel"),
        )
        for number, each in enumerate(slices, 1)
    ]
    whole.SharedFunctionalGroupsSequence = Items([shared])
    whole.PerFrameFunctionalGroupsSequence = Items(groups)
    whole.PixelData = b"".join(each.PixelData for each in slices)
    whole["PixelData"].VR = "OW"
    return whole


def group(whole: FileDataset, frame: int) -> Dataset:
    """The functional groups of one frame, from 1."""
    found: Dataset = whole.PerFrameFunctionalGroupsSequence[frame - 1]
    return found


def saved(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path
