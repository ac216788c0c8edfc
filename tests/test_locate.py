"""Windows, labels, components and joint regions, against the published ones and by our own rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_sacro.errors import BundleContractBroken
from edge_sacro.locate import (
    SegmentationGeometry,
    labels_from_logits,
    largest_components,
    mean_logits,
    segment,
    segmentation_input,
)
from edge_sacro.regions import JointRegion, JointRegions, RegionRules, joint_regions
from edge_sacro.types import Box
from tests.golden.arrays import box_from_inclusive, displayed, golden, worst
from tests.golden.images import radiograph, regions
from tests.golden.subset import CROP_CASES

ARRAYS = golden("crop")
LOCATED = [case for case in CROP_CASES if f"{case}/bbox_x0x1y0y1_inclusive" in ARRAYS]
FALLBACKS = ["no_left_intersection", "no_right_intersection", "no_intersection_both"]
SMALL = SegmentationGeometry(size=48, window=32, overlap=0.75)


def labels_of(case: str) -> np.ndarray:
    return displayed(ARRAYS[f"{case}/mask"])


def by_window_mean(batch: np.ndarray) -> np.ndarray:
    """Logits that depend on the whole window, so that each window matters."""
    planes = [batch * weight + batch.mean() for weight in (0.5, -1.0, 1.5, 0.25)]
    return np.concatenate(planes, axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("geometry", "starts"),
    [
        (SegmentationGeometry(), (0, 128, 256)),
        (SegmentationGeometry(384, 384, 0.75), (0,)),
        (SegmentationGeometry(768, 512, 0.5), (0, 256)),
        (SegmentationGeometry(100, 40, 0.25), (0, 30, 60)),
        (SegmentationGeometry(110, 40, 0.25), (0, 30, 60, 70)),
    ],
)
def test_windows_cover_the_image_and_end_with_it(geometry: SegmentationGeometry, starts: tuple[int, ...]) -> None:
    assert geometry.starts == starts


@pytest.mark.parametrize("fields", [{"window": 769}, {"window": 0}, {"overlap": 1.0}, {"overlap": -0.1}])
def test_impossible_geometry_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no windows"):
        replace(SegmentationGeometry(), **fields)


def test_logits_are_the_plain_mean_of_the_windows() -> None:
    image = segmentation_input(radiograph(60, 70, 1), SMALL)
    total, count = np.zeros((4, 48, 48)), np.zeros((48, 48))
    for y in (0, 8, 16):
        for x in (0, 8, 16):
            total[:, y : y + 32, x : x + 32] += by_window_mean(image[None, None, y : y + 32, x : x + 32])[0]
            count[y : y + 32, x : x + 32] += 1
    found = mean_logits(image, by_window_mean, SMALL)
    assert worst(found, total / count) <= 1e-5
    whole = mean_logits(image, by_window_mean, SegmentationGeometry(48, 48))
    assert worst(found, whole) > 1e-2


def test_windows_run_one_by_one_down_each_column() -> None:
    image = np.arange(48 * 48, dtype=np.float32).reshape(48, 48)
    corners: list[float] = []

    def network(batch: np.ndarray) -> np.ndarray:
        assert (batch.shape, batch.dtype, batch.flags.c_contiguous) == ((1, 1, 32, 32), np.float32, True)
        corners.append(float(batch[0, 0, 0, 0]))
        return by_window_mean(batch)

    mean_logits(image, network, SMALL)
    assert corners == [48.0 * y + x for x in (0, 8, 16) for y in (0, 8, 16)]


def test_a_network_of_another_shape_is_refused_by_name() -> None:
    with pytest.raises(BundleContractBroken, match=r"\(1, 3, 32, 32\).*\(1, 4, 32, 32\)"):
        segment(radiograph(60, 70, 1), lambda batch: by_window_mean(batch)[:, :3], SMALL)


def test_the_lowest_class_wins_a_tie() -> None:
    logits = np.array([[[1, 0, 2]], [[1, 3, 2]], [[0, 3, 5]], [[1, 1, 5]]], np.float32)
    assert labels_from_logits(logits).tolist() == [[0, 1, 2]]


def test_segment_returns_labels_at_the_radiographs_size() -> None:
    truth = regions(384, 384)

    def network(batch: np.ndarray) -> np.ndarray:
        assert batch.min() == -1
        assert batch.max() == 1
        return np.eye(4, dtype=np.float32)[truth].transpose(2, 0, 1)[None]

    found = segment(radiograph(768, 1152, 1), network, SegmentationGeometry(384, 384))
    np.testing.assert_array_equal(found, np.repeat(np.repeat(truth, 2, axis=0), 3, axis=1))
    assert found.dtype == np.uint8


@pytest.mark.parametrize("case", ["cc", "cc_speckle", "cc_missing"])
def test_components_are_the_published_ones(case: str) -> None:
    arrays = golden("segmentation")
    labels, expected = displayed(arrays[f"{case}_in"]), displayed(arrays[f"{case}_out"])
    np.testing.assert_array_equal(largest_components(labels), expected)


def test_of_two_equal_components_the_one_further_right_is_kept() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[0, 4:6], labels[4, 0:2] = 1, 1
    assert np.argwhere(largest_components(labels)).tolist() == [[0, 4], [0, 5]]
    # Row by row, which is the transposed map, the lower one would be the last.
    assert np.argwhere(largest_components(displayed(labels)).T).tolist() == [[4, 0], [4, 1]]


@pytest.mark.parametrize("case", LOCATED)
def test_published_numerics_give_the_published_box(case: str) -> None:
    found = joint_regions(labels_of(case), numerics="published")
    assert found.box == box_from_inclusive(ARRAYS[f"{case}/bbox_x0x1y0y1_inclusive"])
    assert (found.image_left.fallback or found.image_right.fallback) == (case in FALLBACKS)


def test_published_fallback_has_the_published_sides() -> None:
    left = joint_regions(labels_of("no_left_intersection"), numerics="published")
    right = joint_regions(labels_of("no_right_intersection"), numerics="published")
    assert (left.image_left.fallback, left.image_right.fallback) == (True, False)
    assert (right.image_left.fallback, right.image_right.fallback) == (False, True)
    assert left.image_left.box == Box(16, 97, 74, 107)


@pytest.mark.parametrize("extent_and_radius", ARRAYS["extent_table"].tolist())
def test_dilation_is_that_of_the_vertical_extent_rounded_half_to_even(extent_and_radius: list[int]) -> None:
    extent, radius = extent_and_radius
    labels = np.zeros((400, 400), np.uint8)
    labels[100 : 101 + extent, 150:250] = 1
    labels[100 : 101 + extent, 250 + radius :] = 3
    labels[100 : 101 + extent, : 150 - radius + 1] = 2
    found = joint_regions(labels, RegionRules(area=(0, 1)))
    if radius == 0:
        assert (found.image_left.reason, found.image_right.reason) == ("no_contact", "no_contact")
        return
    assert found.image_left.box == Box(150 - radius, 100, 151 - radius, 101 + extent)
    assert found.image_right.reason == "no_contact"


@pytest.mark.parametrize("case", ["normal", "left_two_pieces", "thin_sides", "diag_pieces", "tie_pieces"])
def test_ours_is_the_published_box_where_both_joints_are_found(case: str) -> None:
    found = joint_regions(labels_of(case))
    assert found.box == box_from_inclusive(ARRAYS[f"{case}/bbox_x0x1y0y1_inclusive"])
    assert found.reason is None


@pytest.mark.parametrize("case", FALLBACKS)
def test_a_joint_without_contact_is_a_reason_and_no_strip(case: str) -> None:
    found = joint_regions(labels_of(case))
    assert found.box is None
    assert found.reason == "no_contact"
    lost = {"no_left_intersection": ("image_left",), "no_right_intersection": ("image_right",)}
    for side in lost.get(case, ("image_left", "image_right")):
        assert getattr(found, side) == JointRegion(None, "no_contact")


@pytest.mark.parametrize("numerics", ["corrected", "published"])
@pytest.mark.parametrize(
    ("case", "left", "right"),
    [
        ("empty_sacrum", "sacrum_not_found", "sacrum_not_found"),
        ("empty_left_class", "ilium_not_found", None),
    ],
)
def test_a_missing_bone_is_named_where_the_original_raised(
    case: str, left: str, right: str | None, numerics: str
) -> None:
    found = joint_regions(labels_of(case), numerics=numerics)  # type: ignore[arg-type]
    assert (found.image_left.reason, found.image_right.reason) == (left, right)
    assert found.box is None
    assert found.reason == left


def blocks(top: int, left: int, ilium_rows: int = 200) -> np.ndarray:
    """A sacrum of 200 x 100 between two ilia as wide as the dilation, so that regions and ilia are the same."""
    labels = np.zeros((400, 600), np.uint8)
    labels[top : top + 200, left + 10 : left + 110] = 1
    labels[top : top + ilium_rows, left : left + 10] = 2
    labels[top : top + 200, left + 110 : left + 120] = 3
    return labels


@pytest.mark.parametrize("turn", ["as it is", "upside down", "mirrored"])
@pytest.mark.parametrize(
    ("top", "left", "lost"), [(1, 100, 2), (2, 100, 0), (0, 100, 2), (50, 2, 1), (50, 3, 0), (50, 0, 1)]
)
def test_a_joint_within_half_a_percent_of_the_border_is_not_assessable(
    top: int, left: int, lost: int, turn: str
) -> None:
    labels = blocks(top, left)
    turned = {"as it is": labels, "upside down": labels[::-1], "mirrored": labels[:, ::-1]}[turn]
    found = joint_regions(np.ascontiguousarray(turned), replace(RegionRules(), area=(0, 1)))
    reasons = [found.image_left.reason, found.image_right.reason]
    assert reasons.count("at_image_border") == lost
    assert reasons.count(None) == 2 - lost
    assert (found.box is None) == (lost > 0)


@pytest.mark.parametrize(
    ("area", "reason"), [((0.07, 1), "ilium_size_implausible"), ((0.2, 1), "sacrum_size_implausible")]
)
def test_a_bone_of_implausible_size_is_named(area: tuple[float, float], reason: str) -> None:
    assert joint_regions(regions(400, 400)).reason is None
    assert joint_regions(regions(400, 400), RegionRules(area=area)).reason == reason


@pytest.mark.parametrize(("rows", "reason"), [(19, "contact_too_small"), (20, None)])
def test_a_touch_of_less_than_a_tenth_of_the_sacrum_is_no_joint(rows: int, reason: str | None) -> None:
    found = joint_regions(blocks(100, 200, ilium_rows=rows), RegionRules(area=(0, 1), pair=(0, 100)))
    assert (found.image_left.reason, found.image_right.reason) == (reason, None)


def test_the_labels_names_do_not_decide_the_side() -> None:
    labels = regions(400, 400)
    swapped = np.choose(labels, [0, 1, 3, 2]).astype(np.uint8)
    assert joint_regions(swapped) == joint_regions(labels)
    published = joint_regions(swapped, numerics="published")
    assert published.image_left == joint_regions(labels).image_right


def test_two_ilia_on_one_side_are_ambiguous() -> None:
    labels = regions(400, 400)
    labels[labels == 3] = 0
    left = labels == 2
    labels[left & (np.arange(400)[:, None] > 176)] = 3
    found = joint_regions(labels)
    assert (found.image_left.reason, found.image_right.reason) == ("sides_ambiguous", "sides_ambiguous")


def test_the_images_left_is_the_patients_right() -> None:
    left, right = JointRegion(Box(0, 0, 1, 1), None), JointRegion(Box(5, 5, 6, 6), None)
    found = JointRegions(left, right)
    assert (found.of_patient("right"), found.of_patient("left")) == (left, right)
    assert found.box == Box(0, 0, 6, 6)
