"""From the results of slices to the series that a report holds; from an image to what its result says of a slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

from edge_sacro.decide import Rule, rounded
from edge_sacro.reasons import SERIES_REASONS, SLICE_REASONS
from edge_sacro.report import Result, Series, Slice
from edge_sacro.series import Axes, SeriesAnswer, SeriesSlice, Vector, answer_from_slices
from edge_sacro.slices import SliceSelection
from edge_sacro.types import Radiograph, State

Selection = Literal["joints", "all"]
SELECTIONS: tuple[Selection, ...] = ("joints", "all")
"""Which slices count for a series: those through both joints, or all."""

_OF_STATE = {
    State.POSITIVE: "positive",
    State.BORDERLINE: "borderline",
    State.NEGATIVE: "negative",
    State.NOT_ASSESSABLE: "not_assessable",
}


def slice_from_radiograph(radiograph: Radiograph | None, selection: SliceSelection | None) -> Slice | None:
    """What a result says of a slice; None where the image is none or could not be read."""
    if radiograph is None or radiograph.plane is None:
        return None
    plane = radiograph.plane
    reason = None if selection is None else selection.reason
    return Slice(
        series_instance_uid=plane.series_uid,
        image_position_mm=None if plane.position_mm is None else list(plane.position_mm),
        image_orientation=None if plane.axes is None else list(plane.axes),
        kernel=plane.kernel,
        through_joints=None if selection is None else selection.through_joints,
        reason_code=reason,
        reason=None if reason is None else SLICE_REASONS[reason],
    )


def series_from_results(results: Sequence[Result], rule: Rule, selection: Selection) -> list[Series]:
    """One answer for each Series Instance UID, in the order in which they first occur.

    A slice that names no series has its own result and no part in any. A frame that is refused belongs to the series of
    the other frames of its object; an object that could not be read at all, to none.

    Args:
        results: of one bundle, in the order of the report.
        rule: how the bundle decides; on a series as on a slice.
        selection: which slices count.
    """
    of_object = {each.source.sha256: _uid(each) for each in results if _uid(each) is not None}
    members: dict[str, list[int]] = {}
    for index, result in enumerate(results):
        uid = _uid(result) or (of_object.get(result.source.sha256) if result.source.frame is not None else None)
        if uid is not None:
            members.setdefault(uid, []).append(index)
    return [_series(uid, {n: results[n] for n in places}, rule, selection) for uid, places in members.items()]


def _uid(result: Result) -> str | None:
    return None if result.slice is None else result.slice.series_instance_uid


def _series(uid: str, results: Mapping[int, Result], rule: Rule, selection: Selection) -> Series:
    answer = answer_from_slices([_slice(index, result, selection) for index, result in results.items()])
    probability = None if answer.probability is None else rounded(answer.probability)
    selected = [each.index for each in answer.selected]
    refused = [index for index, result in results.items() if result.state is State.REFUSED]
    counts = {name: sum(results[index].state is state for index in selected) for state, name in _OF_STATE.items()}
    first = next(iter(results.values()))
    largest = answer.largest
    return Series.model_validate(
        {
            "series_instance_uid": uid,
            "system": first.system,
            "probability": probability,
            "operating_point": first.operating_point,
            "selection": selection,
            "slices": [each.index for each in answer.ordered],
            "selected": selected,
            "refused": len(refused),
            "largest": None if largest is None else {"result": largest.index, "probability": largest.probability},
            "distance_mm": answer.distance_mm,
            "notes": _notes(answer, len(refused), selection),
            **counts,
            **_decision(answer, results, probability, rule),
        }
    )


def _slice(index: int, result: Result, selection: Selection) -> SeriesSlice:
    """A slice whose selection is not known counts, so that its missing answer is not passed over."""
    place = result.slice
    position = None if place is None or place.image_position_mm is None else tuple(place.image_position_mm)
    axes = None if place is None or place.image_orientation is None else tuple(place.image_orientation)
    return SeriesSlice(
        index=index,
        state=result.state,
        probability=result.probability,
        selected=selection == "all" or place is None or place.through_joints is not False,
        position_mm=cast("Vector | None", position),
        axes=cast("Axes | None", axes),
        kernel=None if place is None else place.kernel,
    )


def _decision(
    answer: SeriesAnswer, results: Mapping[int, Result], probability: float | None, rule: Rule
) -> dict[str, object]:
    """State, reason, code and remedy."""
    if probability is not None:
        sentence = f"mean of {len(answer.selected)} slices: {rule.sentence(probability)}"
        return {"state": rule.state(probability), "reason": sentence, "reason_code": None, "remedy": None}
    code = answer.reason_code
    if code is not None:
        return {"state": State.NOT_ASSESSABLE, "reason": SERIES_REASONS[code], "reason_code": code, "remedy": None}
    first = results[answer.ordered[0].index]
    return {
        "state": State.REFUSED,
        "reason": f"every slice is refused; the first: {first.reason}",
        "reason_code": first.reason_code,
        "remedy": first.remedy,
    }


def _notes(answer: SeriesAnswer, refused: int, selection: Selection) -> list[str]:
    notes = []
    if selection == "all":
        notes.append("Every slice counts, whether or not it passes through the joints.")
    if refused:
        notes.append(f"{refused} of {len(answer.ordered)} slices are refused and have no part in the answer.")
    return notes
