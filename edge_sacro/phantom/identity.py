"""What the phantom's DICOM objects have in common: file meta information, UIDs, and who they are not."""

from __future__ import annotations

import uuid

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from edge_sacro import __version__
from edge_sacro.phantom.types import NOTICE

DATE, TIME = "20200101", "120000"
IMPLEMENTATION_CLASS_UID = UID("2.25.302881529110463213718221503498166171461")
_NAMESPACE = uuid.UUID("6f0f3a52-6a5e-4b0e-9f5d-0c5b3f6f7f11")


def object_of_class(sop_class: UID, instance: str, series: str) -> FileDataset:
    """An empty object with its UIDs, which follow from two keys: of the instance, and of its study and series."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uid_from_key("instance", instance)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = "EDGE_SACRO"
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = uid_from_key("study", series)
    dataset.SeriesInstanceUID = uid_from_key("series", series)
    return dataset


def uid_from_key(kind: str, key: str) -> UID:
    """A UID derived from a UUID (PS3.5 B.2)."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, f'{kind}/{key}').int}")


def identify(dataset: Dataset, label: str, modality: str) -> None:
    """Patient, study, series and equipment of a simulated object; no date tells when it was made."""
    dataset.SpecificCharacterSet = "ISO_IR 100"
    for moment in ("InstanceCreation", "Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{moment}Date", DATE)
        setattr(dataset, f"{moment}Time", TIME)
    dataset.AccessionNumber = ""
    dataset.Modality = modality
    dataset.Manufacturer = "Edge-Sacro"
    dataset.ManufacturerModelName = "Simulated pelvis phantom"
    dataset.InstitutionName = "SIMULATED"
    dataset.SoftwareVersions = __version__
    dataset.DeviceSerialNumber = "PHANTOM"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = dataset.SeriesDescription = NOTICE
    dataset.ImageComments = dataset.PatientComments = NOTICE
    dataset.PatientName, dataset.PatientID = f"PHANTOM^{label}", f"PHANTOM-{label}"[:64]
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.StudyID = "PHANTOM"
    dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = "1", "1", "1"
