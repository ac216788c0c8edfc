"""Whose image it is: patient and study of the source, copied into every object byte for byte.

A value is not decoded and encoded again on the way, so that a name in any character set, well formed or not, arrives
as the sender wrote it, with the sender's Specific Character Set. What this package writes itself is ASCII, which every
one of the sets has.
"""

from __future__ import annotations

import unicodedata

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from edge_sacro.dicom.attributes import Header
from edge_sacro.dicom.failures import vendor_call
from edge_sacro.dicom.geometry import is_uid
from edge_sacro.dicom.part10 import part10_from_bytes
from edge_sacro.dicom.source import DEFAULT_LIMITS
from edge_sacro.errors import EdgeSacroError, MissingAttributes

_MODULES = """
    SpecificCharacterSet TimezoneOffsetFromUTC

    PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence TypeOfPatientID
    OtherPatientIDs OtherPatientIDsSequence OtherPatientNames PatientBirthName PatientMotherBirthName
    PatientBirthDate PatientBirthTime PatientSex QualityControlSubject ReferencedPatientSequence EthnicGroup
    PatientComments PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription
    PatientBreedCodeSequence BreedRegistrationSequence ResponsiblePerson ResponsiblePersonRole
    ResponsibleOrganization PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID
    ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID

    StudyInstanceUID StudyDate StudyTime StudyID StudyDescription AccessionNumber IssuerOfAccessionNumberSequence
    ReferringPhysicianName ReferringPhysicianIdentificationSequence ConsultingPhysicianName PhysiciansOfRecord
    PhysiciansOfRecordIdentificationSequence NameOfPhysiciansReadingStudy
    PhysiciansReadingStudyIdentificationSequence RequestingService RequestingServiceCodeSequence
    ReferencedStudySequence ProcedureCodeSequence ReasonForPerformedProcedureCodeSequence

    AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence PatientAge PatientSize PatientWeight
    PatientBodyMassIndex MedicalAlerts Allergies SmokingStatus PregnancyStatus LastMenstrualDate PatientState
    Occupation AdditionalPatientHistory AdmissionID IssuerOfAdmissionIDSequence ServiceEpisodeID
    IssuerOfServiceEpisodeIDSequence ServiceEpisodeDescription PatientSexNeutered ReasonForVisit
    ReasonForVisitCodeSequence ClinicalTrialTimePointID ClinicalTrialTimePointDescription
"""
COPIED = tuple(_MODULES.split())
"""Attributes of the modules Patient, Clinical Trial Subject, General Study, Patient Study and Clinical Trial Study
(PS3.3 C.7.1, C.7.2), and what their text and times are read by (C.12.1)."""

_TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_BINARY = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "AT", "OB", "OW", "UN"})


def header_from_bytes(data: bytes, name: str) -> Dataset:
    """The elements of a DICOM file before its pixel data.

    Args:
        data: the file.
        name: what to call it in errors.

    Raises:
        InputRefused: it is no DICOM file, is truncated, or lacks one of the UIDs that an object must refer to.
    """
    try:
        header = part10_from_bytes(data, DEFAULT_LIMITS).header
        missing = [keyword for keyword in _REQUIRED if not is_uid(source_uid(header, keyword))]
        if missing:
            raise MissingAttributes(f"no object can refer to it; absent or no UID: {', '.join(missing)}")
    except EdgeSacroError as error:
        raise error.with_source(name) from error.__cause__
    return header


def header_reader(header: Dataset) -> Header:
    """The header for reading values, words in its own byte order."""
    return Header(header, all(each.is_little_endian for each in _raw(header)))


def source_uid(header: Dataset, keyword: str) -> str:
    """A UID of the source, ``""`` where it is absent."""
    return Header(header).uid(keyword)


def identity_from_header(header: Dataset) -> Dataset:
    """The elements of ``COPIED`` that the source has, and the others that every object must have, empty."""
    identity = Dataset()
    explicit = _is_explicit(header)
    with vendor_call("parse", "patient and study cannot be copied"):
        for keyword in COPIED:
            tag = _tag(keyword)
            if tag in header:
                identity[tag] = _copied(header, tag, explicit)
    for keyword in _TYPE_2:
        if keyword not in identity:
            setattr(identity, keyword, "")
    return identity


def keep_as_written(dataset: Dataset) -> Dataset:
    """Have copied values written as they stand: pydicom decodes what it takes for another encoding than its own."""
    with vendor_call("parse", "the character set cannot be read"):
        character_set = dataset.get("SpecificCharacterSet")
        encodings = convert_encodings(character_set) if character_set else None
    dataset.set_original_encoding(False, True, encodings)
    return dataset


def ascii_from_text(text: str, limit: int | None = None) -> str:
    """Text of ours as it may stand beside any Specific Character Set: ASCII, accents left out, the rest ``?``."""
    plain = unicodedata.normalize("NFKD", text.replace("\u2026", "...").replace("\u2013", "-").replace("\u2014", "-"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = plain.encode("ascii", "replace").decode("ascii")
    return plain if limit is None or len(plain) <= limit else f"{plain[: limit - 3]}..."


def _tag(keyword: str) -> BaseTag:
    number = tag_for_keyword(keyword)
    if number is None:
        raise KeyError(keyword)
    return Tag(number)


def _copied(header: Dataset, tag: BaseTag, explicit: bool) -> DataElement | RawDataElement:
    """One element for a data set of Explicit VR Little Endian, its bytes as they are wherever they may stay so."""
    element: DataElement | RawDataElement | None = header.get_item(tag)
    vr = dictionary_VR(tag)
    if vr == "SQ" or vr in _BINARY:
        return element if explicit and element is not None else _decoded(header[tag])
    if not isinstance(element, RawDataElement):
        return header[tag]
    value = element.value or b""
    return RawDataElement(tag, vr, len(value), value, 0, False, True)


def _is_explicit(header: Dataset) -> bool:
    """Whether what was not decoded yet is in Explicit VR Little Endian."""
    return all(not each.is_implicit_VR and each.is_little_endian for each in _raw(header))


def _raw(header: Dataset) -> list[RawDataElement]:
    """The elements that were not decoded yet."""
    elements: list[DataElement | RawDataElement | None] = [header.get_item(tag) for tag in list(header.keys())]
    return [each for each in elements if isinstance(each, RawDataElement)]


def _decoded(element: DataElement) -> DataElement:
    """An element that no part of is left in the source's encoding."""
    if element.VR == "SQ":
        for item in element.value:
            for _ in item.iterall():
                pass
    return element
