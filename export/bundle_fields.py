"""What an exported bundle's manifest says beside its networks: the system as published, and whose weights these are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_sacro.errors import UsageError
from edge_sacro.preprocess.normalise import VERSION as RADIOGRAPH_NORMALISER
from edge_sacro.systems import SYSTEMS
from export.architectures import Architecture

STEP = 0.001
"""A guard band is a whole number of these."""

GENERATED_STATEMENT = "Generated weights, trained on nothing: for tests and timing, not for clinical use."
SEGMENTATION = {"size": 768, "window": 512, "overlap": 0.75, "dilation_fraction": 0.05}
"""Dorfner et al. 2024, supplement, and their published application."""

BONE_WINDOW = {"center": 400.0, "width": 1800.0}
"""Hounsfield units; the paper does not state its window."""


@dataclass(frozen=True)
class Account:
    """Whose bundle it is.

    Attributes:
        name, release: of the bundle.
        licence: of the weights.
        statement: the sentence that every output repeats.
        generated: whether the weights are generated, which makes it a demonstration bundle.
    """

    name: str
    release: str = "1.0.0"
    licence: str = "not stated; that of the checkpoints given"
    statement: str = "Weights brought by their user; this bundle records no clinical evaluation of them."
    generated: bool = False


def manifest_fields(
    system: str, classifier: Architecture | None, account: Account, logit_difference: float
) -> dict[str, Any]:
    """Every field of the manifest but networks, records and files.

    Args:
        system: as manifests name it.
        classifier: its architecture, None where the system has none.
        account: whose bundle it is.
        logit_difference: largest measured difference of a logit between graph and framework.

    Raises:
        UsageError: the runtime does not have the system, or the paper gives it no operating point.
    """
    if system not in SYSTEMS or not SYSTEMS[system].operating_points:
        known = ", ".join(name for name, each in SYSTEMS.items() if each.operating_points)
        raise UsageError(f"the runtime has no operating points of {system!r}; it has those of {known}", source="SYSTEM")
    slices = SYSTEMS[system].hounsfield_window
    points = [
        {"name": point.name, "threshold": point.threshold, "source": point.source}
        for point in SYSTEMS[system].operating_points
    ]
    fields: dict[str, Any] = {
        "schema_version": 1,
        "name": account.name,
        "version": account.release,
        "system": system,
        "numerics": "corrected",
        "demonstration": account.generated,
        "statement": GENERATED_STATEMENT if account.generated else account.statement,
        "intended_use": "Tests and timing. Not for clinical use." if account.generated else "Research.",
        "licence": "Apache-2.0" if account.generated else account.licence,
        "credits": [f"Method: {SYSTEMS[system].citation}; no code and no weights of it are in here."]
        if account.generated
        else [f"Method: {SYSTEMS[system].citation}."],
        "normaliser": "hounsfield-window-1" if slices else RADIOGRAPH_NORMALISER,
        "classes": list(classifier.classes) if classifier else [],
        "default_precision": "fp32",
        "operating_points": points,
        "default_operating_point": points[0]["name"],
        "guard_band": _guard_band([logit_difference]),
    }
    if "segmenter" in SYSTEMS[system].networks:
        fields["segmentation"] = dict(SEGMENTATION)
    if classifier:
        fields["classification"] = {"rows": classifier.shape[2], "columns": classifier.shape[3]}
    if slices:
        fields["hounsfield_window"] = dict(BONE_WINDOW)
    return fields


def _guard_band(differences: Sequence[float]) -> dict[str, Any]:
    # A logit's difference d moves a probability by at most d / 2 for two logits; twice that, and never nothing.
    half_width = max(math.ceil(max(differences) / STEP), 1) * STEP
    source = f"twice the largest difference to the framework on real and random input, rounded up to {STEP}"
    return {"half_width": round(half_width, 3), "source": source}
