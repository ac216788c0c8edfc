"""DICOM result objects: what an archive and a viewer take of an answer; see docs/dicom-results.md.

``result_objects`` makes a structured report, a segmentation, a presentation state and a secondary capture of one
answered image, with UIDs that follow from what they say. It needs the extra ``dicom`` (highdicom).
"""

from __future__ import annotations

from edge_sacro.objects.answer import KINDS, Answered, Kind, Making, NoObject, Outcome, ResultObject
from edge_sacro.objects.files import write_object
from edge_sacro.objects.identity import header_from_bytes
from edge_sacro.objects.make import bytes_from_object, check_objects, result_objects, series_report

__all__ = [
    "KINDS",
    "Answered",
    "Kind",
    "Making",
    "NoObject",
    "Outcome",
    "ResultObject",
    "bytes_from_object",
    "check_objects",
    "header_from_bytes",
    "result_objects",
    "series_report",
    "write_object",
]
