"""The whole system with full-size networks in ONNX Runtime, from the radiograph to the probability.

The tests of the subset need nothing but the product; those marked ``shared`` compare whole reference arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_sacro.classify import ClassifierGeometry, classifier_input, classify
from edge_sacro.crop import crop_from_box, pixels
from edge_sacro.locate import (
    SegmentationGeometry,
    labels_from_logits,
    largest_components,
    mean_logits,
    segmentation_input,
)
from edge_sacro.preprocess.resize import nearest_inverse
from edge_sacro.regions import joint_regions
from tests.golden.arrays import displayed, golden, worst
from tests.golden.images import radiograph, regions

pytest.importorskip("torch")
pytest.importorskip("monai")

from tests.golden import networks

pytestmark = pytest.mark.heavy

LOGITS, INPUT, PROBABILITY = 1e-4, 1e-4, 1e-5
GEOMETRY = SegmentationGeometry()


@dataclass(frozen=True, eq=False)
class Networks:
    folder: Path
    segmenter: networks.Run
    classifier: networks.Run


@pytest.fixture(scope="module")
def full_size(published_bundle: Path) -> Networks:
    segmenter, classifier = (networks.runner(published_bundle / f"{name}.onnx") for name in ("segmenter", "classifier"))
    return Networks(published_bundle.parent, segmenter, classifier)


@pytest.fixture(scope="module")
def nine_windows(full_size: Networks) -> np.ndarray:
    image = segmentation_input(radiograph(600, 720, 1), GEOMETRY)
    return mean_logits(image, full_size.segmenter, GEOMETRY)


def labels_at_size(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return nearest_inverse(largest_components(labels_from_logits(logits)), size)


def published_crop(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    box = joint_regions(labels, numerics="published").box
    assert box is not None
    crop = crop_from_box(image, box)
    assert crop.box is not None
    return pixels(image, crop.box)


def one_pass(folder: Path, image: np.ndarray) -> np.ndarray:
    import torch

    from export.architectures import SEGMENTER

    net = SEGMENTER.from_checkpoint(folder / networks.SEGMENTER_FILE)
    with torch.inference_mode():
        return net(torch.from_numpy(image)[None, None])[0].numpy()


def test_mean_logits_of_nine_windows_meet_the_published_ones(nine_windows: np.ndarray) -> None:
    arrays = golden("segmentation")
    assert worst(nine_windows[:, ::24, ::24], displayed(arrays["sw_logits_sub24"])) <= LOGITS
    assert worst(nine_windows[:, :, 380:388], displayed(arrays["sw_rowcrop_full"])) <= LOGITS
    np.testing.assert_array_equal(labels_from_logits(nine_windows)[::2, ::2], displayed(arrays["sw_argmax_sub2"]))


def test_one_pass_over_the_image_is_another_result(full_size: Networks, nine_windows: np.ndarray) -> None:
    found = one_pass(full_size.folder, segmentation_input(radiograph(600, 720, 1), GEOMETRY))
    arrays = golden("segmentation")
    assert worst(found[:, ::24, ::24], displayed(arrays["onepass768_logits_sub24"])) <= LOGITS
    assert worst(found[:, ::24, ::24], displayed(arrays["sw_logits_sub24"])) > 1
    assert np.mean(labels_from_logits(found) != labels_from_logits(nine_windows)) > 0.2


def test_the_image_as_the_original_lays_it_out_is_another_result(full_size: Networks) -> None:
    window = segmentation_input(radiograph(600, 720, 1), GEOMETRY)[:512, :512]
    ours = full_size.segmenter(np.ascontiguousarray(window)[None, None])[0]
    transposed = full_size.segmenter(np.ascontiguousarray(window.T)[None, None])[0]
    assert worst(displayed(transposed), ours) > 1


def test_labels_crop_and_probability_meet_the_published_ones(full_size: Networks, nine_windows: np.ndarray) -> None:
    arrays, image = golden("classifier"), radiograph(600, 720, 1)
    labels = labels_at_size(nine_windows, image.shape)
    np.testing.assert_array_equal(labels, displayed(arrays["e2e_600x720/mask"]))
    check_from_labels(full_size, image, labels, "e2e_600x720")


@pytest.mark.parametrize(("case", "rows", "columns", "seed"), [("e2e_901x1103", 901, 1103, 2)])
def test_crop_and_probability_meet_the_published_ones_from_its_labels(
    full_size: Networks, case: str, rows: int, columns: int, seed: int
) -> None:
    labels = displayed(golden("classifier")[f"{case}/mask"])
    check_from_labels(full_size, radiograph(rows, columns, seed), labels, case)


def test_ours_agrees_with_the_published_one_where_it_finds_both_joints(full_size: Networks) -> None:
    image, labels = radiograph(600, 720, 1), regions(600, 720)
    assert joint_regions(labels) == joint_regions(labels, numerics="published")
    check_from_labels(full_size, image, labels, "e2e_600x720_idealmask")


def check_from_labels(full_size: Networks, image: np.ndarray, labels: np.ndarray, case: str) -> None:
    arrays = golden("classifier")
    crop = published_crop(image, labels)
    assert displayed(crop).shape == tuple(arrays[f"{case}/crop_shape"])
    np.testing.assert_array_equal(displayed(crop)[::4, ::4], arrays[f"{case}/crop_sub4"])
    assert worst(classifier_input(crop, ClassifierGeometry())[::8, ::8], arrays[f"{case}/input_sub8"]) <= INPUT
    found = classify(crop, full_size.classifier)
    assert worst(np.array([found.logits]), arrays[f"{case}/logits"]) <= LOGITS
    assert abs(found.probability - arrays[f"{case}/prob"][1]) <= PROBABILITY
    mirrored = classify(crop[:, ::-1], full_size.classifier)
    assert abs(mirrored.probability - arrays[f"{case}/prob"][1]) > PROBABILITY


def test_classifier_meets_the_published_logits_on_noise(full_size: Networks) -> None:
    noise = np.random.Generator(np.random.PCG64(99)).random((1, 1, 416, 628)).astype(np.float32)
    assert worst(full_size.classifier(noise), golden("classifier")["rand_pcg64_99/logits"]) <= LOGITS


def test_weights_changed_in_one_channel_do_not_meet_it(full_size: Networks) -> None:
    import torch

    from export.architectures import CLASSIFIER

    noise = np.random.Generator(np.random.PCG64(99)).random((1, 1, 416, 628)).astype(np.float32)
    module = CLASSIFIER.from_checkpoint(full_size.folder / networks.CLASSIFIER_FILE)
    expected = golden("classifier")["rand_pcg64_99/logits"]
    with torch.inference_mode():
        assert worst(module(torch.from_numpy(noise)).numpy(), expected) <= LOGITS
        module.layer4[2].conv3.weight[0] *= 1.1
        assert worst(module(torch.from_numpy(noise)).numpy(), expected) > LOGITS


@pytest.mark.shared
def test_whole_reference_arrays_are_met_end_to_end(full_size: Networks, shared_dir: Path) -> None:
    image = radiograph(901, 1103, 2)
    logits = mean_logits(segmentation_input(image, GEOMETRY), full_size.segmenter, GEOMETRY)
    labels = labels_at_size(logits, image.shape)
    with np.load(shared_dir / "data/dorfner2024_golden/i_e2e.npz") as arrays:
        np.testing.assert_array_equal(labels, displayed(arrays["e2e_901x1103/mask"]))
        cases = {"e2e_901x1103": labels, "e2e_901x1103_idealmask": regions(901, 1103)}
        for case, case_labels in cases.items():
            crop = published_crop(image, case_labels)
            np.testing.assert_array_equal(displayed(crop)[None], arrays[f"{case}/crop"])
            assert worst(classifier_input(crop, ClassifierGeometry()), arrays[f"{case}/input"]) <= INPUT
            found = classify(crop, full_size.classifier)
            assert worst(np.array([found.logits]), arrays[f"{case}/logits"]) <= LOGITS
            assert abs(found.probability - arrays[f"{case}/prob"][1]) <= PROBABILITY


@pytest.mark.shared
def test_whole_reference_logits_are_met(full_size: Networks, nine_windows: np.ndarray, shared_dir: Path) -> None:
    image = segmentation_input(radiograph(600, 720, 1), GEOMETRY)
    with np.load(shared_dir / "data/dorfner2024_golden/c_unet.npz") as arrays:
        assert worst(nine_windows[:, ::6, ::6], displayed(arrays["sw_logits_sub6"])) <= LOGITS
        window = full_size.segmenter(np.ascontiguousarray(image[None, None, :512, :512]))[0]
        assert worst(window[:, ::4, ::4], displayed(arrays["window0_512_logits_sub4"])) <= LOGITS
    with np.load(shared_dir / "data/dorfner2024_golden/g_classifier.npz") as arrays:
        found = classify(radiograph(900, 1300, 43), full_size.classifier)
        assert worst(np.array([found.logits]), arrays["large_900x1300/logits"]) <= LOGITS
        assert abs(found.probability - arrays["large_900x1300/prob"][1]) <= PROBABILITY
