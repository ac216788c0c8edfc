"""The parity document for a person at a terminal."""

from __future__ import annotations

import io
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_sacro.parity.document import Contender, Document, Worst

_NARROWEST = 110


def text_from_document(document: Document) -> str:
    """A line for each contender, what is broken in sentences, what was left out; colour on a terminal alone."""
    terminal = sys.stdout.isatty()
    width = max(Console().width if terminal else _NARROWEST, _NARROWEST)
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=terminal, width=width, highlight=False)
    reference = document.reference
    console.print(Text(f"Against {reference.backend}:{reference.precision}, {len(document.instances)} images:"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in (
        "contender",
        "budget",
        "largest change",
        "AUC",
        "box overlap",
        "flips",
        "in band",
        "not assessable",
    ):
        table.add_column(heading, justify="left" if heading in {"contender", "budget"} else "right")
    for contender in document.contenders:
        table.add_row(*_cells(contender))
    console.print(table)
    console.print()
    for contender in document.contenders:
        for breach in contender.breaches:
            console.print(Text(f"{contender.name}: {breach.sentence}"))
    for each in document.left_out:
        console.print(Text(f"{each.name}: left out, {each.reason}"))
    if document.ignored:
        console.print(Text(f"{len(document.ignored)} other files were left aside; the JSON report names them"))
    if document.control:
        console.print(Text(f"Negative control, wrong on purpose: {document.control}", "bold"))
    console.print(Text(document.bundle.statement, "bold" if document.bundle.demonstration else ""))
    return buffer.getvalue()


def _cells(contender: Contender) -> list[str | Text]:
    summary = contender.summary
    area = summary.area
    broken = bool(contender.breaches)
    return [
        contender.name,
        Text("broken" if broken else "holds", "bold red" if broken else "bold green"),
        _value(summary.probability, "{:+.4f}"),
        "" if area is None else f"{area.difference:+.4f}{'' if area.judged else ' (few)'}",
        _value(summary.box_iou, "{:.3f}"),
        str(summary.flips_outside),
        str(summary.flips_inside),
        str(summary.disagreements),
    ]


def _value(worst: Worst | None, shape: str) -> str:
    return "" if worst is None else shape.format(worst.value)
