"""The plots of a parity document."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_sacro.parity.document import Contender, Document, Layer
from edge_sacro.parity.svg import Axis, Plot, Series, nice_step

FLOOR = 1e-9
"""Relative errors below it are drawn as it: single precision has no smaller ones that mean anything."""

_SWEEP = np.linspace(0.0, 1.0, 401)


def probability_plot(document: Document) -> Plot | None:
    """How far each probability moved, over where the reference had it; None where no image has any."""
    truths = {instance.name: instance.reference for instance in document.instances}
    series = []
    for contender in document.contenders:
        rows = [
            (truths[each.instance].probabilities[subject], move, each.instance)
            for each in contender.comparisons
            for subject, move in each.probability_differences.items()
        ]
        labels = [f"{contender.name}, {name}: {before:.4f} moved by {move:+.4f}" for before, move, name in rows]
        series.append(Series(contender.name, [(before, move) for before, move, _ in rows], labels))
    moves = [abs(y) for each in series for _, y in each.points]
    if not moves:
        return None
    limits = sorted({contender.budget.probability for contender in document.contenders})
    reach = max([*moves, *limits]) * 1.2
    reach = np.ceil(reach / nice_step(reach / 4)) * nice_step(reach / 4)
    rows_of = ", ".join(f"{limit:g}" for limit in limits)
    return Plot(
        title=f"Change of the probability from the reference; allowed {rows_of}",
        x=Axis("probability by the reference", 0.0, 1.0),
        y=Axis("contender less reference", -float(reach), float(reach)),
        series=series,
        bands=_bands(document),
        verticals=_cut_offs(document),
        horizontals=[
            (sign * limit, f"{sign * limit:+g} {' and '.join(_rows_with(document, limit))}")
            for limit in limits
            for sign in (1, -1)
        ],
    )


def flips_plot(document: Document) -> Plot | None:
    """How many decisions would cross a cut-off, wherever between 0 and 1 it were; None where no image has any."""
    series = []
    for contender in document.contenders:
        counts = flips_by_cut_off(document, contender)
        series.append(Series(contender.name, list(zip(_SWEEP.tolist(), counts.tolist(), strict=True)), line=True))
    highest = max((y for each in series for _, y in each.points), default=0.0)
    if all(contender.summary.with_probability == 0 for contender in document.contenders):
        return None
    return Plot(
        title="Decisions that would cross a cut-off, wherever it were, with no guard band",
        x=Axis("cut-off", 0.0, 1.0),
        y=Axis("decisions", 0.0, max(5.0, float(np.ceil(highest * 1.2)))),
        series=series,
        bands=_bands(document),
        verticals=_cut_offs(document),
    )


def flips_by_cut_off(document: Document, contender: Contender) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """For each of 401 cut-offs from 0 to 1, how many probabilities lie on the other side of it than the reference's."""
    instances = {instance.name: instance.reference for instance in document.instances}
    counts = np.zeros(_SWEEP.size)
    for each in contender.comparisons:
        for subject in each.probability_differences:
            values = (instances[each.instance].probabilities[subject], each.answer.probabilities[subject])
            low, high = sorted(values)
            counts += np.logical_and(np.greater_equal(_SWEEP, low), np.less(_SWEEP, high))
    return counts


def tensor_plot(document: Document) -> Plot | None:
    """Error of each network's tensors, image by image; None where no network ran."""
    tensors = []
    for contender in document.contenders:
        for summary in contender.summary.tensors:
            key = (summary.network, summary.tensor, summary.role)
            if key not in tensors:
                tensors.append(key)
    if not tensors:
        return None
    series, width = [], 0.7 / len(document.contenders)
    for index, contender in enumerate(document.contenders):
        points, labels = [], []
        for each in contender.comparisons:
            for tensor in each.tensors:
                place = tensors.index((tensor.network, tensor.tensor, tensor.role))
                offset = (index + 0.5) * width - 0.35
                points.append((place + offset, max(tensor.relative_rms, FLOOR)))
                labels.append(f"{contender.name}, {each.instance}: {tensor.relative_rms:.2e}")
        series.append(Series(contender.name, points, labels))
    names = [f"{network} {role} {tensor}" for network, tensor, role in tensors]
    return Plot(
        title="Error of each network's tensors, one mark an image",
        x=Axis("tensor", -0.5, len(names) - 0.5, names=names),
        y=Axis("error, part of the reference's RMS", FLOOR, 10.0, log=True),
        series=series,
    )


def layer_plot(layers: Sequence[Layer], network: str) -> Plot:
    """Error of each activation of one network, in the order in which they are computed."""
    chosen = [layer for layer in layers if layer.network == network]
    precisions = sorted({layer.precision for layer in chosen})
    return Plot(
        title=f"Error inside the {network}, activation by activation",
        x=Axis("position in the graph", 0.0, max(layer.position for layer in chosen) + 1.0),
        y=Axis("error, part of the reference's RMS", FLOOR, 10.0, log=True),
        series=[
            Series(
                precision,
                [(layer.position, max(layer.relative_rms, FLOOR)) for layer in chosen if layer.precision == precision],
                [
                    f"{layer.tensor} ({layer.operator}): {layer.relative_rms:.2e}"
                    for layer in chosen
                    if layer.precision == precision
                ],
            )
            for precision in precisions
        ],
    )


def _rows_with(document: Document, limit: float) -> list[str]:
    return sorted({c.precision for c in document.contenders if c.budget.probability == limit})


def _bands(document: Document) -> list[tuple[float, float]]:
    half = document.guard_band
    return [
        (max(point.threshold - half, 0.0), min(point.threshold + half, 1.0))
        for point in document.operating_points
        if half > 0
    ]


def _cut_offs(document: Document) -> list[tuple[float, str]]:
    return [(point.threshold, f"{point.name} {point.threshold:g}") for point in document.operating_points]
