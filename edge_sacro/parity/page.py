"""One HTML page: no script, no other file, no address outside itself; its table, its sections and its plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from edge_sacro.parity.svg import Plot, svg_from_plot

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1b1b; --soft: #5c5c5c; --rule: #d5d5d5; --shade: #f3f3f3;
  --good: #006b4f; --bad: #a33f00; --band: #e69f0033; }
@media (prefers-color-scheme: dark) { :root { --page: #17191c; --ink: #ececec; --soft: #a8a8a8; --rule: #3c4045;
  --shade: #22262a; --good: #4fd1a5; --bad: #ff9a55; --band: #e69f0040; } }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0.3rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.note, caption { color: var(--soft); } caption { text-align: left; padding: 0.3rem 0; }
.verdict { border-left: 6px solid; padding: 0.5rem 1rem; background: var(--shade); }
.verdict.good { border-color: var(--good); } .verdict.bad { border-color: var(--bad); }
.good strong, td.good { color: var(--good); } .bad strong, td.bad { color: var(--bad); }
td.bad { font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { border-bottom: 1px solid var(--rule); padding: 0.25rem 0.8rem 0.25rem 0; text-align: left;
  vertical-align: top; }
small { color: var(--soft); }
svg.plot { width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif;
  paint-order: stroke; stroke: var(--page); stroke-width: 3px; }
.grid { stroke: var(--rule); stroke-width: 0.7; } .frame { fill: none; stroke: var(--soft); }
.band { fill: var(--band); } .cutoff { stroke: var(--ink); stroke-width: 1.2; }
.limit { stroke: var(--soft); stroke-dasharray: 5 4; } .line { fill: none; stroke-width: 2; }
.mark { fill-opacity: 0.85; stroke: var(--page); stroke-width: 0.7; }
"""

Cell = str | tuple[str, str]
"""Text, or text and the class of its cell. Both are escaped by :func:`table`."""


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page from its title, as text, and its parts, as HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def plotted(title: str, plot: Plot | None, note: str) -> str:
    """A section with a plot; nothing where there is none."""
    return "" if plot is None else section(title, svg_from_plot(plot), note)


def section(title: str, body: str, note: str) -> str:
    """A heading, a note below it and what it is about, which is HTML already; title and note are text."""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<h2>{escape(title)}</h2>\n{below}\n{body}"


def table(heads: Iterable[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table of text; a line end in a cell sets what follows in small type below."""

    def line(cells: Iterable[Cell], shown: Callable[[Cell], str]) -> str:
        return "<tr>" + "".join(shown(cell) for cell in cells) + "</tr>"

    def shown(cell: Cell) -> str:
        text, kind = cell if isinstance(cell, tuple) else (cell, "")
        first, _, second = text.partition("\n")
        below = f"<br><small>{escape(second)}</small>" if second else ""
        return f'<td class="{kind}">{escape(first)}{below}</td>' if kind else f"<td>{escape(first)}{below}</td>"

    head = line(heads, lambda cell: f"<th>{escape(str(cell))}</th>")
    body = "\n".join(line(row, shown) for row in rows)
    return f'<div class="wide"><table><thead>{head}</thead>\n<tbody>{body}</tbody></table></div>'
