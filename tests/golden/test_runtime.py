"""The published application end to end: a DICOM file in, the report out, full-size networks with generated weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

from edge_sacro.runtime import Runtime
from edge_sacro.types import State
from export.bundle_folder import bundle_from_networks
from tests.golden.arrays import golden
from tests.golden.images import radiograph
from tests.tiny import manifest_fields, write_dicom

pytestmark = pytest.mark.heavy

DECIMAL = 1e-4
"""A reported probability has four decimals."""


def _with_published_numerics(bundle: Path, folder: Path) -> Path:
    fields = manifest_fields(
        numerics="published",
        segmentation={"size": 768, "window": 512, "overlap": 0.75, "dilation_fraction": 0.05},
        classification={"rows": 416, "columns": 628},
    )
    fields = {key: value for key, value in fields.items() if key not in {"networks", "files"}}
    files = {name: bundle / f"{name}.onnx" for name in ("segmenter", "classifier")}
    bundle_from_networks(folder / "published", files, fields)
    return folder / "published"


def test_an_8_bit_radiograph_gets_the_published_probability_and_no_guess_from_us(
    published_bundle: Path, tmp_path: Path
) -> None:
    """Random weights draw no pelvis. The published application goes on with its fallback; corrected numerics stop."""
    path = write_dicom(tmp_path / "a.dcm", radiograph(600, 720, 1).astype(np.uint16), BitsStored=8, HighBit=7)
    expected, another = (float(golden("classifier")[f"e2e_{case}/prob"][1]) for case in ("600x720", "901x1103"))
    with Runtime(_with_published_numerics(published_bundle, tmp_path)) as runtime:
        published = runtime.infer(path)
    assert published.probability == pytest.approx(expected, abs=DECIMAL)
    assert any("fallback" in note for note in published.notes)
    assert published.probability != pytest.approx(another, abs=DECIMAL), "negative control: another radiograph"
    with Runtime(published_bundle) as runtime:
        corrected = runtime.infer(path)
    assert corrected.state is State.NOT_ASSESSABLE
    assert corrected.probability is None
