"""What a person at a terminal sees: a progress bar while it runs, then a table and its explanation."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from edge_sacro.report import Joint, Report, Result, Series
from edge_sacro.types import State

Item = TypeVar("Item")

_STYLE = {
    State.POSITIVE: "bold red",
    State.NEGATIVE: "bold green",
    State.BORDERLINE: "bold yellow",
    State.NOT_ASSESSABLE: "bold",
    State.REFUSED: "bold",
}
_NARROWEST = 100


def with_progress(items: Sequence[Item]) -> Iterable[Item]:
    """The items, with a progress bar on standard error where that is a terminal and there are several."""
    if len(items) < 2 or not sys.stderr.isatty():
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("radiographs", total=len(items))
        for item in items:
            yield item
            progress.advance(task)


def text_from_report(report: Report) -> str:
    """The report as a table, then a line of explanation for each result, with colour on a terminal alone."""
    terminal = sys.stdout.isatty()
    width = Console().width if terminal else _NARROWEST
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=terminal, width=max(width, _NARROWEST), highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("radiograph", "state", "probability", "left joint, px", "right joint, px"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "probability" else "left")
    names = _names(report.results)
    for name, result in zip(names, report.results, strict=True):
        table.add_row(
            name,
            Text(result.state.value.replace("_", " "), _STYLE[result.state]),
            "" if result.probability is None else f"{result.probability:.4f}",
            _joint(result.joints.left),
            _joint(result.joints.right),
        )
    console.print(table)
    console.print()
    for name, result in zip(names, report.results, strict=True):
        _explain(console, name, result)
    for series in report.series:
        _series(console, names, series)
    for ignored in report.ignored:
        console.print(Text(f"{ignored.path}: left out, {ignored.reason}"))
    console.print(Text(report.bundle.statement, "bold" if report.bundle.demonstration else ""))
    return buffer.getvalue()


def _names(results: Sequence[Result]) -> list[str]:
    """The paths without the folder that all of them share, with the frame's number where there are several."""
    paths = [result.source.path for result in results]
    folder = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]) if paths else ""  # noqa: PTH100, PTH120
    short = [os.path.relpath(path, folder) if len(folder) > 1 else path for path in paths]
    frames = [result.source.frame for result in results]
    return [name if frame is None else f"{name} frame {frame}" for name, frame in zip(short, frames, strict=True)]


def _joint(joint: Joint) -> str:
    state = joint.state.value.replace("_", " ")
    if joint.box_px is None:
        return state
    return f"{joint.box_px}" if joint.state is State.LOCATED else f"{state} {joint.box_px}"


def _series(console: Console, names: Sequence[str], series: Series) -> None:
    """One line for the answer, one for the slices it comes from, one for each note."""
    code = f" [{series.reason_code}]" if series.reason_code else ""
    state = series.state.value.replace("_", " ")
    told = " ".join(f"{sentence.rstrip('.')}." for sentence in (series.reason + code, series.remedy) if sentence)
    line = Text(f"series {series.series_instance_uid}: ")
    console.print(line.append(state, _STYLE[series.state]).append(f": {told}"))
    counted = f"{len(series.selected)} of {len(series.slices)} slices count, {series.positive} of them positive"
    largest = series.largest
    most = "" if largest is None else f"; the largest is {largest.probability:.4f}, {names[largest.result]}"
    console.print(Text(f"  {counted}{most}"))
    for note in series.notes:
        console.print(Text(f"  note: {note}"))


def _explain(console: Console, name: str, result: Result) -> None:
    code = f" [{result.reason_code}]" if result.reason_code else ""
    sentences = [f"{result.reason}{code}"]
    if result.remedy:
        sentences.append(result.remedy)
    if result.slice is not None and result.slice.through_joints is False:
        sentences.append(f"Not through the joints: {result.slice.reason} [{result.slice.reason_code}]")
    if result.high_risk:
        sentences.append("High risk by the follow-up analysis: probability above 0.7.")
    console.print(Text(f"{name}: {'. '.join(s.rstrip('.') for s in sentences)}."))
    for note in result.notes:
        console.print(Text(f"  note: {note}"))
