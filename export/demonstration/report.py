"""Evaluation as a command runs it: cases, figures, pictures, model card."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_sacro.bundle import Bundle
from export.demonstration.card import model_card
from export.demonstration.evaluate import Case, Evaluator, held_out_sources
from export.demonstration.metrics import metrics_from_cases
from export.demonstration.plots import iou_histogram, loss_curves, roc_curves, worst_cases

logger = logging.getLogger(__name__)


def evaluate(bundle: str | Path, docs: Path, phantoms: int, simulator: Sequence[Path]) -> dict[str, Any]:
    """Assess held-out radiographs and write figures, pictures and the model card.

    Args:
        bundle: what :func:`edge_sacro.bundle.load_bundle` takes.
        docs: folder to write to; a ``training-log.csv`` in it becomes the loss curves.
        phantoms: how many phantoms of unseen seeds.
        simulator: folders of the second simulator with seeds that were not trained on.

    Returns:
        figures by generator, as in ``metrics.json``.
    """
    evaluator = Evaluator(bundle)
    groups: dict[str, list[Case]] = {}
    try:
        for generator, source in held_out_sources(phantoms, simulator):
            groups.setdefault(generator, []).append(evaluator.case(source))
    finally:
        evaluator.close()
    return written_report(evaluator.bundle, groups, docs)


def written_report(bundle: Bundle, groups: Mapping[str, Sequence[Case]], docs: Path) -> dict[str, Any]:
    """Write ``metrics.json``, ``model-card.md`` and the pictures; arguments and result as :func:`evaluate` has them."""
    docs.mkdir(parents=True, exist_ok=True)
    points = [point.operating_point() for point in bundle.manifest.operating_points]
    metrics = {name: metrics_from_cases(cases, points) for name, cases in groups.items()}
    document = {"statement": bundle.manifest.statement, "bundle": bundle.fingerprint, **metrics}
    (docs / "metrics.json").write_text(json.dumps(document, indent=2) + "\n")
    (docs / "model-card.md").write_text(model_card(bundle.manifest, metrics))
    log = docs / "training-log.csv"
    if log.exists():
        loss_curves(log, docs / "loss-curves.png")
    roc_curves(groups, docs / "roc.png")
    iou_histogram(groups, docs / "iou.png")
    if "phantom" in groups:
        # Images of the second simulator may not be kept in the repository.
        worst_cases(groups["phantom"], docs / "worst-phantom.png")
    for cases in groups.values():
        for case in sorted((each for each in cases if each.ious), key=lambda each: min(each.ious))[:5]:
            logger.info("worst: %s IoU %.3f %s", case.source, min(case.ious), case.reasons)
    return metrics
