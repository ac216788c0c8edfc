"""The parity document as one HTML page: no script, no other file, no address outside itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from edge_sacro.parity.document import Answer, Comparison, Contender, Document, Instance, Layer, Worst
from edge_sacro.parity.plots import flips_plot, layer_plot, probability_plot, tensor_plot
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
"""Text, or text and the class of its cell. Both are escaped by :func:`_table`."""


def html_from_document(document: Document) -> str:
    """The whole page."""
    bundle = document.bundle
    parts = [
        f"<h1>Parity of {escape(bundle.name)} {escape(bundle.version)}</h1>",
        f'<p class="note">{escape(bundle.statement)} System {escape(bundle.system)}; edge-sacro '
        f"{escape(document.software.version)}. Reference: {escape(_full_name(document))}; "
        f"{len(document.instances)} images.</p>",
        _verdict(document),
        _section("Against the budget", _budget_table(document), _BUDGET_NOTE),
        _plot("Probabilities", probability_plot(document), _PROBABILITY_NOTE.format(document.guard_band)),
        _plot("Decisions near each cut-off", flips_plot(document), _FLIPS_NOTE),
        _section("Flips", _flips_table(document), ""),
        _plot("Tensors by stage", tensor_plot(document), _TENSOR_NOTE),
        _section("Tensors, the worst image of each", _tensor_table(document), ""),
        *_layers(document.layers),
        _section("Images", _images_table(document), "Differences are contender less reference."),
        _left_out(document),
        _section("Networks", _table(("file", "SHA-256"), list(bundle.networks.items())), ""),
    ]
    title = escape(f"Parity: {bundle.name} {bundle.version}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


_BUDGET_NOTE = (
    "Each cell: the worst that was measured, what is allowed, and the image that shows the worst. A flip is counted "
    "where one answers positive and the other negative; crossings that the guard band turns into borderline answers "
    "are told apart."
)
_PROBABILITY_NOTE = "Full lines: cut-offs. Shaded: within {:g} of one, answered borderline. Dashed: the budget."
_FLIPS_NOTE = "For each possible cut-off, how many probabilities lie on the other side of it than the reference's."
_TENSOR_NOTE = (
    "Inputs as the stages before made them, end to end; outputs on the reference's own inputs, so that each network "
    "answers for itself. Equal tensors stand at the lower edge."
)


def _verdict(document: Document) -> str:
    control = (
        f"<p>A negative control: the contenders' networks are wrong on purpose ({escape(document.control)}), and the "
        "budget has to be broken.</p>"
        if document.control
        else ""
    )
    if document.holds:
        return f'<div class="verdict good"><strong>The budget holds.</strong>{control}</div>'
    items = "".join(
        f"<li>{escape(contender.name)}: {escape(breach.sentence)}</li>"
        for contender in document.contenders
        for breach in contender.breaches
    )
    return f'<div class="verdict bad"><strong>The budget is broken.</strong>{control}<ul>{items}</ul></div>'


def _budget_table(document: Document) -> str:
    rows = []
    for contender in document.contenders:
        broken = {breach.measure for breach in contender.breaches}
        summary, budget = contender.summary, contender.budget

        def cell(measure: str, text: str, broken: set[str] = broken) -> Cell:
            return (text, "bad" if measure in broken else "good") if text != "–" else text

        rows.append(
            [
                f"{contender.name} ({contender.version})",
                cell("probability", _worst(summary.probability, f" of {budget.probability:g}", "{:+.4f}")),
                _area(contender),
                cell("box_iou", _worst(summary.box_iou, f" of {budget.box_iou:g}", "{:.3f}")),
                cell("explanation", _worst(summary.explanation, f" of {budget.explanation:g}", "{:.3f}")),
                cell("flips", f"{summary.flips_outside} of {budget.flips}; {summary.flips_inside} within the band"),
                cell("disagreements", f"{summary.disagreements} of {budget.disagreements}"),
                cell("nothing_compared", f"{summary.with_probability} of {summary.instances}"),
            ]
        )
    heads = ("contender", "probability", "AUC", "box overlap", "explanation", "flips", "not assessable", "compared")
    return _table(heads, rows)


def _area(contender: Contender) -> Cell:
    area, budget = contender.summary.area, contender.budget
    if area is None:
        return "–"
    if not area.judged:
        return f"{area.difference:+.4f}\nnot judged: {area.pairs} pairs, {budget.auc_pairs} are needed"
    broken = any(breach.measure == "auc" for breach in contender.breaches)
    return (f"{area.difference:+.4f} of {budget.auc:g}", "bad" if broken else "good")


def _worst(worst: Worst | None, allowed: str, shape: str) -> str:
    return "–" if worst is None else f"{shape.format(worst.value)}{allowed}\n{worst.instance}"


def _flips_table(document: Document) -> str:
    rows: list[Sequence[Cell]] = [
        (
            contender.name,
            flip.instance,
            flip.subject,
            f"{flip.operating_point} {flip.threshold:g}",
            f"{flip.reference:.4f}",
            f"{flip.contender:.4f}",
            ("to the opposite", "bad") if flip.kind == "outside" else "borderline by the guard band",
        )
        for contender in document.contenders
        for each in contender.comparisons
        for flip in each.flips
    ]
    if not rows:
        return "<p>No probability crosses a cut-off.</p>"
    return _table(("contender", "image", "of", "cut-off", "reference", "contender", "kind"), rows)


def _tensor_table(document: Document) -> str:
    def named(worst: Worst, shape: str) -> str:
        return f"{shape.format(worst.value)}\n{worst.instance}"

    rows = [
        (
            contender.name,
            f"{tensor.network} {tensor.role} {tensor.tensor}",
            named(tensor.max_abs, "{:.3g}"),
            named(tensor.relative_rms, "{:.3g}"),
            named(tensor.cosine, "{:.6f}"),
        )
        for contender in document.contenders
        for tensor in contender.summary.tensors
    ]
    return _table(("contender", "tensor", "largest difference", "RMS, relative", "cosine"), rows)


def _layers(layers: Sequence[Layer]) -> list[str]:
    """A plot and the worst activations of each network that was opened."""
    parts = []
    for network in sorted({layer.network for layer in layers}):
        parts.append(_plot(f"Layers of the {network}", layer_plot(layers, network), "Point at a mark for its name."))
        worst = sorted((layer for layer in layers if layer.network == network), key=lambda each: -each.relative_rms)
        rows = [
            (
                layer.precision,
                str(layer.position),
                layer.tensor,
                layer.operator,
                f"{layer.max_abs:.3g}",
                f"{layer.relative_rms:.3g}",
                f"{layer.cosine:.6f}",
            )
            for layer in worst[:20]
        ]
        heads = ("precision", "position", "tensor", "operator", "largest difference", "RMS, relative", "cosine")
        parts.append(_table(heads, rows))
    return parts


def _images_table(document: Document) -> str:
    contenders = document.contenders
    compared = {c.name: {each.instance: each for each in c.comparisons} for c in contenders}
    rows = [
        [
            instance.name,
            {True: "positive", False: "negative", None: ""}[instance.truth],
            _answer(instance.reference),
            *(_compared(contender, compared[contender.name].get(instance.name), instance) for contender in contenders),
        ]
        for instance in document.instances
    ]
    return _table(("image", "truth", "reference", *(contender.name for contender in contenders)), rows)


def _answer(answer: Answer) -> str:
    values = ", ".join(
        f"{value:.4f}" if subject == "image" else f"{subject} {value:.4f}"
        for subject, value in answer.probabilities.items()
    )
    return values or f"{answer.state.value.replace('_', ' ')} ({answer.reason_code})"


def _compared(contender: Contender, each: Comparison | None, instance: Instance) -> Cell:
    if each is None:
        return "" if instance.reference.state.value == "refused" else ("not run", "bad")
    if each.disagreement:
        return (each.disagreement, "bad")
    moves = each.probability_differences
    text = ", ".join(f"{v:+.4f}" if s == "image" else f"{s} {v:+.4f}" for s, v in moves.items()) or "the same"
    far = any(abs(value) > contender.budget.probability for value in moves.values())
    return (text, "bad" if far or any(flip.kind == "outside" for flip in each.flips) else "")


def _left_out(document: Document) -> str:
    rows = [(each.name, each.reason) for each in document.left_out]
    rows += [(each.path, each.reason) for each in document.ignored]
    return _section("Left out", _table(("what", "why"), rows), "") if rows else ""


def _plot(title: str, plot: Plot | None, note: str) -> str:
    return "" if plot is None else _section(title, svg_from_plot(plot), note)


def _section(title: str, body: str, note: str) -> str:
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<h2>{escape(title)}</h2>\n{below}\n{body}"


def _table(heads: Iterable[str], rows: Iterable[Sequence[Cell]]) -> str:
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


def _full_name(document: Document) -> str:
    reference = document.reference
    return f"{reference.backend}:{reference.precision} ({reference.version})"
