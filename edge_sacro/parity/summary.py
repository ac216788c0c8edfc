"""From the comparisons of single images to what is true of all of them, the worst ones named."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import numpy as np

from edge_sacro.parity.document import (
    Area,
    Budget,
    Comparison,
    Instance,
    Summary,
    TensorDifference,
    TensorSummary,
    Worst,
)
from edge_sacro.parity.tensors import auc


def summary_from_comparisons(
    comparisons: list[Comparison], instances: Mapping[str, Instance], budget: Budget
) -> Summary:
    """Summarise one contender.

    Args:
        comparisons: of its images.
        instances: by name, for the reference's probabilities and the truth.
        budget: says how many pairs an area needs to be judged.
    """
    moves = [
        Worst(value=difference, instance=each.instance)
        for each in comparisons
        for difference in each.probability_differences.values()
    ]
    boxes = [Worst(value=iou, instance=each.instance) for each in comparisons for iou in each.box_iou.values()]
    maps = [
        Worst(value=tensor.correlation, instance=each.instance)
        for each in comparisons
        for tensor in each.tensors
        if tensor.correlation is not None
    ]
    kinds = [flip.kind for each in comparisons for flip in each.flips]
    return Summary(
        instances=len(comparisons),
        with_probability=sum(bool(each.probability_differences) for each in comparisons),
        probability=max(moves, key=lambda worst: abs(worst.value), default=None),
        probability_median=statistics.median(abs(move.value) for move in moves) if moves else None,
        area=_area(comparisons, instances, budget),
        box_iou=min(boxes, key=_value, default=None),
        explanation=min(maps, key=_value, default=None),
        flips_outside=kinds.count("outside"),
        flips_inside=kinds.count("inside"),
        disagreements=sum(each.disagreement is not None for each in comparisons),
        tensors=_tensors(comparisons),
    )


def _value(worst: Worst) -> float:
    return worst.value


def _area(comparisons: list[Comparison], instances: Mapping[str, Instance], budget: Budget) -> Area | None:
    """Both areas, where truth is known and both classes are there."""
    rows = []
    for each in comparisons:
        instance = instances[each.instance]
        if instance.truth is not None and "image" in each.probability_differences:
            before, after = (answer.probabilities["image"] for answer in (instance.reference, each.answer))
            rows.append((before, after, instance.truth))
    truth = np.array([row[2] for row in rows], bool)
    pairs = int(truth.sum()) * int((~truth).sum())
    if pairs == 0:
        return None
    reference, contender = (auc(np.array([row[column] for row in rows]), truth) for column in (0, 1))
    return Area(
        reference=reference,
        contender=contender,
        difference=contender - reference,
        pairs=pairs,
        judged=pairs >= budget.auc_pairs,
    )


def _tensors(comparisons: list[Comparison]) -> list[TensorSummary]:
    def worst(choose: Callable[..., Worst], values: Iterable[tuple[float, str]]) -> Worst:
        return choose((Worst(value=value, instance=instance) for value, instance in values), key=_value)

    found: dict[tuple[str, str, Literal["input", "output"]], list[tuple[TensorDifference, str]]] = {}
    for each in comparisons:
        for tensor in each.tensors:
            found.setdefault((tensor.network, tensor.tensor, tensor.role), []).append((tensor, each.instance))
    return [
        TensorSummary(
            network=network,
            tensor=name,
            role=role,
            max_abs=worst(max, ((tensor.max_abs, instance) for tensor, instance in rows)),
            relative_rms=worst(max, ((tensor.relative_rms, instance) for tensor, instance in rows)),
            cosine=worst(min, ((tensor.cosine, instance) for tensor, instance in rows)),
        )
        for (network, name, role), rows in found.items()
    ]
