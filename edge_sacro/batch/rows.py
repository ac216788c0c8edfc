"""A result -> a row of the table, and the row of an instance that had to be set aside."""

from __future__ import annotations

from typing import Any

from edge_sacro.batch.tasks import Row, Told
from edge_sacro.report import Result

SET_ASIDE = "set_aside"
"""State of an instance that took its worker down twice: no answer, and no guess."""

REASONS = {
    "worker_died": "the process that assessed it died, twice, the second time with no other work on that engine",
    "instance_limit": "it took longer than the batch's limit for one instance, twice",
    "worker_memory": "the process that assessed it took more memory than the batch's limit, twice",
}
"""Why an instance was set aside, where no error says it. The same words whichever engine ran."""

_BOXES = ("box_px", "box_mm")
_SLICE = ("series_instance_uid", "image_position_mm", "image_orientation", "kernel", "through_joints")
_EMPTY: Row = {
    "remedy": None,
    "probability": None,
    "high_risk": None,
    "crop_px": None,
    **{f"{side}_{field}": None for side in ("left", "right") for field in ("state", "reason", "probability", *_BOXES)},
    "notes": [],
    **dict.fromkeys(_SLICE),
    "slice_reason_code": None,
    "slice_reason": None,
}


def row_from_result(result: Result) -> Row:
    """Every field of a result that is the same from run to run, its path apart."""
    fields: dict[str, Any] = result.model_dump(mode="json", exclude={"timings_ms"})
    source, point, backend, plane = (fields[key] for key in ("source", "operating_point", "backend", "slice"))
    row = {name: fields[name] for name in ("system", "state", "reason", "reason_code", "remedy", "probability")}
    row |= {name: source[name] for name in ("sha256", "frame", "sop_instance_uid")}
    row |= {"operating_point": point["name"], "threshold": point["threshold"]}
    row |= {name: fields[name] for name in ("high_risk", "crop_px", "notes")}
    for side in ("left", "right"):
        row |= {f"{side}_{name}": value for name, value in fields["joints"][side].items()}
    plane = plane or {}
    row |= {name: plane.get(name) for name in _SLICE}
    row |= {f"slice_{name}": plane.get(name) for name in ("reason_code", "reason")}
    return row | {
        "backend": backend["name"],
        "backend_version": backend["version"],
        "processor": backend["processor"],
        "precision": backend["precision"],
    }


def row_set_aside(sha256: str | None, code: str, reason: str, told: Told) -> Row:
    """The row of an instance that no worker could answer.

    Args:
        sha256: of its bytes; None where they are not known.
        code: of ``REASONS``, or an error's.
        reason: in a sentence.
        told: what the workers run.
    """
    return {
        **_EMPTY,
        "sha256": sha256,
        "frame": None,
        "sop_instance_uid": None,
        "system": None,
        "state": SET_ASIDE,
        "reason": reason,
        "reason_code": code,
        "operating_point": None,
        "threshold": None,
        "backend": told.backend["name"],
        "backend_version": told.backend["version"],
        "processor": None,
        "precision": told.backend["precision"],
    }
