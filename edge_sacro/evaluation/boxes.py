"""How well joints are found: overlap with the true boxes, and mean average precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edge_sacro.evaluation.detection import OVERLAPS, Detection, Truth, mean_average_precision
from edge_sacro.evaluation.document import Measure
from edge_sacro.evaluation.measures import proportion
from edge_sacro.evaluation.predictions import Case

CLASSES = ("normal", "sacroiliitis")
SIDES_NOTE = "classes are the patient's sides: how well joints are found, whatever they show"
CLASSES_NOTE = f"classes are {' and '.join(CLASSES)}, each box in both with the class's probability"


def measures_from_boxes(joints: Sequence[Case]) -> list[Measure]:
    """Overlaps and average precision over joints.

    A joint without a true box is left out; one that was not found counts with an overlap of 0.

    Args:
        joints: cases with a side.

    Returns:
        empty where no joint has a true box, or none was found a box for at all, so that nothing tells that joints
        were looked for.
    """
    known = [joint for joint in joints if joint.truth_box is not None]
    if not any(joint.box is not None for joint in known):
        return []
    overlaps = [
        0.0 if joint.box is None or joint.truth_box is None else joint.box.iou(joint.truth_box) for joint in known
    ]
    found = [
        Measure(quantity="mean IoU", value=float(np.mean(overlaps))),
        proportion("joints found, IoU 0.5 or more", sum(overlap >= 0.5 for overlap in overlaps), len(overlaps)),
        *_precision(known, " of sides", _of_sides, SIDES_NOTE),
    ]
    if all(joint.score is not None for joint in known if joint.box is not None):
        found += _precision(known, "", _of_classes, CLASSES_NOTE)
    return found


Labelled = tuple[list[Detection], list[Truth]]


def _precision(
    known: Sequence[Case], of: str, labelled: Callable[[Sequence[Case]], Labelled], note: str
) -> list[Measure]:
    found, truth = labelled(known)
    rows = (
        (f"mAP{of} at IoU 0.5", mean_average_precision(found, truth, (0.5,)), "COCO's 101 recalls"),
        (f"mAP{of} over IoU 0.5 to 0.95", mean_average_precision(found, truth, OVERLAPS), "COCO's 101 recalls"),
        (f"mAP{of} at IoU 0.5, all points", mean_average_precision(found, truth, (0.5,), "all-points"), "VOC's area"),
    )
    return [Measure(quantity=name, value=value, note=f"{rule}; {note}") for name, value, rule in rows]


def _of_sides(known: Sequence[Case]) -> Labelled:
    found = [Detection(each.id, each.side or "", each.box, each.box_score) for each in known if each.box is not None]
    truth = [Truth(each.id, each.side or "", each.truth_box) for each in known if each.truth_box is not None]
    return found, truth


def _of_classes(known: Sequence[Case]) -> Labelled:
    """Each found box once in either class, as a detector's scores of both classes do."""
    found = [
        Detection(each.id, label, each.box, probability)
        for each in known
        if each.box is not None and each.score is not None
        for label, probability in zip(CLASSES, (1 - each.score, each.score), strict=True)
    ]
    truth = [Truth(each.id, CLASSES[each.truth], each.truth_box) for each in known if each.truth_box is not None]
    return found, truth
