"""Answered images for tests: a phantom under the demonstration bundle, and answers that no bundle here gives."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset

from edge_sacro.objects import Answered, Making, ResultObject, header_from_bytes, result_objects
from edge_sacro.report import BundleRecord, Joint, Joints, Result
from edge_sacro.runtime import Runtime
from edge_sacro.types import State

MOMENT = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.timezone.utc)
BUNDLE = BundleRecord(
    name="tiny", version="1", fingerprint="ab" * 32, signed_by=None, demonstration=True, statement="Nur für Tests."
)
MAKING = Making(BUNDLE, MOMENT)


def file_bytes(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def answered_from_bytes(runtime: Runtime, data: bytes, name: str = "study.dcm") -> Answered:
    ((result, radiograph, assessment),) = runtime.assess_each(data, name=name)
    labels = None if assessment is None else assessment.labels
    return Answered(result, header_from_bytes(data, name), radiograph, labels)


def with_result(answered: Answered, **changes: Any) -> Answered:
    """The same image under another answer."""
    fields = {**answered.result.model_dump(), **changes}
    result = Result.model_validate(fields)
    return Answered(result, answered.header, answered.radiograph, answered.labels)


def each_joint_decided(answered: Answered) -> Answered:
    """As a detector of single joints answers: right positive, left not assessable."""
    right = answered.result.joints.right.model_copy(
        update={"state": State.POSITIVE, "probability": 0.8123, "reason": "probability 0.8123 is above the cut-off 0.5"}
    )
    left = Joint(
        state=State.NOT_ASSESSABLE,
        reason="the joint lies at the border of the image and may go on beyond it",
        box_px=None,
        box_mm=None,
        probability=None,
    )
    return with_result(
        answered,
        state=State.POSITIVE,
        probability=0.8123,
        joints=Joints(left=left, right=right),
        reason="right decides",
    )


def objects_by_kind(answered: Answered, making: Making = MAKING) -> dict[str, Dataset]:
    return {made.kind: made.dataset for made in result_objects(answered, making) if isinstance(made, ResultObject)}


def bytes_by_kind(answered: Answered, making: Making = MAKING) -> dict[str, bytes]:
    return {made.kind: made.content for made in result_objects(answered, making) if isinstance(made, ResultObject)}


def walked(dataset: Dataset, wanted: Callable[[Dataset], bool]) -> list[Dataset]:
    """Content items, depth first."""
    found = []
    for item in dataset.get("ContentSequence", []):
        found += [item] if wanted(item) else []
        found += walked(item, wanted)
    return found
