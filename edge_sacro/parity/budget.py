"""The budget: how far a precision may be from the reference, as a table, and what of it is broken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edge_sacro.errors import InputNotFound, UsageError
from edge_sacro.manifest import Precision
from edge_sacro.parity.document import Breach, Budget, Comparison, Summary

Budgets = Mapping[Precision, Budget]

BUDGETS: dict[Precision, Budget] = {
    "fp32": Budget(
        probability=0.005, auc=0.005, auc_pairs=200, box_iou=0.98, explanation=0.99, flips=0, disagreements=0
    ),
    "fp16": Budget(
        probability=0.01, auc=0.005, auc_pairs=200, box_iou=0.95, explanation=0.97, flips=0, disagreements=0
    ),
    "int8": Budget(
        probability=0.02, auc=0.005, auc_pairs=200, box_iou=0.90, explanation=0.90, flips=0, disagreements=0
    ),
}
"""Our own table. Its anchors: a probability moves by less than half of the guard band that we have measured (0.055);
the area under the curve by a third of its standard error (0.016 for 0.95 on 100 + 100 images; Hanley and McNeil 1982);
no answer turns to its opposite. Vendors in single precision differ by rounding alone (below 1e-5 of a logit), until a
pixel at a bone's edge changes its label."""


def budgets_from_file(path: str) -> Budgets:
    """Read a budget: a JSON object with a row for each precision, with all of :class:`Budget`'s keys.

    Raises:
        InputNotFound: it cannot be read.
        UsageError: it is not such a table; the message names each place.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputNotFound(f"{error.strerror}", source=path) from error
    try:
        return TypeAdapter(dict[Precision, Budget]).validate_json(content)
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors())
        raise UsageError(f"it is no budget: {places}", source=path) from error


def budget_for(budgets: Budgets, precision: Precision) -> Budget:
    """The row of a precision.

    Raises:
        UsageError: there is none: what has no budget is not measured against nothing.
    """
    if precision not in budgets:
        raise UsageError(f"the budget has no row for {precision}", source="budget")
    return budgets[precision]


def breaches(budget: Budget, summary: Summary, comparisons: list[Comparison], failure: str | None) -> list[Breach]:
    """Each line of the budget that is broken, with the value, the limit and the image that shows it."""
    found = []
    if failure is not None:
        found.append(Breach(measure="failure", sentence=failure))
    if summary.with_probability == 0:
        sentence = "no image gave a probability with both, so that nothing was compared"
        found.append(Breach(measure="nothing_compared", sentence=sentence))
    worst = summary.probability
    if worst is not None and abs(worst.value) > budget.probability:
        sentence = (
            f"a probability differs by {abs(worst.value):.4f}, {budget.probability:g} is allowed: {worst.instance}"
        )
        found.append(Breach(measure="probability", sentence=sentence))
    area = summary.area
    if area is not None and area.judged and abs(area.difference) > budget.auc:
        sentence = f"the area under the ROC curve differs by {area.difference:+.4f}, {budget.auc:g} is allowed"
        found.append(Breach(measure="auc", sentence=sentence))
    for measure, what, least, low in (
        ("box_iou", "a box overlaps the reference's by", budget.box_iou, summary.box_iou),
        ("explanation", "an explanation correlates with the reference's by", budget.explanation, summary.explanation),
    ):
        if low is not None and low.value < least:
            sentence = f"{what} {low.value:.3f}, {least:g} is the least: {low.instance}"
            found.append(Breach(measure=measure, sentence=sentence))
    if summary.flips_outside > budget.flips:
        places = [flip for each in comparisons for flip in each.flips if flip.kind == "outside"]
        named = "; ".join(
            f"{flip.instance} at {flip.operating_point} ({flip.reference:.4f} and {flip.contender:.4f})"
            for flip in places[:3]
        )
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        sentence = (
            f"{summary.flips_outside} decisions turn to their opposite, {budget.flips} are allowed: {named}{more}"
        )
        found.append(Breach(measure="flips", sentence=sentence))
    if summary.disagreements > budget.disagreements:
        sentences = [f"{each.instance}: {each.disagreement}" for each in comparisons if each.disagreement]
        more = f" and {len(sentences) - 3} more" if len(sentences) > 3 else ""
        found.append(Breach(measure="disagreements", sentence="; ".join(sentences[:3]) + more))
    return found
