"""What the interface answers, as typed values; OpenAPI is made from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_sacro.report import BundleRecord, Probability, Result

StateName = Literal["received", "assessing", "sending", "delivered", "refused", "quarantined"]
OutcomeName = Literal["positive", "negative", "borderline", "not_assessable", "refused"]
Sides = Literal["left", "right"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class ProblemDocument(_Answer):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    code: Annotated[str, Field(description="stable; of docs/errors.md or docs/http.md", examples=["queue_full"])]
    what: Annotated[str, Field(examples=["10000 instances wait"])]
    remedy: Annotated[str, Field(examples=["Send again later; raise limits.queue if the machine keeps up."])]


class Patient(_Answer):
    """Whose image it is, from the file's header. Text is null where it is absent or unreadable."""

    name: Annotated[str | None, Field(examples=["PHANTOM, 1"])]
    id: Annotated[str | None, Field(examples=["PHANTOM-1"])]
    birth_date: Annotated[str | None, Field(description="YYYYMMDD")]
    accession_number: str | None
    study_date: Annotated[str | None, Field(description="YYYYMMDD")]


class DestinationState(_Answer):
    """How far the results of one instance have come on the way to one destination."""

    name: str
    outstanding: int
    done: int
    rejected: int


class Entry(_Answer):
    """One instance, as a line of the worklist. Times are ISO 8601, UTC."""

    sequence: Annotated[int, Field(description="its number in the queue, which names it everywhere", examples=[7])]
    state: StateName
    outcome: Annotated[OutcomeName | None, Field(description="the result's state; null before there is one")]
    reason_code: str | None
    reason: str | None
    received_at: Annotated[str, Field(examples=["2026-01-31T09:30:00.000+00:00"])]
    finished_at: str | None
    via: Literal["dimse", "http"]
    peer: Annotated[str, Field(description="the calling AE title, or the client", examples=["XRAY1"])]
    size: int
    conflict: Annotated[bool, Field(description="another instance has its SOP Instance UID and other bytes")]
    times_received: int
    attempts: int
    files: Annotated[bool, Field(description="false once its files were removed after the time of retention")]
    patient: Annotated[Patient | None, Field(description="null where the file is gone or cannot be read")]
    destinations: list[DestinationState]


class Worklist(_Answer):
    """A page of instances, the newest first; ``next`` is what to give as ``before`` for the page after it."""

    instances: list[Entry]
    next: int | None


class Sent(_Answer):
    """One object on its way to one destination."""

    destination: str
    object: Annotated[str, Field(examples=["sr.dcm"])]
    state: Literal["waiting", "confirming", "stored", "committed", "rejected"]
    attempts: int
    error: str | None


class ResultFile(_Answer):
    """A file that was made of an instance."""

    name: Annotated[str, Field(examples=["sr.dcm"])]
    size: int
    media_type: str
    href: str


class Detail(Entry):
    """One instance with everything that is known of it."""

    bundle: Annotated[BundleRecord | None, Field(description="what assessed it; null before it was")]
    result: Annotated[Result | None, Field(description="the answer; null before there is one, and for several frames")]
    frames: Annotated[int, Field(description="results in the report")]
    deliveries: list[Sent]
    results: list[ResultFile]


class Submitted(_Answer):
    """The answer to a submitted or asked-for instance: it is on stable storage, whatever the result says."""

    sequence: Annotated[int, Field(examples=[7])]
    what: Annotated[
        Literal["new", "again", "conflict"],
        Field(description="again: these bytes are known; conflict: their UID is known with other bytes, both are kept"),
    ]
    state: StateName
    outcome: OutcomeName | None
    reason_code: str | None
    reason: str | None
    probability: Probability | None
    result: Annotated[Result | None, Field(description="null: there is no result (yet); never read it as a negative")]
    href: Annotated[str, Field(examples=["/v1/instances/7"])]


class DestinationHealth(_Answer):
    """What a destination has yet to take, and why the last attempt failed."""

    name: str
    outstanding: int
    error: str | None


class NodeStatus(_Answer):
    """How the node is."""

    version: str
    ready: bool
    problems: list[str]
    bundle: BundleRecord | None
    guard_band: Annotated[float | None, Field(description="half-width around the cut-off that is borderline")]
    counts: Annotated[dict[str, int], Field(description="instances by state")]
    waiting: int
    queue_limit: int
    disk_free_bytes: int
    disk_reserve_bytes: int
    destinations: list[DestinationHealth]
    wait_s: Annotated[float, Field(description="the longest wait that may be asked for")]


class Health(_Answer):
    """Whether the process answers and its assessor goes on."""

    status: Literal["ok", "stuck"]


class Readiness(_Answer):
    """Whether the node takes and assesses instances, and if not, why."""

    ready: bool
    problems: list[str]


class WindowPreset(_Answer):
    """A window of the file, in modality values (PS3.3 C.11.2)."""

    center: float
    width: float
    function: Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


class ImageView(_Answer):
    """How to draw an instance's pixels.

    The pixels of ``pixels`` are uint16, little-endian, row after row from the top left, in canonical view: the
    patient's right at the left. A modality value is ``slope * pixel + intercept``. Boxes are x0, y0, x1, y1 in these
    pixels.
    """

    rows: int
    columns: int
    slope: float
    intercept: float
    unit: str
    inverted: Annotated[bool, Field(description="a higher value is displayed darker")]
    windows: Annotated[list[WindowPreset], Field(description="of the file, in its order")]
    fallback: Annotated[WindowPreset, Field(description="covers nearly all values present")]
    scale: Annotated[float, Field(description="pixels here for each of the stored image")]
    orientation_assumed: Annotated[bool, Field(description="the file does not say which side is left")]
    crop: list[float] | None
    joints: dict[Sides, list[float] | None]
    pixels: str
    heat: Annotated[str | None, Field(description="RGBA picture to lay over ``crop``, or over everything")]
