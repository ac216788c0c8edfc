"""What every object has beside its content: whose it is, what made it, when, and that it is no clinical product."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import ExplicitVRLittleEndian

from edge_sacro import __version__
from edge_sacro.dicom.attributes import Header
from edge_sacro.objects.answer import Answered, Kind, Making
from edge_sacro.objects.codes import PROCESSING_EQUIPMENT, code_item
from edge_sacro.objects.identity import COPIED, ascii_from_text, identity_from_header, keep_as_written, source_uid
from edge_sacro.objects.uids import instance_uid, series_uid
from edge_sacro.phantom.identity import IMPLEMENTATION_CLASS_UID
from edge_sacro.report import Result

MANUFACTURER = "Edge-Sacro"
SERIES_NUMBER: dict[Kind, int] = {"sr": 9801, "seg": 9802, "pr": 9803, "sc": 9804}
"""High, so that the results stand behind a study's own series; a number identifies nothing (PS3.3 C.7.3.1)."""

_NAMES: dict[Kind, str] = {"sr": "report", "seg": "segmentation", "pr": "presentation", "sc": "capture"}
_MOMENTS: dict[Kind, tuple[str, ...]] = {
    "sr": ("InstanceCreation", "Content"),
    "seg": ("InstanceCreation", "Content"),
    "pr": ("InstanceCreation", "PresentationCreation"),
    "sc": ("InstanceCreation", "Content"),
}
_EVERY_MOMENT = ("InstanceCreation", "Content", "PresentationCreation", "Series", "Acquisition")
_SHORT, _LONG = 16, 64


def source_reference(answered: Answered) -> Dataset:
    """What an object needs of its source to refer to it; nothing of what the sender wrote in free text."""
    header, reference = answered.header, Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(reference, keyword, source_uid(header, keyword))
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber"):
        setattr(reference, keyword, "")
    for keyword in ("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"):
        setattr(reference, keyword, "")
    reference.Modality = Header(header).note_text("Modality") or "OT"
    radiograph = answered.radiograph
    if radiograph is not None:
        reference.Rows, reference.Columns = radiograph.rows, radiograph.columns
        reference.SamplesPerPixel = 1
        reference.PhotometricInterpretation = radiograph.photometric_interpretation
        reference.BitsStored = radiograph.bits_stored
        reference.BitsAllocated = radiograph.stored.dtype.itemsize * 8
    return reference


def common_arguments(answered: Answered, making: Making, kind: Kind) -> dict[str, Any]:
    """The arguments that the constructors of highdicom share."""
    return {
        "series_instance_uid": series_uid(answered, making, kind),
        "series_number": SERIES_NUMBER[kind],
        "sop_instance_uid": instance_uid(answered, making, kind),
        "instance_number": _instance_number(answered),
        "manufacturer": MANUFACTURER,
    }


def finished(dataset: Dataset, answered: Answered, making: Making, kind: Kind) -> Dataset:
    """Give an object the source's identity and everything that all objects share; what a constructor put there goes."""
    for keyword in COPIED:
        if keyword in dataset:
            del dataset[keyword]
    # Now, because what is kept as it is written is not looked at again.
    correct_ambiguous_vr(dataset, True)
    identity = identity_from_header(answered.header)
    for tag in list(identity.keys()):
        element = identity.get_item(tag)
        if element is not None:
            dataset[tag] = element
    _describe_equipment(dataset, answered, making)
    _date(dataset, answered, making, kind)
    dataset.SeriesDescription = content_description(making, kind)
    if kind != "sr":
        # Of the joints on both sides; a source may name a part of the body that has a side.
        dataset.BodyPartExamined = "PELVIS"
    dataset.ContentQualification = "RESEARCH"
    dataset.file_meta = _file_meta(dataset)
    return keep_as_written(dataset)


def content_description(making: Making, kind: Kind) -> str:
    """What an object or its series is, and first of all what it is not; at most 64 characters."""
    label = "DEMONSTRATION, not for clinical use" if making.bundle.demonstration else "Research"
    return f"{label}: Edge-Sacro {_NAMES[kind]}"


def statement(making: Making) -> str:
    """The bundle's own statement, in ASCII."""
    return ascii_from_text(making.bundle.statement)


def device_name(making: Making) -> str:
    """The bundle's name and version."""
    return ascii_from_text(f"{making.bundle.name} {making.bundle.version}", _LONG)


def model_name(result: Result) -> str:
    """The published system that answered."""
    return ascii_from_text(f"Edge-Sacro {result.system}", _LONG)


def _describe_equipment(dataset: Dataset, answered: Answered, making: Making) -> None:
    for keyword in ("InstitutionName", "StationName"):
        if keyword in dataset:
            del dataset[keyword]
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = model_name(answered.result)
    dataset.DeviceSerialNumber = making.bundle.fingerprint[:_LONG]
    dataset.SoftwareVersions = [__version__, device_name(making)]
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = dataset.ManufacturerModelName
    item.DeviceSerialNumber = dataset.DeviceSerialNumber
    item.SoftwareVersions = list(dataset.SoftwareVersions)
    item.ContributionDescription = statement(making)[:1024]
    dataset.ContributingEquipmentSequence = [item]


def _date(dataset: Dataset, answered: Answered, making: Making, kind: Kind) -> None:
    """When the content was made, in the source's own time zone where it names one (PS3.3 C.12.1.1.8)."""
    moment = making.moment
    offset = Header(answered.header).note_text("TimezoneOffsetFromUTC")
    if offset is not None and moment.tzinfo is not None:
        zone = _zone(offset)
        moment = moment if zone is None else moment.astimezone(zone)
    for prefix in _EVERY_MOMENT:
        for keyword, pattern in ((f"{prefix}Date", "%Y%m%d"), (f"{prefix}Time", "%H%M%S")):
            if prefix in _MOMENTS[kind]:
                setattr(dataset, keyword, moment.strftime(pattern))
            elif keyword in dataset:
                del dataset[keyword]


def _zone(offset: str) -> dt.timezone | None:
    """``+0130`` as a time zone; None where it is none."""
    sign, digits = offset[:1], offset[1:]
    if sign not in ("+", "-") or len(digits) != 4 or not digits.isdigit() or int(digits) > 1400:
        return None
    delta = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return dt.timezone(delta if sign == "+" else -delta)


def _instance_number(answered: Answered) -> int:
    """The source's, so that objects of a series stand in its order; 1 where it has none."""
    numbers = Header(answered.header).note_numbers("InstanceNumber")
    number = int(numbers[0]) if numbers else 1
    return number if 1 <= number < 2**31 else 1


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = "EDGE_SACRO"
    return meta
