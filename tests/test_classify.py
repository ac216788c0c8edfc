"""The classifier's input, its placement and its probability."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_sacro.classify import ClassifierGeometry, classifier_input, classify, placement, softmax
from edge_sacro.errors import BundleContractBroken
from edge_sacro.preprocess.clahe import clahe_variant
from edge_sacro.preprocess.resize import center_crop_or_pad
from edge_sacro.types import Box
from tests.golden.arrays import golden, worst
from tests.golden.images import radiograph
from tests.golden.subset import CLASSIFIER_CASES

PUBLISHED = ClassifierGeometry()
TOLERANCE = 1e-4
ARRAYS = golden("classifier")


def crop_of(case: str) -> np.ndarray:
    rows, columns = (int(side) for side in case.split("_")[1].split("x"))
    return radiograph(rows, columns, CLASSIFIER_CASES[case])


@pytest.mark.parametrize("case", CLASSIFIER_CASES)
def test_input_meets_the_published_one(case: str) -> None:
    found = classifier_input(crop_of(case), PUBLISHED)
    assert (found.shape, found.dtype) == ((416, 628), np.float32)
    assert worst(found[::8, ::8], ARRAYS[f"{case}/input_sub8"]) <= TOLERANCE
    assert (1, *placement(crop_of(case).shape, PUBLISHED).resized) == tuple(ARRAYS[f"{case}/resized_shape"])


@pytest.mark.parametrize("case", CLASSIFIER_CASES)
def test_near_misses_do_not_meet_it(case: str) -> None:
    expected = ARRAYS[f"{case}/input_sub8"]
    crop = crop_of(case)
    unmirrored = classifier_input(crop[:, ::-1], PUBLISHED)
    mirrored_late = classifier_input(crop[:, ::-1], PUBLISHED)[:, ::-1]
    misses = {"unmirrored": unmirrored, "mirrored after the filter": mirrored_late}
    if case != "aspect_416x628":  # already of the network's size, so no resize takes place
        rows, columns = placement(crop.shape, PUBLISHED).resized
        half_pixel = cv2.resize(clahe_variant(crop[:, ::-1]), (columns, rows), interpolation=cv2.INTER_LINEAR)
        misses["pixel borders aligned"] = center_crop_or_pad(half_pixel, PUBLISHED.size)
    for name, miss in misses.items():
        assert worst(miss[::8, ::8], expected) > 10 * TOLERANCE, name


def test_placement_finds_a_crops_pixels_in_the_input() -> None:
    for size in ((260, 640), (700, 300), (416, 628), (120, 171), (2, 900)):
        crop = np.random.default_rng(7).integers(1, 255, size).astype(np.uint8)
        found = placement(size, PUBLISHED)
        padded = classifier_input(crop, PUBLISHED)
        padded[found.target.y0 : found.target.y1, found.target.x0 : found.target.x1] = 0
        assert not padded.any()
        assert (found.source.width, found.source.height) == (found.target.width, found.target.height)
        assert found.source.x1 <= found.resized[1]
        assert found.source.y1 <= found.resized[0]
    wide = placement((260, 640), PUBLISHED)
    assert (wide.source, wide.target) == (Box(0, 0, 628, 255), Box(0, 80, 628, 335))
    tall = placement((700, 300), PUBLISHED)
    assert (tall.source, tall.target) == (Box(0, 106, 269, 522), Box(179, 0, 448, 416))


def test_the_network_sees_one_image_and_its_logits_are_told() -> None:
    geometry = ClassifierGeometry(96, 160)
    seen: list[np.ndarray] = []

    def network(batch: np.ndarray) -> np.ndarray:
        seen.append(batch)
        return np.array([[0.5, 2.5]], np.float32)

    found = classify(crop_of("small_120x171"), network, geometry)
    assert [batch.shape for batch in seen] == [(1, 1, 96, 160)]
    assert found.logits == (0.5, 2.5)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-12)


def test_a_network_of_another_shape_is_refused_by_name() -> None:
    with pytest.raises(BundleContractBroken, match=r"\(1, 3\).*\(1, 2\)"):
        classify(crop_of("small_120x171"), lambda _: np.zeros((1, 3), np.float32))


@pytest.mark.parametrize("case", [*CLASSIFIER_CASES, "e2e_600x720", "e2e_901x1103"])
def test_softmax_meets_the_published_probabilities(case: str) -> None:
    logits, expected = ARRAYS[f"{case}/logits"], ARRAYS[f"{case}/prob"]
    assert worst(softmax(logits)[0], expected) <= 1e-6
    assert worst(1 / (1 + np.exp(-logits[0])), expected) > 1e-2


@pytest.mark.parametrize(("logits", "expected"), [([1e30, -1e30], [1, 0]), ([-800, -800], [0.5, 0.5])])
def test_softmax_survives_any_logits(logits: list[float], expected: list[float]) -> None:
    assert softmax(np.array(logits, np.float32)).tolist() == expected


def test_impossible_geometry_is_refused() -> None:
    with pytest.raises(ValueError, match="no classifier input"):
        ClassifierGeometry(0, 628)
