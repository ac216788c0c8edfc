"""UIDs that follow from what an object says, so that a retry is a duplicate and never a second result (PS3.5 B.2).

An object's UID follows from the source's SOP Instance UID, the identity copied from it, the bundle, the version of the
software and the answer: all that its content is made of, save the moment. What the answer does not depend on (the
path, the machine, how long it took, how the source's pixels were encoded) has no part in it. So equal UIDs mean equal
content, as PS3.4 wants it, and an answer that is another one (another bundle, precision or cut-off, a deadline that was
passed before) has another UID and does not disappear behind the first in an archive that keeps the first.
"""

from __future__ import annotations

import hashlib
import io
import json
import uuid

from pydicom.dataset import Dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from edge_sacro import __version__
from edge_sacro.objects.answer import Answered, Kind, Making
from edge_sacro.objects.identity import identity_from_header, keep_as_written, source_uid

_NAMESPACE = uuid.UUID("b7d3c7a1-5d0f-4f0e-a9c0-3f1f4f1d7a52")
_FORM = "1"
"""Another one whenever objects of one answer and one version come to say it in other words."""

_NOT_SAID = {"path": True, "sha256": True}


def uid_from_parts(*parts: str) -> UID:
    """A UID derived from a name-based UUID of these parts; no two lists of parts have the same name."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, json.dumps(parts)).int}")


def instance_uid(answered: Answered, making: Making, kind: Kind) -> UID:
    """The SOP Instance UID of the object of this kind."""
    said = answered.result.model_dump(
        mode="json", exclude={"source": _NOT_SAID, "timings_ms": True, "backend": {"processor": True}}
    )
    labels = "" if kind != "seg" or answered.labels is None else hashlib.sha256(answered.labels.tobytes()).hexdigest()
    return uid_from_parts(
        "instance",
        kind,
        source_uid(answered.header, "SOPInstanceUID"),
        digest_from_elements(identity_from_header(answered.header)),
        making.bundle.fingerprint,
        f"{__version__} {_FORM}",
        json.dumps(said, sort_keys=True),
        labels,
    )


def series_uid(answered: Answered, making: Making, kind: Kind) -> UID:
    """The Series Instance UID: one series a study, kind and configuration."""
    return uid_from_parts(
        "series", kind, source_uid(answered.header, "StudyInstanceUID"), *_configuration(answered, making)
    )


def device_uid(answered: Answered, making: Making) -> UID:
    """The UID of the observer: this software with this bundle in this configuration."""
    return uid_from_parts("device", *_configuration(answered, making))


def tracking_uid(answered: Answered, what: str) -> UID:
    """The UID of a joint, or of both, on this image, whatever bundle answers."""
    return uid_from_parts("tracking", source_uid(answered.header, "SOPInstanceUID"), what)


def _configuration(answered: Answered, making: Making) -> tuple[str, ...]:
    result = answered.result
    point = result.operating_point
    return (
        making.bundle.fingerprint,
        __version__,
        result.system,
        json.dumps([point.name, point.threshold, point.source]),
        result.backend.precision,
        f"{result.backend.name} {result.backend.version}",
    )


def digest_from_elements(elements: Dataset) -> str:
    """SHA-256 of elements as they are written."""
    from pydicom.filebase import DicomBytesIO

    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, keep_as_written(elements))
    buffer.seek(0, io.SEEK_SET)
    return hashlib.sha256(buffer.getvalue()).hexdigest()
