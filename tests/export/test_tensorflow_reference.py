"""The twin and its graph against TensorFlow's own outputs of a real SavedModel; each silent trap shown to matter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

import onnxruntime
import torch

from edge_sacro.preprocess.tf_resize import MEAN, STANDARD_DEVIATION, aspect_size, detector_input
from export.onnx_graph import onnx_from_module
from export.tensorflow.decode import BoxDecoder, anchor_boxes
from export.tensorflow.efficientdet import INPUT_NAME, OUTPUT_NAMES, EfficientDet, detector_from_saved_model
from export.tensorflow.pipeline import BoxScales
from tests.export.detections import furthest_box, suppressed

pytestmark = [pytest.mark.heavy, pytest.mark.shared]

SIZE = 512
TOLERANCE = 1e-4
IMAGES = (0, 1, 2)
"""512 x 512; 460 x 512, padded; 1024 x 870, resized and padded."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def reference(shared_dir: Path) -> dict[str, np.ndarray]:
    with np.load(shared_dir / "data" / "tfod_efficientdet_d0" / "reference.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def net(shared_dir: Path) -> EfficientDet:
    folder = shared_dir / "data" / "tfod_efficientdet_d0"
    return detector_from_saved_model(folder / "saved_model", folder / "pipeline.config")


@pytest.fixture(scope="module")
def graph(net: EfficientDet, tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("graph") / "detector.onnx"
    onnx_from_module(net, path, net.input_shape, input_name=INPUT_NAME, output_names=OUTPUT_NAMES)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def deviation(
    net: EfficientDet, values: np.ndarray, reference: dict[str, np.ndarray], image: int
) -> tuple[float, float]:
    """Largest difference from TensorFlow over all anchors, of scores and of boxes."""
    with torch.inference_mode():
        scores, boxes = (found.numpy() for found in net.raw(torch.from_numpy(values)))
    return (
        float(np.abs(scores - reference[f"raw_detection_scores{image}"]).max()),
        float(np.abs(boxes - reference[f"raw_detection_boxes{image}"]).max()),
    )


@pytest.mark.parametrize("image", IMAGES)
def test_the_twin_meets_tensorflow_at_every_anchor(
    net: EfficientDet, reference: dict[str, np.ndarray], image: int
) -> None:
    values, _ = detector_input(reference[f"im{image}"], SIZE)
    scores, boxes = deviation(net, values, reference, image)
    assert scores <= TOLERANCE
    assert boxes <= TOLERANCE


@pytest.mark.parametrize("image", IMAGES)
def test_the_graphs_best_boxes_are_tensorflows(
    graph: onnxruntime.InferenceSession, reference: dict[str, np.ndarray], image: int
) -> None:
    values, _ = detector_input(reference[f"im{image}"], SIZE)
    scores, boxes = graph.run(None, {INPUT_NAME: values})
    assert (scores.shape, boxes.shape) == ((1, 2, 512), (1, 2, 512, 4))
    for number in range(2):
        all_scores = reference[f"raw_detection_scores{image}"][0, :, number]
        all_boxes = reference[f"raw_detection_boxes{image}"][0]
        expected = np.sort(all_scores)[::-1][:512]
        assert np.abs(scores[0, number] - expected).max() <= TOLERANCE
        assert furthest_box(scores[0, number], boxes[0, number], all_scores, all_boxes) <= TOLERANCE
        other = scores[0, number, ::-1]
        assert furthest_box(other, boxes[0, number], all_scores, all_boxes) > 0.1, "negative control: boxes of others"


@pytest.mark.parametrize("image", IMAGES)
def test_suppression_outside_the_graph_gives_tensorflows_detections(
    graph: onnxruntime.InferenceSession, reference: dict[str, np.ndarray], image: int
) -> None:
    values, (rows, columns) = detector_input(reference[f"im{image}"], SIZE)
    scores, boxes = graph.run(None, {INPUT_NAME: values})
    found, where, classes = suppressed(scores[0], boxes[0], (rows / SIZE, columns / SIZE))
    expected = reference[f"detection_scores{image}"][0]
    assert np.abs(found - expected).max() <= TOLERANCE
    for number in (1, 2):
        mine, theirs = classes == number, reference[f"detection_classes{image}"][0] == number
        assert mine.sum() == theirs.sum()
        listed = reference[f"detection_boxes{image}"][0][theirs]
        assert furthest_box(found[mine], where[mine], expected[theirs], listed) <= TOLERANCE


def padded_first(image: np.ndarray) -> np.ndarray:
    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    black[: image.shape[0], : image.shape[1]] = image
    return detector_input(black, SIZE)[0]


def test_trap_padding_before_normalisation_moves_scores(net: EfficientDet, reference: dict[str, np.ndarray]) -> None:
    scores, _ = deviation(net, padded_first(reference["im1"]), reference, 1)
    assert scores > 0.1


def half_pixel_centres(image: np.ndarray) -> np.ndarray:
    rows, columns = aspect_size((image.shape[0], image.shape[1]), SIZE)
    resized = cv2.resize(image.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR) / 255
    values = np.zeros((SIZE, SIZE, 3), np.float32)
    values[:rows, :columns] = (resized - np.float32(MEAN)) / np.float32(STANDARD_DEVIATION)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def test_trap_half_pixel_centres_move_scores(net: EfficientDet, reference: dict[str, np.ndarray]) -> None:
    scores, _ = deviation(net, half_pixel_centres(reference["im2"]), reference, 2)
    assert scores > 0.01
    scores, _ = deviation(net, half_pixel_centres(reference["im0"]), reference, 0)
    assert scores <= TOLERANCE, "an image of the network's size is not resized, so this trap does not show there"


def test_trap_box_coder_scales_left_out_move_every_box(net: EfficientDet, reference: dict[str, np.ndarray]) -> None:
    values, _ = detector_input(reference["im0"], SIZE)
    expected = reference["raw_detection_boxes0"][0]
    unscaled = BoxDecoder(anchor_boxes(net.pipeline), BoxScales(1.0, 1.0, 1.0, 1.0))
    with torch.inference_mode():
        _, codes = net.predictions(torch.from_numpy(values))
        wrong = np.abs(unscaled.every(codes)[0].numpy() - expected).max(axis=1)
    assert np.median(wrong) > 100 * TOLERANCE
    swapped = dataclasses.replace(net.pipeline.box_scales, y=5.0, x=5.0, height=10.0, width=10.0)
    with torch.inference_mode():
        wrong = np.abs(BoxDecoder(anchor_boxes(net.pipeline), swapped).every(codes)[0].numpy() - expected).max(axis=1)
    assert np.median(wrong) > 10 * TOLERANCE


def test_trap_a_level_taken_elsewhere_in_its_stage_moves_scores(
    net: EfficientDet, reference: dict[str, np.ndarray]
) -> None:
    values, _ = detector_input(reference["im0"], SIZE)
    right = net.backbone.endpoints
    try:
        # The same channels, the same variables: nothing but the numbers tells.
        net.backbone.endpoints = ((2, 0), (4, 1), (6, 0))
        scores, _ = deviation(net, values, reference, 0)
    finally:
        net.backbone.endpoints = right
    assert scores > 0.01


def test_channels_in_another_order_move_scores(net: EfficientDet, reference: dict[str, np.ndarray]) -> None:
    values, _ = detector_input(np.ascontiguousarray(reference["im0"][:, :, ::-1]), SIZE)
    scores, _ = deviation(net, values, reference, 0)
    assert scores > 0.01
