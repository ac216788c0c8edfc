"""The audit trail as DICOM audit messages (PS3.15 A.5), one XML document a record, for an audit repository.

The trail names no patient, and neither do the messages: the patient that A.5.3 wants is left out. A study is named by
its UID where the queue knows it, else an instance by the hash under which the trail has it.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple
from xml.etree import ElementTree as ET

from edge_sacro.node.audit import Record

StudyOf = Callable[[int], "str | None"]
"""The Study Instance UID of an instance of the queue; None where it is not known."""

SUCCESS, SERIOUS_FAILURE = "0", "8"


class _Kind(NamedTuple):
    """What a record becomes: Event ID, Event Type Code or None, Event Action Code."""

    event: tuple[str, str]
    type: tuple[str, str] | None
    action: str


_ACTIVITY, _ACCESSED = ("110100", "Application Activity"), ("110103", "DICOM Instances Accessed")
_TRANSFERRED, _DELETED = ("110104", "DICOM Instances Transferred"), ("110105", "DICOM Study Deleted")
_ALERT, _QUERY = ("110113", "Security Alert"), ("110112", "Query")

KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "started": _Kind(_ACTIVITY, ("110120", "Application Start"), "E"),
        "stopped": _Kind(_ACTIVITY, ("110121", "Application Stop"), "E"),
        "received": _Kind(_TRANSFERRED, None, "C"),
        "assessed": _Kind(_ACCESSED, None, "R"),
        "delivered": _Kind(_TRANSFERRED, None, "R"),
        "quarantined": _Kind(_ACCESSED, None, "U"),
        "requeued": _Kind(_ACCESSED, None, "U"),
        "accessed": _Kind(_ACCESSED, None, "R"),
        "listed": _Kind(_QUERY, None, "E"),
        "purged": _Kind(_DELETED, None, "D"),
        "alert": _Kind(_ALERT, ("110126", "Node Authentication"), "E"),
        "audit_mended": _Kind(_ALERT, ("110133", "Audit Recording Stopped"), "E"),
    }
)
"""Codes of PS3.16 CID 400, 401 and 403, by the event of the trail."""

_APPLICATION, _SOURCE, _DESTINATION = (
    ("110150", "Application"),
    ("110153", "Source Role ID"),
    ("110152", "Destination Role ID"),
)
_STUDY = ("110180", "Study Instance UID")
_HASHED, _LISTED = ("hashed", "SOP Instance UID, hashed"), ("listed", "Numbers of the instances shown")


def messages_from_records(records: Iterable[Record], study_of: StudyOf, title: str) -> Iterator[str]:
    """One audit message for each record.

    Args:
        records: of the trail.
        study_of: looks a study up.
        title: the node's AE title.
    """
    site = socket.gethostname()
    for record in records:
        kind = KINDS.get(str(record.get("event")))
        if kind is not None:
            yield ET.tostring(_message(record, kind, study_of, (title, site)), encoding="unicode")


def _message(record: Record, kind: _Kind, study_of: StudyOf, us: tuple[str, str]) -> ET.Element:
    failed = record.get("outcome") == "rejected" or record["event"] in {"quarantined", "alert", "audit_mended"}
    message = ET.Element("AuditMessage")
    event = ET.SubElement(
        message,
        "EventIdentification",
        EventActionCode=kind.action,
        EventDateTime=str(record["time"]),
        EventOutcomeIndicator=SERIOUS_FAILURE if failed else SUCCESS,
    )
    _coded(event, "EventID", kind.event)
    if kind.type is not None:
        _coded(event, "EventTypeCode", kind.type)
    for name, role, requests in _participants(record, us):
        participant = ET.SubElement(
            message, "ActiveParticipant", UserID=name, UserIsRequestor="true" if requests else "false"
        )
        _coded(participant, "RoleIDCode", role)
    ET.SubElement(message, "AuditSourceIdentification", AuditSourceID=f"{us[0]}@{us[1]}")
    _add_object(message, record, study_of)
    return message


def _participants(record: Record, us: tuple[str, str]) -> list[tuple[str, tuple[str, str], bool]]:
    """Who took part, in which role, and whether the act was theirs."""
    title, event = us[0], record["event"]
    actor = str(record.get("actor") or record.get("address") or title)
    if event in {"received", "listed"}:
        return [(actor, _SOURCE, True), (title, _DESTINATION, False)]
    if event == "delivered":
        return [(title, _SOURCE, True), (str(record.get("destination")), _DESTINATION, False)]
    return [(title if actor == "node" else actor, _APPLICATION, True)]


def _add_object(message: ET.Element, record: Record, study_of: StudyOf) -> None:
    number, uid = record.get("instance"), record.get("uid")
    study = study_of(number) if isinstance(number, int) else None
    if record["event"] == "listed":
        named, kind = f"instances {record.get('newest')} to {record.get('oldest')}", _LISTED
    elif study is not None:
        named, kind = study, _STUDY
    elif uid is not None or number is not None:
        named, kind = (f"hmac-sha256:{uid}" if uid is not None else f"instance {number}"), _HASHED
    else:
        return
    thing = ET.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=named,
        ParticipantObjectTypeCode="2",
        ParticipantObjectTypeCodeRole="3",
    )
    _coded(thing, "ParticipantObjectIDTypeCode", kind, "DCM" if kind is _STUDY else "99EDGESACRO")
    for name in ("instance", "sha256", "bundle", "outcome", "reason_code", "state", "n", "hash"):
        if record.get(name) is not None:
            ET.SubElement(thing, "ParticipantObjectDetail", type=name, value=_base64(str(record[name])))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _coded(parent: ET.Element, name: str, code: tuple[str, str], scheme: str = "DCM") -> None:
    attributes = {"csd-code": code[0], "codeSystemName": scheme, "originalText": code[1]}
    ET.SubElement(parent, name, attributes)
