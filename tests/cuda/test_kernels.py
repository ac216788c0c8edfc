"""Every kernel on an emulated device against the NumPy reference."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sacro.classify import ClassifierGeometry
from edge_sacro.cuda.session import Session
from edge_sacro.cuda.systems import anatomy_case
from edge_sacro.types import Box
from tests.cuda.cases import CASES, Case, canonical_gray, crops
from tests.cuda.radiographs import ORIENTATIONS, made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_networks_input_is_the_references(session: Session, case: Case) -> None:
    case.check(session)


@pytest.mark.parametrize("seed", range(12))
def test_crops_of_any_shape_and_content_are_the_references(session: Session, seed: int) -> None:
    """Tiles of one pixel, images of one or two values, boxes at the border, inputs larger and smaller than the crop."""
    rng = np.random.default_rng(seed)
    rows, columns = (int(side) for side in rng.integers(12, 140, 2))
    stored = (
        rng.integers(0, 4096, (rows, columns)),
        rng.integers(0, 2, (rows, columns)) * 4095,
        np.full((rows, columns), rng.integers(4096)),
        np.minimum(rng.geometric(0.002, (rows, columns)), 4095),
    )[seed % 4]
    radiograph = made(stored.astype(np.uint16), 12, ORIENTATIONS[seed % 8])
    gray = canonical_gray(radiograph)
    boxes = []
    for _ in range(2):
        (x0, x1), (y0, y1) = (np.sort(rng.choice(side + 1, 2, replace=False)) for side in gray.shape[::-1])
        boxes.append(Box(int(max(min(x0, x1 - 2), 0)), int(max(min(y0, y1 - 2), 0)), int(max(x1, 2)), int(max(y1, 2))))
    geometry = ClassifierGeometry(*(int(side) for side in rng.integers(32, 90, 2)))
    found = anatomy_case(session, radiograph, "corrected").classifier_crops(boxes, geometry).copy()
    np.testing.assert_array_equal(found, crops(gray, tuple(boxes), geometry))
