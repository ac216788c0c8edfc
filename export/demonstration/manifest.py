"""What the demonstration bundle says of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_sacro.manifest import Manifest
from edge_sacro.preprocess.normalise import VERSION as NORMALISER
from edge_sacro.systems.dorfner2024 import ACCURACY_CUT_OFF
from export.bundle_folder import bundle_from_networks
from export.demonstration.networks import CLASSIFIER_SIZE, SEGMENTER_SIZE
from export.demonstration.operating import OperatingFigures
from export.demonstration.train_segmenter import DILATION

STATEMENT = "Demonstration: trained on simulated radiographs, not for clinical use."

CREDITS = (
    "Phantom: Edge-Sacro's own parametric pelvis (Apache-2.0).",
    "Simulator geometry: HuBMAP Human Reference Atlas, Visible Human pelvis (CC BY 4.0).",
    "Simulator shape modes: JHU I-STAR pelvis atlas, Han et al., Phys. Med. Biol. 2019, doi:10.1088/1361-6560/ab1456"
    " (CC BY 4.0; research, not clinical use).",
    "Simulator vertebra: myo-sim 0.2.3 (Apache-2.0).",
    "Method: Dorfner et al., preprint 2024; no code and no weights of it are in here.",
)

STEP = 0.001
"""A guard band is a whole number of these."""


def manifest_fields(figures: OperatingFigures, *, with_simulator: bool) -> dict[str, Any]:
    """Every field of the manifest but networks and files.

    Args:
        figures: the operating point chosen on the validation part.
        with_simulator: whether images of the other simulator were trained on, whose sources are then credited.
    """
    # A logit's difference d moves a probability by at most d / 2 for two logits; twice that, and never nothing.
    half_width = max(math.ceil(figures.onnx_difference / STEP), 1) * STEP
    chosen = (
        f"largest Youden index on {figures.images} simulated images kept from training: sensitivity"
        f" {figures.sensitivity:.3f}, specificity {figures.specificity:.3f}; it says nothing of patients"
    )
    return {
        "schema_version": 1,
        "name": "demonstration",
        "version": "1.0.0",
        "system": "dorfner2024",
        "numerics": "corrected",
        "demonstration": True,
        "statement": STATEMENT,
        "intended_use": "To show and to test that the runtime works. Not for clinical use.",
        "licence": "Apache-2.0",
        "credits": list(CREDITS if with_simulator else (CREDITS[0], CREDITS[-1])),
        "normaliser": NORMALISER,
        "classes": ["no definite radiographic sacroiliitis", "definite radiographic sacroiliitis"],
        "segmentation": {
            "size": SEGMENTER_SIZE,
            "window": SEGMENTER_SIZE,
            "overlap": 0.0,
            "dilation_fraction": DILATION,
        },
        "default_precision": "fp32",
        "classification": {"rows": CLASSIFIER_SIZE[0], "columns": CLASSIFIER_SIZE[1]},
        "operating_points": [
            {
                "name": ACCURACY_CUT_OFF.name,
                "threshold": ACCURACY_CUT_OFF.threshold,
                "source": ACCURACY_CUT_OFF.source,
            },
            {"name": "demonstration", "threshold": figures.threshold, "source": chosen},
        ],
        "default_operating_point": ACCURACY_CUT_OFF.name,
        "guard_band": {
            "half_width": round(half_width, 3),
            "source": f"twice the largest difference to PyTorch on random inputs, rounded up to {STEP}",
        },
    }


def sealed_bundle(folder: Path, files: Mapping[str, Path], fields: Mapping[str, Any]) -> Manifest:
    """Write the manifest beside the networks, with shapes and hashes read from the files."""
    return bundle_from_networks(folder, files, fields)
