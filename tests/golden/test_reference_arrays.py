"""Every stage against the whole reference arrays, and the subset against its source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.crop import crop_from_box, pixels
from edge_sacro.preprocess.clahe import clahe_variant
from edge_sacro.preprocess.intensity import minus_one_to_one, published_eight_bit
from edge_sacro.preprocess.resize import area_resize
from edge_sacro.regions import joint_regions
from tests.golden.arrays import box_from_inclusive, displayed, golden, worst
from tests.golden.images import radiograph
from tests.golden.subset import CLASSIFIER_CASES, DATA, subset

SIZE_LIMIT = 2_000_000


@pytest.fixture
def reference(shared_dir: Path) -> Path:
    return shared_dir / "data" / "dorfner2024_golden"


def test_the_subset_stays_small() -> None:
    assert 0 < sum(file.stat().st_size for file in DATA.iterdir()) <= SIZE_LIMIT


@pytest.mark.shared
def test_the_subset_is_what_its_rule_says(reference: Path) -> None:
    for name, arrays in subset(reference).items():
        assert golden(name).keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(golden(name)[key], array, err_msg=f"{name}/{key}")
            assert golden(name)[key].dtype == array.dtype


@pytest.mark.shared
def test_segmentation_input_is_met_whole(reference: Path) -> None:
    gray = radiograph(600, 720, 1)
    planes = (gray, np.roll(gray, 2, axis=1), 255 - gray)
    colour = sum(w * plane.astype(np.float32) for w, plane in zip((0.2989, 0.5870, 0.1140), planes, strict=True))
    images = {
        "L_600x720": gray,
        "L_901x1103": radiograph(901, 1103, 2),
        "RGB_600x720": colour,
        "I16_901x1103": radiograph(901, 1103, 3, 16),
        "const_300x200": np.full((300, 200), 93, np.uint8),
    }
    with np.load(reference / "b_seg_pre.npz") as arrays:
        for name, image in images.items():
            resized = area_resize(image, (768, 768))
            expected = displayed(arrays[f"{name}/resized_sub6"][0])
            assert worst(resized[::6, ::6], expected) <= 4e-7 * expected.max(), name
            scaled = displayed(arrays[f"{name}/scaled_sub6"][0])
            assert worst(minus_one_to_one(resized)[::6, ::6], scaled) <= 1e-6, name
        whole = displayed(arrays["L_600x720/scaled_full"][0])
        assert worst(minus_one_to_one(area_resize(gray, (768, 768))), whole) <= 1e-6


@pytest.mark.shared
def test_every_crop_case_is_met_or_named(reference: Path) -> None:
    reasons = {"empty_left_class": "ilium_not_found", "empty_sacrum": "sacrum_not_found"}
    reasons |= {"all_background": "sacrum_not_found", "zero_image": "crop_is_dark"}
    with np.load(reference / "e_crop.npz") as arrays:
        cases = sorted({key.split("/")[0] for key in arrays.files if "/" in key})
        for case in cases:
            image, labels = displayed(arrays[f"{case}/image"]), displayed(arrays[f"{case}/mask"])
            found = joint_regions(labels, numerics="published")
            crop = None if found.box is None else crop_from_box(image, found.box)
            if f"{case}/exception" in arrays:
                assert (found.reason or (crop and crop.reason)) == reasons.pop(case)
                continue
            assert crop is not None
            assert crop.box == box_from_inclusive(arrays[f"{case}/fg_bbox_x0x1y0y1_inclusive"]), case
            np.testing.assert_array_equal(pixels(image, crop.box), displayed(arrays[f"{case}/crop"][0]), err_msg=case)
    assert not reasons
    assert len(cases) == 17


@pytest.mark.shared
def test_every_contrast_case_is_met(reference: Path) -> None:
    # Widths of 3 and 4 made the original guess at colours; ours has no such guess.
    with np.load(reference / "f_clahe.npz") as arrays:
        cases = sorted({key.split("/")[0] for key in arrays.files} - {"order", "width3_24x3", "width4_24x4"})
        for case in cases:
            assert worst(clahe_variant(arrays[f"{case}/in"]), arrays[f"{case}/out"]) <= 1e-6, case
    assert len(cases) == 12


@pytest.mark.shared
def test_every_classifier_input_is_met(reference: Path) -> None:
    with np.load(reference / "g_classifier.npz") as arrays:
        for case in (*CLASSIFIER_CASES, "large_900x1300"):
            rows, columns = (int(side) for side in case.split("_")[1].split("x"))
            crop = radiograph(rows, columns, CLASSIFIER_CASES.get(case, 43))
            found = classifier_input(crop, ClassifierGeometry())
            assert worst(found[::4, ::4], arrays[f"{case}/input_sub4"]) <= 1e-4, case
            if f"{case}/input" in arrays:
                assert worst(found, arrays[f"{case}/input"]) <= 1e-4, case


@pytest.mark.shared
@pytest.mark.parametrize("name", ["m2_12.dcm", "m2_12_slope.dcm", "I16.tif", "L.png"])
def test_the_published_cast_wraps_as_the_original_does(reference: Path, name: str) -> None:
    with np.load(reference / "a_readers.npz") as arrays:
        gray, eight_bit = arrays[f"{name}/gray"][0], arrays[f"{name}/read_image"]
    np.testing.assert_array_equal(published_eight_bit(gray), eight_bit)
    if gray.max() > 255:
        assert not np.array_equal(np.clip(gray, 0, 255).astype(np.uint8), eight_bit)
