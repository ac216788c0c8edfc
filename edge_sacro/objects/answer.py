"""What a result object is made of, and what is made: one answered image in, one DICOM object or a reason out."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydicom.dataset import Dataset

from edge_sacro.locate import Labels
from edge_sacro.report import BundleRecord, Result
from edge_sacro.types import Radiograph

Kind = Literal["sr", "seg", "pr", "sc"]
KINDS: tuple[Kind, ...] = ("sr", "seg", "pr", "sc")
"""Structured report, segmentation, presentation state, secondary capture."""


@dataclass(frozen=True, eq=False)
class Answered:
    """One image and its answer.

    Attributes:
        result: the answer.
        header: the source's elements, as :func:`edge_sacro.objects.header_from_bytes` gives them.
        radiograph: the image as it was read; None where it could not be.
        labels: the anatomy of each pixel in canonical view, 0 to 3 as in ``edge_sacro.locate``; None where the system
            has no segmentation.
    """

    result: Result
    header: Dataset
    radiograph: Radiograph | None = None
    labels: Labels | None = None


@dataclass(frozen=True)
class Making:
    """By what, and when, objects are made.

    Attributes:
        bundle: as the report names it.
        moment: when the content was made. No UID depends on it; the bytes do, so that a retry that is to be
            equal byte for byte gives the same moment again.
    """

    bundle: BundleRecord
    moment: dt.datetime


@dataclass(frozen=True, eq=False)
class ResultObject:
    """One object.

    Attributes:
        kind: which.
        dataset: the object with its file meta information.
        content: the same as a DICOM file, Explicit VR Little Endian; equal bytes for equal answers and moments.
    """

    kind: Kind
    dataset: Dataset
    content: bytes

    @property
    def sop_instance_uid(self) -> str:
        """Its SOP Instance UID."""
        return str(self.dataset.SOPInstanceUID)


@dataclass(frozen=True)
class NoObject:
    """Why there is no object of this kind.

    Attributes:
        kind: which.
        reason: in a sentence.
        failed: whether there should be one, and the source's header does not let it be made.
    """

    kind: Kind
    reason: str
    failed: bool = False


Outcome: TypeAlias = "ResultObject | NoObject"
