"""DICOM input: bytes -> Radiograph, each file answered by a radiograph or by a coded refusal.

``read`` hands the bytes to a child process with memory, processor-time and wall-clock limits; see docs/dicom-input.md.
Importing this package loads neither pydicom nor imagecodecs.
"""

from __future__ import annotations

from edge_sacro.dicom.acceptance import check_acceptance
from edge_sacro.dicom.display import Window, display_from_radiograph
from edge_sacro.dicom.instances import Instance, find_instances
from edge_sacro.dicom.limits import ReadLimits
from edge_sacro.dicom.source import Frame, Isolation, Source, read, read_frames, warm_up

__all__ = [
    "Frame",
    "Instance",
    "Isolation",
    "ReadLimits",
    "Source",
    "Window",
    "check_acceptance",
    "display_from_radiograph",
    "find_instances",
    "read",
    "read_frames",
    "warm_up",
]
