"""The words and numbers that the terminal and the page share."""

from __future__ import annotations

from edge_sacro.evaluation.document import Comparison, Document, Ends, Measure, Part
from edge_sacro.evaluation.noninferiority import Standing

OTHER_COHORT = (
    "The published figure is of other images, other readers and perhaps another share of disease: a difference may "
    "come from them and not from the model."
)
NO_CLINIC = "This cannot show clinical non-inferiority"

_SENTENCES = {
    Standing.WITHIN: "is not inferior to",
    Standing.BEYOND: "is inferior to",
    Standing.OPEN: "is not shown to be non-inferior to",
}
_SIMULATED = {
    Standing.WITHIN: "lies within",
    Standing.BEYOND: "lies below",
    Standing.OPEN: "is not shown to lie within",
}


def verdict_from_document(document: Document) -> str:
    """What the AUC beside the published one comes to; empty where there is none."""
    measure = document.primary()
    if measure is None or measure.published is None or document.reference is None or measure.value is None:
        return ""
    published, named = measure.published, document.reference.name
    standing = published.standing or Standing.OPEN
    if document.simulated is None:
        words = (
            f"{_SENTENCES[standing]} the published {published.value:.3f} of {named} by the margin {document.margin:g}"
        )
    else:
        words = (
            f"{_SIMULATED[standing]} the margin {document.margin:g} of the published {published.value:.3f} of {named}"
        )
    between = ends(published.difference_interval)
    sentence = f"The AUC {number(measure.value)} {words}: difference {published.difference:+.4f}, 95 % {between}"
    if published.standing is None:
        sentence += "; there is no interval to judge by"
    if document.simulated is not None:
        sentence += f". {NO_CLINIC}: {document.simulated}"
    return f"{sentence}."


def head_from_part(part: Part) -> str:
    """How many cases, how they were decided, and what has no score."""
    negative = part.cases - part.positive
    of = f"{part.cases} {part.level}s of {part.patients} patients, {part.positive} positive and {negative} negative"
    unscored = part.unscored_positive + part.unscored_negative
    left = (
        f"; {unscored} without a score are in no figure, {part.unscored_positive} of them positive" if unscored else ""
    )
    return f"{of}{left}. Decisions: {part.rule}."


def value_of(measure: Measure) -> str:
    """The value, with counts of a proportion."""
    counts = "" if measure.counts is None else f" ({measure.counts[0]} of {measure.counts[1]})"
    return f"{number(measure.value)}{counts}"


def published_of(measure: Measure) -> str:
    """The published value, with its interval."""
    if measure.published is None:
        return ""
    published = measure.published
    return f"{published.value:.3f} {ends(published.interval)}".strip()


def difference_of(measure: Measure) -> str:
    """Measured less published, with its interval."""
    if measure.published is None:
        return ""
    return f"{measure.published.difference:+.3f} {ends(measure.published.difference_interval)}".strip()


def standing_of(measure: Measure) -> str:
    """Where the difference lies beside the margin."""
    standing = None if measure.published is None else measure.published.standing
    return "" if standing is None else standing.value


def comparison_sentence(comparison: Comparison) -> str:
    """Both areas, their difference and its test."""
    if comparison.difference is None:
        return f"{comparison.name}: {comparison.cases} cases of both models are too few to compare areas."
    p = "no p, the difference has no spread" if comparison.p is None else f"p {chance(comparison.p)} (DeLong, paired)"
    intervals = ", ".join(f"{ends(each)} {each.method}" for each in comparison.intervals)
    left = f"; {comparison.left_out} cases that it has no score for are left out" if comparison.left_out else ""
    return (
        f"AUC {number(comparison.auc)} against {number(comparison.other_auc)} of {comparison.name} on "
        f"{comparison.cases} cases: difference {comparison.difference:+.4f}, 95 % {intervals}, {p}{left}."
    )


def number(value: float | None) -> str:
    """Four decimals, or a dash."""
    return "–" if value is None else f"{value:.4f}"


def chance(p: float) -> str:
    """A p value, never rounded to 0."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def ends(interval: Ends | None) -> str:
    """Both ends; empty where there is no interval."""
    return "" if interval is None else f"[{interval.low:.3f}, {interval.high:.3f}]"
