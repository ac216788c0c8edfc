"""``edge-sacro reference``: the papers' figures, and what their other figures make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_sacro.commands import exits_with_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_sacro.reference import Figure, Finding, Paper

VERDICTS = ("agreement", "rounding", "contradiction", "not determined")
NARROWEST = 160


@click.group(short_help="The papers' figures, and what contradicts them.")
def reference() -> None:
    """Show the published figures of the systems' papers and recompute them from one another."""


@reference.command()
@click.option("--paper", "papers", multiple=True, metavar="NAME", help="One paper; may be repeated.  [default: all]")
@click.option("--only", multiple=True, type=click.Choice(VERDICTS), help="Findings to list.  [default: all determined]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the table.")
@click.option("--markdown", is_flag=True, help="Print Markdown tables, as docs/reference-metrics.md has them.")
@exits_with_code
def verify(papers: tuple[str, ...], only: tuple[str, ...], as_json: bool, markdown: bool) -> None:
    """Recompute every figure that another published figure determines.

    A contradiction is the papers', so that the exit code stays 0; another one means that the data here are broken.
    """
    import json
    from dataclasses import asdict

    from edge_sacro.errors import InternalError
    from edge_sacro.reference import verify as findings_of

    chosen = [_paper(name) for name in papers] or _all_papers()
    try:
        found = [finding for paper in chosen for finding in findings_of(paper)]
    except (KeyError, ValueError) as error:
        raise InternalError(f"the reference data are broken: {error}", source="reference") from error
    listed = [finding for finding in found if finding.verdict.value in (only or VERDICTS[:3])]
    counts = {verdict: sum(finding.verdict.value == verdict for finding in found) for verdict in VERDICTS}
    if as_json:
        click.echo(json.dumps({"counts": counts, "findings": [asdict(each) for each in listed]}, indent=2))
    elif markdown:
        click.echo(markdown_from_findings(listed), nl=False)
    else:
        for paper in chosen:
            rows = [_row(finding) for finding in listed if finding.paper == paper.name]
            click.echo(f"{paper.name}: {paper.citation}")
            click.echo(_table((*COLUMNS, "verdict", "note"), rows))
        click.echo(", ".join(f"{verdict}: {count}" for verdict, count in counts.items()))


@reference.command()
@click.argument("system")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the table.")
@exits_with_code
def show(system: str, as_json: bool) -> None:
    """Print every figure of the paper that SYSTEM was published in, with its place."""
    import json

    paper = _paper(system)
    if as_json:
        records = [_record(figure) for figure in paper.figures if figure.published]
        document = {"paper": paper.name, "citation": paper.citation, "figures": records}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    rows = [
        (record["name"], record["printed"], record["interval_95"] or "", record["place"], record["note"])
        for record in (_record(figure) for figure in paper.figures if figure.published)
    ]
    rows += [
        (matrix.name, f"{matrix.tp} / {matrix.fp} / {matrix.fn} / {matrix.tn}", "", matrix.place, matrix.note)
        for matrix in paper.matrices
    ]
    click.echo(paper.citation)
    click.echo(_table(("figure", "printed; TP / FP / FN / TN", "95% CI", "place", "note"), rows), nl=False)


COLUMNS = ("figure", "place", "printed", "recomputed", "from")


def markdown_from_findings(findings: Sequence[Finding]) -> str:
    """One Markdown table a paper."""
    lines: list[str] = []
    for paper in dict.fromkeys(finding.paper for finding in findings):
        lines += [f"### {paper}", "", f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
        for each in (finding for finding in findings if finding.paper == paper):
            rule = f"{each.rule}; {each.note}" if each.note else each.rule
            lines.append(f"| {each.figure} | {each.place} | {each.printed} | {each.recomputed} | {rule} |")
        lines.append("")
    return "\n".join(lines)


def _row(each: Finding) -> tuple[str, ...]:
    return each.figure, each.place, each.printed, each.recomputed, each.rule, each.verdict.value, each.note


def _record(figure: Figure) -> dict[str, str | None]:
    sign = "%" if figure.percent else ""
    ends = None if figure.interval is None else f"{figure.interval.low} to {figure.interval.high}{sign}"
    printed = figure.printed + sign
    return {
        "name": figure.name,
        "printed": printed,
        "interval_95": ends,
        "place": figure.place,
        "note": figure.note,
    }


def _all_papers() -> list[Paper]:
    from edge_sacro.reference import PAPERS

    return list(PAPERS.values())


def _paper(name: str) -> Paper:
    from edge_sacro.errors import UsageError
    from edge_sacro.reference import PAPERS, paper_of_system

    try:
        return PAPERS[name] if name in PAPERS else paper_of_system(name)
    except KeyError:
        message = f"no paper and no system is called {name!r}"
        raise UsageError(message, remedy=f"Papers: {', '.join(PAPERS)}.") from None


def _table(headings: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    import io
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    style = {"contradiction": "bold red", "rounding": "yellow", "agreement": "green"}
    terminal = sys.stdout.isatty()
    buffer = io.StringIO()
    width = max(Console().width if terminal else NARROWEST, NARROWEST)
    console = Console(file=buffer, force_terminal=terminal, width=width, highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell or "", style.get(cell or "", "")) for cell in row))
    console.print(table)
    return buffer.getvalue()
