"""The ledger's state as text, as a document and as one HTML page with its plots."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from html import escape

from edge_sacro.ledger.entry import Entry
from edge_sacro.ledger.trend import LEAST, MEASURES, Trend, Trends
from edge_sacro.parity.page import page, plotted, section, table
from edge_sacro.parity.svg import Axis, Plot, Series

NOTE = (
    "The first lines of the bundle are held against the latest. A warning says that something changed, not that an "
    "answer is wrong; silence does not say that answers are right."
)
_PLOTTED = frozenset({"probability", "height of the left joint", "gray, median", "exposure index", "time"})


def json_from_trends(trends: Trends) -> str:
    """Canonical JSON."""
    return json.dumps(dataclasses.asdict(trends), sort_keys=True, indent=2) + "\n"


def text_from_trends(trends: Trends) -> str:
    """For a terminal."""
    lines = [f"{trends.lines} lines of the bundle {(trends.bundle or 'none')[:12]}"]
    if trends.measures:
        rows = [("measure", "before", "now", "effect", "p", ""), *map(_row, trends.measures)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
    else:
        lines.append(f"Too few lines to compare: {LEAST} after the reference are the least.")
    if trends.shadow is not None:
        shadow = trends.shadow
        lines.append(
            f"fp32 beside it on {shadow.images} images: differs by {shadow.mean:.4f} on average, "
            f"{shadow.largest:.4f} at most; {shadow.turned} on the other side of the cut-off"
        )
    lines += [f"WARNING: {warning}" for warning in trends.warnings]
    if trends.measures and not trends.warnings:
        lines.append("Nothing changed that was looked at.")
    return "\n".join(lines) + "\n"


def html_from_trends(trends: Trends, entries: Sequence[Entry]) -> str:
    """The whole page."""
    kind = "bad" if trends.warnings else "good"
    told = "".join(f"<li>{escape(each)}</li>" for each in trends.warnings)
    nothing = "Nothing changed that was looked at." if trends.measures else "Too few lines to say anything."
    said = f"<strong>Something changed.</strong><ul>{told}</ul>" if told else f"<strong>{nothing}</strong>"
    heads = ("measure", "before", "now", "effect", "p", "")
    rows = [tuple((cell, "bad" if each.warns else "") for cell in _row(each)) for each in trends.measures]
    own = [each for each in entries if each.bundle == trends.bundle]
    parts = [
        "<h1>Ledger of drift</h1>",
        f'<p class="note">{trends.lines} lines of the bundle {escape((trends.bundle or "none")[:16])}. {NOTE}</p>',
        f'<div class="verdict {kind}">{said}</div>',
        section("Measures, before and now", table(heads, rows) if rows else "<p>Too few lines.</p>", ""),
        *(
            plotted(measure.name, _plot(measure.name, own), "One mark an image.")
            for measure in MEASURES
            if measure.name in _PLOTTED
        ),
    ]
    return page("Ledger of drift", parts)


def _row(trend: Trend) -> tuple[str, ...]:
    if trend.kind == "rate":
        shown = f"{trend.reference:.1%}", f"{trend.recent:.1%}", f"{trend.effect:+.1%}"
    else:
        unit = f" {trend.unit}" if trend.unit else ""
        shown = f"{trend.reference:.4g}{unit}", f"{trend.recent:.4g}{unit}", f"{trend.effect:.2f}"
    return trend.name, *shown, f"{trend.p:.1g}", "WARNS" if trend.warns else ""


def _plot(name: str, entries: Sequence[Entry]) -> Plot | None:
    """One mark a line; None where no line has the measure."""
    measure = next(each for each in MEASURES if each.name == name)
    points = [(float(index), value) for index, each in enumerate(entries) if (value := measure.value(each)) is not None]
    if not points:
        return None
    low, high = min(y for _, y in points), max(y for _, y in points)
    margin = (high - low) / 10 or 1.0
    labels = [f"{entries[int(x)].day}: {y:.4g}" for x, y in points]
    return Plot(
        title=name,
        x=Axis("line of the ledger", 0.0, max(float(len(entries) - 1), 1.0)),
        y=Axis(f"{name}{f', {measure.unit}' if measure.unit else ''}", low - margin, high + margin),
        series=[Series("one image", points, labels)],
    )
