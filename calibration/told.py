"""What an outcome looks like to a reader: a table, and a picture of every layer's error."""

from __future__ import annotations

from pathlib import Path

from calibration.accuracy import Figures
from calibration.control import Converted, Outcome
from edge_sacro.manifest import Precision


def table_from_outcome(outcome: Outcome, precision: Precision, sizes: dict[str, tuple[int, int]]) -> str:
    """A Markdown table of figures, and one of the layers that stay in float and why.

    Args:
        outcome: that passed.
        precision: what it was converted to.
        sizes: bytes of each network before and after.
    """
    lines = ["| | images | max abs dp | mean abs dp | dAUC | flips | outside band | crop IoU, least | unstable |"]
    lines.append("|---" * 9 + "|")
    lines.append(_row(f"{precision}, whole bundle", outcome.figures))
    if outcome.figures_own is not None:
        lines.append(_row("ONNX Runtime's own file", outcome.figures_own))
    lines += [
        _row(f"{each.network} alone, no layer in float", each.unconstrained)
        for each in outcome.networks
        if each.unconstrained is not None
    ]
    lines += [
        "",
        "| network | method | layers | in float | bytes | explanation: cosine, peak |",
        "|---|---|---|---|---|---|",
    ]
    for each in outcome.networks:
        before, after = sizes[each.network]
        agreement = "" if each.explanation is None else "{:.4f}, {:.3f}".format(*each.explanation)
        lines.append(
            f"| {each.network} | {each.method} | {len(each.layers) or 'not ranked'} | {len(each.kept)} "
            f"| {before:,} to {after:,} | {agreement} |"
        )
    lines += ["", "| in float | network | operator | why |", "|---|---|---|---|"]
    for each in outcome.networks:
        if each.model is None:
            lines.append(f"| all | {each.network} | | half of its layers in float is not enough, or it was asked for |")
            continue
        kept = [layer for layer in each.layers if layer.node in each.kept]
        lines += [f"| {k.node} | {each.network} | {k.operator} | error {k.error:.4f} alone |" for k in kept]
        lines += [f"| {name} | {each.network} | | head or explanation |" for name in each.head]
        if each.own is not None:
            lines += [f"| {n} | {each.network} | | on ONNX Runtime: {why} |" for n, why in each.own.in_float.items()]
    return "\n".join(lines)


def plot_outcome(outcome: Outcome, precision: Precision, path: Path) -> Path:
    """Draw the error of each layer alone, those in float hatched; PNG or SVG by the path's ending."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = [each for each in outcome.networks if each.layers]
    count = max((len(each.layers) for each in shown), default=1)
    with mpl.rc_context({"svg.hashsalt": "edge-sacro", "font.size": 8}):
        figure = Figure(figsize=(6.5 * max(len(shown), 1), 1.2 + 0.17 * count), layout="constrained")
        for index, each in enumerate(shown):
            axes = figure.add_subplot(1, len(shown), index + 1)
            _draw(axes, each, precision)
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path


def _draw(axes: object, each: Converted, precision: Precision) -> None:
    names = [f"{layer.node} ({layer.operator})" for layer in each.layers]
    colours = ["#c44e52" if layer.node in each.kept else "#4c72b0" for layer in each.layers]
    hatches = ["///" if layer.node in each.kept else "" for layer in each.layers]
    axes.barh(names, [max(layer.error, 1e-9) for layer in each.layers], color=colours, hatch=hatches)  # type: ignore[attr-defined]
    axes.set_xscale("log")  # type: ignore[attr-defined]
    axes.invert_yaxis()  # type: ignore[attr-defined]
    axes.set_xlabel(f"relative RMS error of the outputs, this layer alone in {precision}")  # type: ignore[attr-defined]
    axes.set_title(f"{each.network}: {len(each.kept)} of {len(each.layers)} layers stay in float (hatched)")  # type: ignore[attr-defined]


def _row(name: str, figures: Figures) -> str:
    delta = "unknown" if figures.delta_auc is None else f"{figures.delta_auc:+.4f}"
    return (
        f"| {name} | {figures.images} | {figures.max_dp:.4f} | {figures.mean_dp:.4f} | {delta} | {figures.flips} | "
        f"{figures.flips_outside} | {figures.least_iou:.3f} | "
        f"{figures.unstable}, max {figures.unstable_max_dp:.4f} |"
    )
