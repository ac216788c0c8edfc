"""One line of the ledger: numbers and codes, no name, no UID, no path, no pixel and no time of day."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.report import Joint, Result
from edge_sacro.types import Radiograph

SAMPLE_STEP = 8
"""Every so many rows and columns the gray of an image is looked at: its quantiles need no more."""


@dataclass(frozen=True)
class Entry:
    """One answer. None stands for what is absent or does not apply.

    Attributes:
        day: UTC, ``YYYY-MM-DD``.
        bundle: SHA-256 of its manifest.
        backend, precision: what computed it.
        equipment: keyed hash of what the header says of the equipment, 12 hexadecimal digits: tells two machines apart
            and names none.
        state, reason_code, probability: the answer.
        left_mm, right_mm: height of each joint's box in mm.
        crop_part: part of the image that the classifier saw.
        gray_low, gray_middle, gray_high: 10th, 50th and 90th percentile of the normalised image, 0 to 255.
        kvp, exposure_index, deviation_index: as the header has them.
        total_ms: wall time.
        cutoff: of the decision.
        shadow: the probability of the same image by the bundle's fp32, where this one was drawn for comparison.
    """

    day: str
    bundle: str
    backend: str
    precision: str
    equipment: str | None
    state: str
    reason_code: str | None
    probability: float | None
    left_mm: float | None = None
    right_mm: float | None = None
    crop_part: float | None = None
    gray_low: float | None = None
    gray_middle: float | None = None
    gray_high: float | None = None
    kvp: float | None = None
    exposure_index: float | None = None
    deviation_index: float | None = None
    total_ms: float | None = None
    cutoff: float | None = None
    shadow: float | None = None


FIELDS = tuple(field.name for field in dataclasses.fields(Entry))


def entry_from_result(
    result: Result, radiograph: Radiograph | None, fingerprint: str, key: bytes, shadow: float | None = None
) -> Entry:
    """The line of one answer.

    Args:
        result: the answer.
        radiograph: what was assessed; None where it could not be read.
        fingerprint: of the bundle.
        key: secret of this ledger, for the equipment's hash.
        shadow: the same image's probability by fp32.
    """
    entry = Entry(
        day=datetime.now(timezone.utc).date().isoformat(),
        bundle=fingerprint,
        backend=result.backend.name,
        precision=result.backend.precision,
        state=str(result.state.value),
        reason_code=result.reason_code,
        probability=result.probability,
        total_ms=round(result.timings_ms.get("total", 0.0), 1),
        cutoff=result.operating_point.threshold,
        shadow=shadow,
        left_mm=_height(result.joints.left),
        right_mm=_height(result.joints.right),
        equipment=None,
    )
    return entry if radiograph is None else _with_image(entry, result, radiograph, key)


def drawn_for_shadow(sha256: str, part: float) -> bool:
    """Whether an image is one of the part that fp32 assesses too: by its own bytes, so that a repeat is no new draw.

    Args:
        sha256: of the file, hexadecimal.
        part: of all images, 0 to 1.
    """
    return int(sha256[:8], 16) < part * 2**32


def _height(joint: Joint) -> float | None:
    return None if joint.box_mm is None else round(joint.box_mm[3] - joint.box_mm[1], 1)


def _with_image(entry: Entry, result: Result, radiograph: Radiograph, key: bytes) -> Entry:
    gray = eight_bit_from_radiograph(radiograph)[::SAMPLE_STEP, ::SAMPLE_STEP]
    low, middle, high = (round(float(value), 1) for value in np.percentile(gray, (10, 50, 90)))
    taken, crop = radiograph.acquisition, result.crop_px
    part = None if crop is None else (crop[2] - crop[0]) * (crop[3] - crop[1]) / radiograph.stored.size
    told = taken.equipment
    return dataclasses.replace(
        entry,
        equipment=None if told is None else hmac.new(key, told.encode(), hashlib.sha256).hexdigest()[:12],
        crop_part=None if part is None else round(part, 4),
        gray_low=low,
        gray_middle=middle,
        gray_high=high,
        kvp=taken.kvp,
        exposure_index=taken.exposure_index,
        deviation_index=taken.deviation_index,
    )
