"""What a worklist and a viewer show of a file beside its pixels: whose it is, which study, which windows.

Only the beginning of the file is read, in the child process that reads images too. A value that cannot be read counts
as absent: no decision depends on any of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset

from edge_sacro.dicom.attributes import Header
from edge_sacro.dicom.display import Window
from edge_sacro.dicom.failures import vendor_call
from edge_sacro.dicom.limits import MIB, ReadLimits
from edge_sacro.dicom.part10 import header_from_prefix
from edge_sacro.dicom.voi import windows_from_header
from edge_sacro.errors import InputNotFound, InputRefused, InternalError

PREFIX_BYTES = 1 * MIB
"""How much of a file is read; the attributes in question stand long before it ends."""

LIMITS = ReadLimits(file_bytes=PREFIX_BYTES, memory_bytes=256 * MIB, cpu_s=1, wall_s=3.0)
_LONGEST, _MOST_WINDOWS = 200, 8
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""Control characters, and those that turn the direction of the text around them."""


@dataclass(frozen=True)
class Summary:
    """What a file says of itself. Text is None where it is absent, empty or unreadable.

    Attributes:
        patient_name: as people write it: ``"Doe, Jane"``, other scripts behind it in brackets.
        patient_id, accession_number: as in the file.
        birth_date, study_date: ``YYYYMMDD``.
        modality: upper case.
        study_instance_uid: as in the file.
        windows: for display, in the file's order.
    """

    patient_name: str | None
    patient_id: str | None
    accession_number: str | None
    birth_date: str | None
    study_date: str | None
    modality: str | None
    study_instance_uid: str | None
    windows: tuple[Window, ...] = ()


def summary_from_file(path: Path) -> Summary:
    """Read the beginning of a file, in a child process.

    Raises:
        InputRefused: it cannot be opened, or is no DICOM file that can be taken apart.
        InternalError: the child could not be started.
    """
    from edge_sacro.dicom.isolation import children

    try:
        with path.open("rb") as stream:
            data = stream.read(PREFIX_BYTES)
    except OSError as error:
        raise InputNotFound(f"the file cannot be opened ({error.strerror})", source=path.name) from error
    job = {
        "limits": LIMITS.as_dict(),
        "overrides": [],
        "frame": 0,
        "sha256": hashlib.sha256(data).hexdigest(),
        "summary": True,
    }
    header, _ = children().answer(job, data, LIMITS, path.name)
    try:
        fields = dict(header["summary"])
        windows = tuple(Window(**each) for each in fields.pop("windows"))
        return Summary(windows=windows, **fields)
    except (KeyError, TypeError) as error:
        raise InternalError(f"the reading process answered with what is no summary ({error})") from None


def message_from_prefix(data: bytes) -> dict[str, Any]:
    """In the child: the header of the answer that carries a summary.

    Args:
        data: the beginning of a file, up to ``PREFIX_BYTES``.

    Raises:
        InputRefused: it is none of a DICOM file.
    """
    return {"summary": dataclasses.asdict(_summary(header_from_prefix(data, PREFIX_BYTES)))}


def _summary(dataset: Dataset) -> Summary:
    header = Header(dataset)
    with vendor_call("parse", "the character set cannot be read"):
        encodings = convert_encodings(list(header.texts("SpecificCharacterSet")))
        dataset.set_original_encoding(dataset.original_encoding[0], dataset.original_encoding[1], encodings)
    return Summary(
        patient_name=_name(_text(header, "PatientName")),
        patient_id=_text(header, "PatientID"),
        accession_number=_text(header, "AccessionNumber"),
        birth_date=_text(header, "PatientBirthDate"),
        study_date=_text(header, "StudyDate"),
        modality=_text(header, "Modality"),
        study_instance_uid=_text(header, "StudyInstanceUID"),
        windows=_windows(header),
    )


def _text(header: Header, keyword: str) -> str | None:
    """The value as one line of text."""
    try:
        text = "\\".join(str(value) for value in header.values(keyword))
    except InputRefused:
        return None
    return _CONTROL.sub(" ", text).strip()[:_LONGEST] or None


def _windows(header: Header) -> tuple[Window, ...]:
    try:
        return windows_from_header(header)[:_MOST_WINDOWS]
    except InputRefused:
        return ()


def _name(text: str | None) -> str | None:
    """A person's name (PS3.5 6.2.1): up to three groups of family, given, middle, prefix and suffix."""
    if text is None:
        return None
    groups = []
    for group in text.split("="):
        family, given, middle, prefix, suffix = [*(part.strip() for part in group.split("^")), *[""] * 5][:5]
        called = " ".join(part for part in (prefix, given, middle, suffix) if part)
        groups.append(", ".join(part for part in (family, called) if part))
    first, *others = [group for group in groups if group] or [""]
    return f"{first} ({', '.join(others)})" if others else first or None
