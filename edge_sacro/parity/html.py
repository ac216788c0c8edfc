"""The parity document as one HTML page: no script, no other file, no address outside itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from edge_sacro.parity.document import Answer, Comparison, Contender, Document, Instance, Layer, Worst
from edge_sacro.parity.page import Cell, page, plotted, section, table
from edge_sacro.parity.plots import flips_plot, layer_plot, probability_plot, tensor_plot


def html_from_document(document: Document) -> str:
    """The whole page."""
    bundle = document.bundle
    parts = [
        f"<h1>Parity of {escape(bundle.name)} {escape(bundle.version)}</h1>",
        f'<p class="note">{escape(bundle.statement)} System {escape(bundle.system)}; edge-sacro '
        f"{escape(document.software.version)}. Reference: {escape(_full_name(document))}; "
        f"{len(document.instances)} images.</p>",
        _verdict(document),
        section("Against the budget", _budget_table(document), _BUDGET_NOTE),
        plotted("Probabilities", probability_plot(document), _PROBABILITY_NOTE.format(document.guard_band)),
        plotted("Decisions near each cut-off", flips_plot(document), _FLIPS_NOTE),
        section("Flips", _flips_table(document), ""),
        plotted("Tensors by stage", tensor_plot(document), _TENSOR_NOTE),
        section("Tensors, the worst image of each", _tensor_table(document), ""),
        *_layers(document.layers),
        section("Images", _images_table(document), "Differences are contender less reference."),
        _left_out(document),
        section("Networks", table(("file", "SHA-256"), list(bundle.networks.items())), ""),
    ]
    return page(f"Parity: {bundle.name} {bundle.version}", parts)


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
    return table(heads, rows)


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
    return table(("contender", "image", "of", "cut-off", "reference", "contender", "kind"), rows)


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
    return table(("contender", "tensor", "largest difference", "RMS, relative", "cosine"), rows)


def _layers(layers: Sequence[Layer]) -> list[str]:
    """A plot and the worst activations of each network that was opened."""
    parts = []
    for network in sorted({layer.network for layer in layers}):
        parts.append(plotted(f"Layers of the {network}", layer_plot(layers, network), "Point at a mark for its name."))
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
        parts.append(table(heads, rows))
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
    return table(("image", "truth", "reference", *(contender.name for contender in contenders)), rows)


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
    return section("Left out", table(("what", "why"), rows), "") if rows else ""


def _full_name(document: Document) -> str:
    reference = document.reference
    return f"{reference.backend}:{reference.precision} ({reference.version})"
