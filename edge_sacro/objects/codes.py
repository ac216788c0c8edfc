"""The codes of the result objects: the standard's where it has one, and a private scheme for the rest.

Codes are immutable values; what holds them makes its own item of each, so that no two places share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from edge_sacro.types import Side, State

SCHEME = "99EDGESACRO"
SCHEME_NAME = "Edge-Sacro result codes"
SCHEME_UID = "2.25.201468953284660243215573866218044920637"
SCHEME_VERSION = "1"
ORGANISATION = "Edge-Sacro"

SACROILIAC_JOINT = Code("39723000", "SCT", "Sacroiliac joint")
SACRUM = Code("54735007", "SCT", "Sacrum")
ILIUM = Code("22356005", "SCT", "Ilium")
ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
LATERALITY: Mapping[Side, Code] = MappingProxyType(
    {"left": Code("7771000", "SCT", "Left"), "right": Code("24028007", "SCT", "Right")}
)
BOTH_SIDES = Code("51440002", "SCT", "Bilateral")

PLAIN_RADIOGRAPHY = Code("168537006", "SCT", "Plain radiography")
COMPUTED_TOMOGRAPHY = Code("77477000", "SCT", "Computed tomography")
ENGLISH = Code("en-US", "RFC5646", "English (United States)")
DEVICE_OBSERVER = Code("121007", "DCM", "Device")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
PROCESSED_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
COMMENT = Code("121106", "DCM", "Comment")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
PERCENT = Code("%", "UCUM", "Percent")

_PRESENT = Code("52101004", "SCT", "Present")
_ABSENT = Code("272519000", "SCT", "Absent")
_UNDETERMINED = Code("373068000", "SCT", "Undetermined")

PRESENCE: Mapping[State, Code] = MappingProxyType(
    {
        State.POSITIVE: _PRESENT,
        State.NEGATIVE: _ABSENT,
        State.BORDERLINE: _UNDETERMINED,
        State.NOT_ASSESSABLE: _UNDETERMINED,
        State.REFUSED: _UNDETERMINED,
    }
)
"""PS3.16 CID 240. A joint that was located only has no entry: the system decides on both together."""


def _private(value: str, meaning: str) -> Code:
    return Code(value, SCHEME, meaning)


SACROILIITIS = _private("sacroiliitis", "Radiographic sacroiliitis")
ANSWER = _private("answer", "Answer of the system")
CUT_OFF = _private("cut-off", "Cut-off of the decision")
GRADE = _private("mNY", "Modified New York grade")
GRADE_OF_CLASS: Mapping[State, Code] = MappingProxyType(
    {
        State.POSITIVE: _private("mNY-2-4", "Grade 2 or more"),
        State.NEGATIVE: _private("mNY-0-1", "Grade 0 or 1"),
    }
)
"""The grades that a joint's class was trained to stand for, where the system decides on each joint."""

ANSWERS: Mapping[State, Code] = MappingProxyType(
    {
        State.POSITIVE: _private("positive", "Positive"),
        State.NEGATIVE: _private("negative", "Negative"),
        State.BORDERLINE: _private("borderline", "Borderline: too close to the cut-off"),
        State.LOCATED: _private("located", "Located; the system decides on both joints together"),
        State.NOT_ASSESSABLE: _private("not-assessable", "Not assessable"),
        State.REFUSED: _private("refused", "Refused"),
    }
)


def coding_scheme() -> Dataset:
    """An item of Coding Scheme Identification Sequence (0008,0110) for the private codes."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeUID = SCHEME_UID
    item.CodingSchemeName = SCHEME_NAME
    item.CodingSchemeVersion = SCHEME_VERSION
    item.CodingSchemeResponsibleOrganization = ORGANISATION
    return item


def code_item(code: Code) -> Dataset:
    """A code sequence item (PS3.3 table 8.8-1)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
