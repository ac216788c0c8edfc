"""The proof at the start: one made-up image is assessed before any instance is taken.

So a backend that cannot run is known at once, and the first patient's image does not wait for what is done only once.
"""

from __future__ import annotations

import io

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from edge_sacro.runtime import Runtime

_ROWS, _COLUMNS = 640, 512


def prove(runtime: Runtime) -> float:
    """Assess an image that shows nothing, and return how long that took, in milliseconds.

    Raises:
        BackendError: the backend cannot run.
    """
    return runtime.infer(blank_image(), name="the proof at the start").timings_ms["total"]


def blank_image() -> bytes:
    """A radiograph as a DICOM file: a gradient, and no patient."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.Modality, image.PresentationIntentType, image.BodyPartExamined = "DX", "FOR PRESENTATION", "PELVIS"
    image.ViewPosition, image.PatientOrientation, image.ImagerPixelSpacing = "AP", ["L", "F"], [0.5, 0.5]
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PresentationLUTShape = 1, "MONOCHROME2", "IDENTITY"
    image.Rows, image.Columns, image.PixelRepresentation = _ROWS, _COLUMNS, 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = "0", "1", "US"
    levels = np.linspace(0, 4095, _ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS)
    image.PixelData = levels.astype("<u2").tobytes()
    image["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
