"""The exported graph's explanation against the published application's plain Grad-CAM, cells and map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.explain import at_input_size
from tests.golden.arrays import golden, worst
from tests.golden.images import radiograph
from tests.golden.subset import CLASSIFIER_CASES, EXPLAINED_CASES

pytestmark = pytest.mark.heavy

TOLERANCE = 1e-4
"""Of the largest cell, and of a map whose largest value is 1."""


@pytest.mark.parametrize("case", EXPLAINED_CASES)
def test_cells_and_map_are_the_published_applications(published_bundle: Path, case: str) -> None:
    """Of the class that it explains, which is the likelier one; its own map is normalised to 1."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(published_bundle / "classifier.onnx", options, ["CPUExecutionProvider"])
    rows, columns = (int(side) for side in case.partition("_")[2].split("x"))
    crop = radiograph(rows, columns, CLASSIFIER_CASES[case])
    image = classifier_input(crop, ClassifierGeometry())[None, None]
    (maps,) = session.run(["explanation"], {"image": image})
    arrays = golden("explanation")
    class_index = int(np.argmax(arrays[f"{case}/prob"]))
    cells, other = maps[0, class_index], maps[0, 1 - class_index]
    expected = np.maximum(arrays[f"{case}/raw_cam"], 0)
    largest = float(expected.max())
    assert worst(cells, expected) <= TOLERANCE * largest
    assert worst(other, expected) > 0.1 * largest, "negative control: the other class"
    assert worst(cells[:, ::-1], expected) > 0.1 * largest, "negative control: turned over"
    at_size = at_input_size(cells, (416, 628))
    shown = at_size / at_size.max()
    assert worst(shown[::8, ::8], arrays[f"{case}/cam_sub8"]) <= TOLERANCE
    assert worst(shown[::8, ::-8], arrays[f"{case}/cam_sub8"]) > 0.1
