"""A tiny bundle in place of a full-size system, and drawings in place of phantoms."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.calibration import nets

SYSTEM = "dorfner2024-standard"
RECORD = {
    "networks": {
        "classifier": {
            "parameters": 1_234_567,
            "gigamacs": 0.75,
            "largest_differences": {"real": {"logits": 1e-6}, "random": {"logits": 2e-6}, "control": {"logits": 0.5}},
        }
    }
}


def stand_in(folder: Path, offset: float) -> Path:
    """A tiny bundle of the standard system with an export's record; a large offset is lost in int8."""
    # Answers on both sides of the cut-off, so that there are decisions that could flip.
    nets.write_standard_bundle(folder, nets.classifier_with_explanation(offset=offset, middle=0.6))
    text = json.dumps(RECORD)
    (folder / "export.json").write_text(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["records"] = {"export": "export.json"}
    manifest["files"]["export.json"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
