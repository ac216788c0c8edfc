"""The proof at the start: one made-up image goes all the way to its result objects before any instance is taken.

So what cannot run is known at once, and the first patient's image does not wait for what is done only once.
"""

from __future__ import annotations

import io

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from edge_sacro.node.answers import Answer
from edge_sacro.node.records import Instance, State
from edge_sacro.node.work import Answering

_ROWS, _COLUMNS = 640, 512
_PROOF = Instance(
    sequence=0,
    sha256="",
    path=None,
    size=0,
    sop_class_uid=str(DigitalXRayImageStorageForPresentation),
    sop_instance_uid="2.25.1",
    transfer_syntax_uid=str(ExplicitVRLittleEndian),
    via="http",
    peer="the node itself",
    state=State.ASSESSING,
    conflict=False,
    times_received=1,
    attempts=1,
    outcome=None,
    reason_code=None,
    reason=None,
    report=None,
    results=None,
    study_instance_uid=None,
    received_at="2000-01-01T00:00:00.000+00:00",
    finished_at=None,
)


def prove(answers: Answering) -> Answer:
    """Have an image that shows nothing answered; nothing is kept of it.

    Raises:
        BackendError: the backend cannot run.
        OutputNotWritten: no report can be made.
    """
    return answers.answer(_PROOF, blank_image())


def blank_image() -> bytes:
    """A radiograph as a DICOM file: a gradient, and no patient."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = UID("2.25.2"), UID("2.25.3")
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
