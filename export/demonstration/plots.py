"""Pictures that stand beside the model card."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from export.demonstration.evaluate import Case
from export.demonstration.manifest import STATEMENT

SHOWN = 6
"""Examples in a picture."""


def loss_curves(log: Path, picture: Path) -> None:
    """Training loss over steps, one panel a network."""
    from matplotlib.figure import Figure

    with log.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for panel, network in zip(figure.subplots(1, 2), ("segmenter", "classifier"), strict=True):
        own = [row for row in rows if row["network"] == network]
        panel.plot([int(row["step"]) for row in own], [float(row["loss"]) for row in own], lw=1)
        panel.set(title=network, xlabel="step", ylabel="training loss")
    figure.suptitle(STATEMENT, fontsize=8)
    figure.savefig(picture, dpi=110)


def roc_curves(groups: Mapping[str, Sequence[Case]], picture: Path) -> None:
    """One ROC curve a generator."""
    from matplotlib.figure import Figure
    from sklearn.metrics import roc_curve

    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    panel = figure.subplots()
    for name, cases in groups.items():
        answered = [case for case in cases if case.probability is not None]
        if len({case.positive for case in answered}) == 2:
            false, true, _ = roc_curve([case.positive for case in answered], [case.probability for case in answered])
            panel.plot(false, true, label=name)
    panel.plot([0, 1], [0, 1], color="0.7", lw=0.8)
    panel.set(xlabel="1 - specificity", ylabel="sensitivity", title="modified New York criterion")
    panel.legend()
    figure.suptitle(STATEMENT, fontsize=7)
    figure.savefig(picture, dpi=110)


def iou_histogram(groups: Mapping[str, Sequence[Case]], picture: Path) -> None:
    """How well joint boxes overlap the true ones."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    panel = figure.subplots()
    for name, cases in groups.items():
        panel.hist([v for case in cases for v in case.ious], bins=np.linspace(0, 1, 41).tolist(), alpha=0.6, label=name)
    panel.set(xlabel="IoU of a joint's box", ylabel="joints")
    panel.legend()
    figure.suptitle(STATEMENT, fontsize=7)
    figure.savefig(picture, dpi=110)


def worst_cases(cases: Sequence[Case], picture: Path) -> None:
    """The images whose joints were met worst: labels in colour, true boxes green, found ones white."""
    ranked = sorted((case for case in cases if case.ious), key=lambda case: min(case.ious))[:SHOWN]
    if not ranked:
        return
    height = max(case.preview.shape[0] for case in ranked)
    tiles = [
        cv2.copyMakeBorder(case.preview, 0, height - case.preview.shape[0], 0, 0, cv2.BORDER_CONSTANT)
        for case in ranked
    ]
    rows = [np.hstack(tiles[start : start + 3]) for start in range(0, len(tiles) - len(tiles) % 3, 3)]
    cv2.imwrite(str(picture), np.vstack(rows or [np.hstack(tiles)]))
