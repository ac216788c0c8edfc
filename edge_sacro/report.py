"""The report: one result for each instance, as typed values, as canonical JSON and as its schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_sacro import __version__
from edge_sacro.types import State

PixelBox = Annotated[list[int], Field(min_length=4, max_length=4)]
MillimetreBox = Annotated[list[float], Field(min_length=4, max_length=4)]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Which image a result belongs to.

    Attributes:
        path: as it was given.
        sha256, sop_instance_uid: of the file, null where it could not be read so far.
        frame: number of the frame, from 1; null where the object holds a single one.
    """

    path: str
    sha256: str | None
    sop_instance_uid: str | None
    frame: int | None = None


class Joint(_Strict):
    """One joint of the patient.

    Attributes:
        state: ``positive``, ``negative`` or ``borderline`` where the system decides on each joint, ``located`` where it
            decides on both together.
        reason: the joint's decision, or why there is none, and why another value is null.
        box_px: ``[x0, y0, x1, y1]`` on the stored image's pixel grid, x1 and y1 exclusive.
        box_mm: the same corners in mm from the image's top left, by the header's pixel spacing.
        probability: of sacroiliitis in this joint.
    """

    state: State
    reason: str | None
    box_px: PixelBox | None
    box_mm: MillimetreBox | None
    probability: Probability | None


class Joints(_Strict):
    """The patient's left and right joint, never the image's."""

    left: Joint
    right: Joint


class AppliedOperatingPoint(_Strict):
    """The cut-off of the decision: positive above the threshold, strictly."""

    name: str
    threshold: float
    source: str


class Backend(_Strict):
    """What computed the networks, and in which of the bundle's precisions.

    Attributes:
        name, version: of the backend, or of each one where the networks have several.
        processor: the machine, and those features of its processor by which vendors choose their kernels.
    """

    name: str
    version: str
    processor: str
    precision: Literal["fp32", "fp16", "int8"]


class Slice(_Strict):
    """Where a CT slice lies, and whether it is taken for one through both sacroiliac joints.

    Attributes:
        series_instance_uid, image_position_mm, image_orientation, kernel: as in the header; null where it is silent.
        through_joints: the selection by anatomy; null where the slice is refused.
        reason_code, reason: why it does not pass through both joints.
    """

    series_instance_uid: str | None
    image_position_mm: Annotated[list[float], Field(min_length=3, max_length=3)] | None
    image_orientation: Annotated[list[float], Field(min_length=6, max_length=6)] | None
    kernel: str | None
    through_joints: bool | None
    reason_code: str | None
    reason: str | None


class Result(_Strict):
    """The answer to one image: an instance, or a frame of one.

    Attributes:
        state: ``positive``, ``negative``, ``borderline``, ``not_assessable`` or ``refused``.
        reason: the decision in a sentence, or why there is none.
        reason_code: stable code of why there is no decision; null where there is one.
        remedy: what to do about a refusal; null elsewhere.
        probability: of radiographic sacroiliitis, rounded as it was decided on.
        high_risk: the published flag of a confident prediction, null where there is no such rule; no part of the state.
        crop_px: what the classifier saw, on the stored image's pixel grid.
        notes: overrides, assumptions and conflicts that a reader must know.
        timings_ms: wall-clock milliseconds by stage; the one part that differs from run to run.
        slice: of a CT slice that could be read; null elsewhere.
    """

    source: Source
    system: str
    state: State
    reason: str
    reason_code: str | None
    remedy: str | None
    probability: Probability | None
    high_risk: bool | None
    operating_point: AppliedOperatingPoint
    crop_px: PixelBox | None
    joints: Joints
    notes: list[str]
    backend: Backend
    timings_ms: dict[str, float]
    slice: Slice | None = None


class LargestSlice(_Strict):
    """The selected slice of the highest probability; ``result`` is its place in ``results``."""

    result: int
    probability: Probability


class Series(_Strict):
    """The answer for the slices of one CT series. Places are those in ``results``, from 0.

    Attributes:
        state, reason, reason_code, remedy: as of a result.
        probability: the mean of the selected slices' probabilities.
        selection: ``joints`` where the slices through both joints count, ``all`` where all do.
        slices: every slice, by position along the normal; those without a position last.
        selected: those that count.
        positive, borderline, negative, not_assessable: how many of the selected ones are so.
        refused: how many slices of the series are refused.
        distance_mm: of neighbouring planes, the median.
    """

    series_instance_uid: str
    system: str
    state: State
    reason: str
    reason_code: str | None
    remedy: str | None
    probability: Probability | None
    operating_point: AppliedOperatingPoint
    selection: Literal["joints", "all"]
    slices: list[int]
    selected: list[int]
    positive: int
    borderline: int
    negative: int
    not_assessable: int
    refused: int
    largest: LargestSlice | None
    distance_mm: float | None
    notes: list[str]


class Software(_Strict):
    """What made the report."""

    name: Literal["edge-sacro"] = "edge-sacro"
    version: str = __version__


class BundleRecord(_Strict):
    """Which model bundle was used.

    Attributes:
        fingerprint: SHA-256 of its manifest, which holds the hash of every file.
        signed_by: SHA-256 of the pinned key that its signature was verified with; null where no key is pinned.
    """

    name: str
    version: str
    fingerprint: str
    signed_by: str | None
    demonstration: bool
    statement: str


class Ignored(_Strict):
    """A file of a folder that is no instance, and why it was left out."""

    path: str
    reason: str


class Report(_Strict):
    """One document for one call."""

    schema_version: Literal["1.0"] = "1.0"
    software: Software = Software()
    bundle: BundleRecord
    results: Sequence[Result]
    series: Sequence[Series] = ()
    ignored: Sequence[Ignored] = ()


def json_from_report(report: Report) -> str:
    """The report as canonical JSON: keys sorted, two spaces, UTF-8 text, one line end at the end."""
    return json.dumps(report.model_dump(mode="json"), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def report_schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) of the document that ``json_from_report`` writes."""
    schema = Report.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
