"""The evaluation as one HTML page, made of the parity report's parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from edge_sacro.evaluation.document import Curves, Document, Measure, Part
from edge_sacro.evaluation.noninferiority import Standing
from edge_sacro.evaluation.words import (
    OTHER_COHORT,
    chance,
    comparison_sentence,
    difference_of,
    ends,
    head_from_part,
    number,
    published_of,
    verdict_from_document,
)
from edge_sacro.parity.page import Cell, page, plotted, section, table
from edge_sacro.parity.svg import Axis, Plot, Series

_COLOUR = {Standing.WITHIN: "good", Standing.BEYOND: "bad", Standing.OPEN: ""}


def html_from_document(document: Document) -> str:
    """The whole page."""
    parts = [
        f"<h1>Evaluation of {escape(document.model)}</h1>",
        f'<p class="note">{escape(_origin(document))}</p>',
        _verdict(document),
    ]
    for part in document.parts:
        parts += _of_part(part, document)
    if document.boxes:
        parts.append(section("Boxes of joints", _measures_table(document.boxes, document), ""))
    if document.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in document.notes)
        parts.append(section("Notes", f"<ul>{items}</ul>", ""))
    return page(f"Evaluation: {document.model}", parts)


def _origin(document: Document) -> str:
    bundle = document.bundle
    made = f"{bundle.statement} System {bundle.system}, {bundle.backend}, {bundle.precision}. " if bundle else ""
    return (
        f"{made}From {document.source}; edge-sacro {document.software.version}. All intervals are of 95 %; bootstrap: "
        f"{document.resamples} resamples of patients, seed {document.seed}."
    )


def _verdict(document: Document) -> str:
    """The AUC beside the published one. Simulated images never stand in green."""
    sentence = verdict_from_document(document)
    if not sentence or document.reference is None:
        simulated = f"Of no patient: {document.simulated}." if document.simulated else ""
        return f'<div class="verdict bad"><strong>{escape(simulated)}</strong></div>' if simulated else ""
    primary = document.primary()
    standing = primary.published.standing if primary and primary.published else None
    good = standing is Standing.WITHIN and document.simulated is None
    note = f"Note: {document.reference.note}." if document.reference.note else ""
    return (
        f'<div class="verdict {"good" if good else "bad"}"><strong>{escape(sentence)}</strong>'
        f"<p>{escape(document.reference.citation)}. {escape(OTHER_COHORT)} {escape(note)}</p></div>"
    )


def _of_part(part: Part, document: Document) -> list[str]:
    title = {"image": "Images", "joint": "Joints"}[part.level]
    roc = _roc(part, document)
    marked = roc is not None and any(each.labels for each in roc.series)
    found = [
        section(title, _measures_table(part.measures, document), head_from_part(part)),
        plotted(
            f"{title}: ROC curve",
            roc,
            f"One step a score.{' A mark: decisions, read by pointing at it.' if marked else ''}",
        ),
        plotted(f"{title}: precision over recall", _precision_recall(part, document), "One point a score."),
    ]
    if part.comparison is not None:
        comparison = part.comparison
        rows = [(d.among, str(d.only_first), str(d.only_second), chance(d.p)) for d in comparison.mcnemar]
        heads = ("cases", f"only {document.model} is right", f"only {comparison.name} is right", "p, McNemar, exact")
        body = table(heads, rows) if rows else "<p>No decisions to compare.</p>"
        found.append(section(f"{title}: against {comparison.name}", body, comparison_sentence(comparison)))
    return found


def _measures_table(measures: Sequence[Measure], document: Document) -> str:
    rows: list[list[Cell]] = []
    beside = any(measure.published for measure in measures)
    for measure in measures:
        intervals = "\n".join(f"{ends(each)} {each.method}" for each in measure.intervals) or "–"
        counts = "" if measure.counts is None else f"{measure.counts[0]} of {measure.counts[1]}"
        below = "; ".join(filter(None, (counts, measure.note)))
        row: list[Cell] = [measure.quantity, f"{number(measure.value)}\n{below}", intervals]
        if beside:
            row += _published_cells(measure, document.simulated is None)
        rows.append(row)
    heads = ["figure", "value", "95 % interval"]
    return table([*heads, "published", "difference", "beside the margin"] if beside else heads, rows)


def _published_cells(measure: Measure, coloured: bool) -> list[Cell]:
    published = measure.published
    if published is None:
        return ["", "", ""]
    method = f", {published.interval.method}" if published.interval else ""
    notes = f"{published.place}{method}{'; ' if published.note else ''}{published.note}"
    standing = published.standing
    word = "not judged" if standing is None else standing.value
    return [
        f"{published_of(measure)}\n{notes}",
        difference_of(measure),
        (word, _COLOUR[standing]) if coloured and standing is not None and _COLOUR[standing] else word,
    ]


def _roc(part: Part, document: Document) -> Plot | None:
    if part.curves is None:
        return None
    series = [Series(document.model, part.curves.roc, line=True), *_other(part, "roc")]
    measured = {each.quantity: each.value for each in part.measures if each.value is not None}
    series += _decisions("decisions here", measured)
    if document.reference is not None:
        published = {each.quantity: each.published.value for each in part.measures if each.published}
        series += _decisions(f"{document.reference.name}, published", published)
    across, up = Axis("1 - specificity", 0.0, 1.0), Axis("sensitivity", 0.0, 1.0)
    return Plot(title=f"ROC curve, {part.cases} {part.level}s", x=across, y=up, series=series)


def _decisions(name: str, figures: Mapping[str, float]) -> list[Series]:
    """A mark at the decisions' sensitivity and specificity, where there are both."""
    if not {"sensitivity", "specificity"} <= set(figures):
        return []
    sensitivity, specificity = figures["sensitivity"], figures["specificity"]
    label = f"{name}: sensitivity {number(sensitivity)}, specificity {number(specificity)}"
    return [Series(name, [(1 - specificity, sensitivity)], [label])]


def _precision_recall(part: Part, document: Document) -> Plot | None:
    if part.curves is None:
        return None
    share = part.positive / part.cases
    return Plot(
        title=f"Precision over recall, {part.cases} {part.level}s",
        x=Axis("recall, which is sensitivity", 0.0, 1.0),
        y=Axis("precision", 0.0, 1.0),
        series=[Series(document.model, part.curves.precision_recall, line=True), *_other(part, "precision_recall")],
        horizontals=[(share, f"share of positives {share:.2f}")],
    )


def _other(part: Part, curve: str) -> list[Series]:
    comparison = part.comparison
    if comparison is None or not isinstance(comparison.curves, Curves):
        return []
    return [Series(comparison.name, getattr(comparison.curves, curve), line=True)]
