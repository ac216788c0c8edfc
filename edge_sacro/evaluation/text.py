"""The evaluation for a person at a terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_sacro.evaluation.document import Comparison, Document, Measure
from edge_sacro.evaluation.noninferiority import Standing
from edge_sacro.evaluation.words import (
    OTHER_COHORT,
    chance,
    comparison_sentence,
    difference_of,
    ends,
    head_from_part,
    published_of,
    standing_of,
    value_of,
    verdict_from_document,
)

_NARROWEST = 140
_STYLE = {Standing.WITHIN.value: "green", Standing.BEYOND.value: "bold red"}


def text_from_document(document: Document) -> str:
    """A table for images and one for joints, the verdict in a sentence; colour on a terminal alone."""
    terminal = sys.stdout.isatty()
    width = max(Console().width if terminal else _NARROWEST, _NARROWEST)
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=terminal, width=width, highlight=False)
    for part in document.parts:
        console.print(Text(head_from_part(part)))
        _print_measures(console, part.measures, document)
        if part.comparison is not None:
            _compare(console, part.comparison)
        console.print()
    if document.boxes:
        console.print(Text("Boxes of joints:"))
        _print_measures(console, document.boxes, document)
        console.print()
    for note in document.notes:
        console.print(Text(note))
    verdict = verdict_from_document(document)
    if verdict:
        console.print(Text(verdict, "bold"))
        console.print(Text(OTHER_COHORT))
        if document.reference is not None and document.reference.note:
            console.print(Text(f"Note: {document.reference.note}."))
    elif document.simulated is not None:
        console.print(Text(f"Of no patient: {document.simulated}.", "bold"))
    return buffer.getvalue()


def _print_measures(console: Console, measures: Sequence[Measure], document: Document) -> None:
    """The table, and below it what a reader of some of its figures must know."""
    console.print(_table(measures, _STYLE if document.simulated is None else {}))
    notes: dict[str, list[str]] = {}
    for measure in measures:
        for note in filter(None, (measure.note, measure.published.note if measure.published else "")):
            notes.setdefault(note, []).append(measure.quantity)
    for note, quantities in notes.items():
        console.print(Text(f"  {', '.join(quantities)}: {note}"))


def _table(measures: Sequence[Measure], styles: Mapping[str, str]) -> Table:
    beside = any(measure.published for measure in measures)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    heads = ("published", "difference", "beside the margin") if beside else ()
    for heading in ("figure", "value", "95 % interval", *heads):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"95 % interval", "published", "difference"})
    for measure in measures:
        first = ends(measure.intervals[0]) if measure.intervals else ""
        cells: list[str | Text] = [measure.quantity, value_of(measure), first]
        if beside:
            standing = standing_of(measure)
            cells += [published_of(measure), difference_of(measure), Text(standing, styles.get(standing, ""))]
        table.add_row(*cells)
    return table


def _compare(console: Console, comparison: Comparison) -> None:
    console.print(Text(comparison_sentence(comparison)))
    for each in comparison.mcnemar:
        cases = "all cases" if each.among == "all" else f"{each.among} cases"
        console.print(
            Text(
                f"  {cases}: {each.only_first} right by this model alone, {each.only_second} by the other alone, "
                f"p {chance(each.p)} (McNemar, exact)"
            )
        )
