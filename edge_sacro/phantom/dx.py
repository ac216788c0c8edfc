"""The phantom as a DICOM object: Digital X-Ray Image Storage - For Presentation (PS3.3 A.26).

Every object says that it is simulated, and none carries a date or a UID that depends on when or where it was made.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation

from edge_sacro.errors import OutputNotWritten
from edge_sacro.phantom.identity import identify, object_of_class, uid_from_key
from edge_sacro.phantom.types import Phantom


def dx_from_phantom(phantom: Phantom, name: str | None = None) -> FileDataset:
    """Build the object.

    Args:
        phantom: what :func:`edge_sacro.phantom.render` gave.
        name: patient ID and the name after ``PHANTOM^``; otherwise the seed.

    Returns:
        a data set with its file meta information. Its UIDs follow from the seed and the pixels.
    """
    label = name or "-".join(str(s) for s in phantom.seed)
    key = _key(phantom)
    dataset = object_of_class(DigitalXRayImageStorageForPresentation, key, key)
    identify(dataset, label, "DX")
    _describe_taking(dataset, phantom)
    _describe_detector(dataset, phantom)
    _describe_pixels(dataset, phantom)
    return dataset


def bytes_from_phantom(phantom: Phantom, name: str | None = None) -> bytes:
    """The same as a Part 10 file; equal bytes for equal phantoms."""
    buffer = io.BytesIO()
    dx_from_phantom(phantom, name).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def write_dx(phantom: Phantom, path: Path, name: str | None = None) -> bytes:
    """Write the object to ``path`` and return its bytes.

    Raises:
        OutputNotWritten: if the file cannot be written.
    """
    content = bytes_from_phantom(phantom, name)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputNotWritten(f"the phantom was not written: {error.strerror}", source=str(path)) from error
    return content


def instance_uid(phantom: Phantom) -> UID:
    """The SOP Instance UID that the phantom's object has."""
    return uid_from_key("instance", _key(phantom))


def _key(phantom: Phantom) -> str:
    digest = hashlib.sha256(phantom.pixels.astype("<u2").tobytes()).hexdigest()
    return f"{phantom.seed}/{digest}/{phantom.photometric_interpretation}"


def _describe_taking(dataset: Dataset, phantom: Phantom) -> None:
    parameters = phantom.truth.parameters
    geometry, marker = parameters["geometry"], parameters["marker"]
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.BodyPartExamined = "PELVIS"
    dataset.AnatomicRegionSequence = Sequence([_code("12921003", "Pelvis")])
    view = _code("399348003", "antero-posterior")
    view.ViewModifierCodeSequence = Sequence([])
    dataset.ViewCodeSequence = Sequence([view])
    dataset.ViewPosition = "AP"
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImageLaterality = "U"
    dataset.KVP = f"{parameters['exposure']['kvp']:.0f}"
    dataset.DistanceSourceToDetector = f"{geometry['source_to_detector_mm']:.1f}"
    dataset.DistanceSourceToPatient = f"{geometry['source_mm'][2]:.1f}"
    dataset.BurnedInAnnotation = "NO" if marker["letter"] == "none" or marker["lead"] else "YES"
    dataset.PositionerType = "NONE"
    dataset.AcquisitionContextSequence = Sequence([])


def _describe_detector(dataset: Dataset, phantom: Phantom) -> None:
    rows, columns = phantom.pixels.shape
    spacing = f"{phantom.spacing_mm:.6g}"
    dataset.ImagerPixelSpacing = [spacing, spacing]
    dataset.DetectorType, dataset.DetectorConfiguration = "SCINTILLATOR", "AREA"
    dataset.DetectorID = "PHANTOM"
    dataset.Grid = ["FIXED", "FOCUSED"]
    dataset.FieldOfViewShape = "RECTANGLE"
    dataset.FieldOfViewDimensions = [str(round(rows * phantom.spacing_mm)), str(round(columns * phantom.spacing_mm))]
    dataset.FieldOfViewOrigin = ["0", "0"]
    dataset.FieldOfViewRotation, dataset.FieldOfViewHorizontalFlip = "0", "NO"


def _describe_pixels(dataset: Dataset, phantom: Phantom) -> None:
    """Dense tissue is bright: in MONOCHROME2 it has the higher value, in MONOCHROME1 the lower one."""
    bright = phantom.photometric_interpretation == "MONOCHROME2"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = phantom.photometric_interpretation
    dataset.PresentationLUTShape = "IDENTITY" if bright else "INVERSE"
    dataset.Rows, dataset.Columns = phantom.pixels.shape
    dataset.BitsAllocated, dataset.PixelRepresentation = 16, 0
    dataset.BitsStored, dataset.HighBit = phantom.bits_stored, phantom.bits_stored - 1
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1 if bright else 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.WindowCenter, dataset.WindowWidth = (f"{value:.0f}" for value in phantom.window)
    dataset.LossyImageCompression = "00"
    dataset.PixelData = phantom.pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    return code
