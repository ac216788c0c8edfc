"""The twin without reference data: loading by name, the published size D4, anchors, decoding and the exported graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import onnxruntime
import torch
from torch import nn

from edge_sacro.errors import BundleContractBroken
from export.onnx_graph import onnx_from_module
from export.tensorflow.bifpn import plan
from export.tensorflow.decode import BoxDecoder, anchor_boxes
from export.tensorflow.efficientdet import (
    D4_CONFIG,
    INPUT_NAME,
    OUTPUT_NAMES,
    EfficientDet,
    detector,
    detector_from_checkpoint,
    detector_from_saved_model,
    filled,
)
from export.tensorflow.efficientnet import Backbone, scaled_channels
from export.tensorflow.layers import BatchNorm, Combination, DepthwiseConvolution, Link, links_from_module, same_padding
from export.tensorflow.pipeline import BoxScales, Pipeline, pipeline_from_config
from tests.export.detections import furthest_box
from tests.export.tensorflow_writer import write_model

pytestmark = pytest.mark.heavy

D4 = pipeline_from_config(D4_CONFIG)
TINY_CONFIG = (
    D4_CONFIG.read_text("utf-8")
    .replace("-b4_", "-b0_")
    .replace(": 1024", ": 128")
    .replace("num_iterations: 7", "num_iterations: 2")
    .replace("_predictor: 4", "_predictor: 1")
    .replace(": 224", ": 16")
)
PLAIN_OPERATORS = {
    *("Add", "BatchNormalization", "Clip", "Concat", "Conv", "Div", "Exp", "Gather", "MaxPool", "Mul", "ReduceMean"),
    *("Reshape", "Resize", "Sigmoid", "Slice", "Sub", "TopK", "Transpose"),
}

SCORES = [
    [0.512, 0.45246],
    [0.44209, 0.49862],
    [0.49762, 0.48669],
    [0.52244, 0.45884],
    [0.392, 0.42227],
    [0.63748, 0.23812],
    [0.50433, 0.47294],
]
BOXES = [[0.25779, 0.82108, 0.55985, 1.13307], [-3.77565, -1.79671, 5.038, 2.67462]]
"""Of the tiny network with drawn variables, when the same code met TensorFlow's outputs of a real model."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def images_for(net: EfficientDet) -> torch.Tensor:
    return torch.randn((4, *net.input_shape[1:]), generator=torch.Generator().manual_seed(4))


def image_for(net: EfficientDet) -> torch.Tensor:
    return images_for(net)[:1]


def settled(net: EfficientDet) -> EfficientDet:
    """Give the batch norms the statistics of random images, so that the signal reaches the scores."""
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.train()
            part.momentum = 1.0
    with torch.no_grad():
        net.class_head.predictor.pointwise.weight.mul_(5)
        net.predictions(images_for(net))
    return net.eval()


@pytest.fixture(scope="module")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "pipeline.config"
    path.write_text(TINY_CONFIG, "utf-8")
    return path


@pytest.fixture(scope="module")
def tiny(tiny_config: Path) -> EfficientDet:
    torch.manual_seed(5)
    return settled(detector(pipeline_from_config(tiny_config)))


@pytest.fixture(scope="module")
def d4() -> EfficientDet:
    """The published network on a smaller image."""
    torch.manual_seed(6)
    return settled(detector(dataclasses.replace(D4, size=256)))


def variables_from_network(net: EfficientDet) -> dict[str, np.ndarray]:
    found = {}
    for name, link in links_from_module(net).items():
        scope = "EfficientDet-D0/" if name.startswith("bifpn/") else ""
        value = link.tensor.detach().numpy().transpose(np.argsort(link.axes))
        found[scope + name] = np.ascontiguousarray(value)
    return found


def test_a_saved_model_fills_every_tensor(tiny: EfficientDet, tiny_config: Path, tmp_path: Path) -> None:
    variables = variables_from_network(tiny)
    classifier = {"logits/bias": np.ones(4, np.float32), "top_conv2d/kernel": np.ones((1, 1, 2, 2), np.float32)}
    write_model(tmp_path / "variables" / "variables", {**variables, **classifier}, root="_model")
    from_model = detector_from_saved_model(tmp_path, tiny_config)
    from_checkpoint = detector_from_checkpoint(tmp_path / "variables" / "variables", tiny_config)
    with torch.inference_mode():
        expected = tiny.raw(image_for(tiny))
        for net in (from_model, from_checkpoint):
            for mine, theirs in zip(net.raw(image_for(tiny)), expected, strict=True):
                torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
        fresh = detector(tiny.pipeline).raw(image_for(tiny))
        assert (fresh[0] - expected[0]).abs().max() > 0.01, "negative control: other weights answer otherwise"


def drawn(net: EfficientDet) -> dict[str, np.ndarray]:
    """Variables by name, scaled so that the signal neither fades nor grows."""
    found = {}
    for index, (name, value) in enumerate(variables_from_network(net).items()):
        signed = np.random.default_rng(index).random(value.shape) * 2 - 1
        if value.ndim == 4:
            inputs = 1 if name.endswith("depthwise_kernel") else value.shape[2]
            found[name] = signed * np.sqrt(6 / (value.shape[0] * value.shape[1] * inputs))
        else:
            found[name] = 0.2 * signed + name.endswith(("gamma", "moving_variance", "weights"))
    return {name: value.astype(np.float32) for name, value in found.items()}


def numbers(net: EfficientDet) -> tuple[np.ndarray, np.ndarray]:
    values = np.random.default_rng(9).random(net.input_shape, np.float32) * 4 - 2
    with torch.inference_mode():
        scores, boxes = net.raw(torch.from_numpy(values))
    return scores[0, ::500].numpy(), boxes[0, [1000, 3068]].numpy()


def test_the_numbers_stay_those_of_the_twin_that_met_tensorflow(tiny: EfficientDet) -> None:
    net = filled(detector(tiny.pipeline), drawn(tiny), "drawn")
    scores, boxes = numbers(net)
    np.testing.assert_allclose(scores, SCORES, atol=1e-4)
    np.testing.assert_allclose(boxes, BOXES, atol=1e-4)
    net.backbone.endpoints = ((2, 0), (4, 1), (6, 0))
    moved, _ = numbers(net)
    assert np.abs(moved - SCORES).max() > 1e-2, "negative control: levels taken elsewhere"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda variables: variables.pop("stem_bn/beta"), "1 missing: stem_bn/beta"),
        (lambda variables: variables.update({"stack_7/kernel": np.zeros(1)}), "1 unexpected: stack_7/kernel"),
        (
            lambda variables: variables.update({"stem_conv2d/kernel": np.zeros((3, 3, 1, 32))}),
            r"1 of another shape: stem_conv2d/kernel \(3, 3, 1, 32\)",
        ),
        (
            lambda variables: variables.update({"stem_bn/beta": np.zeros((32, 1))}),
            r"another shape: stem_bn/beta \(32, 1\)",
        ),
        (dict.clear, r"\d+ missing: stem_conv2d/kernel, .*…"),
    ],
)
def test_other_variables_are_refused_by_name(tiny: EfficientDet, change: object, told: str) -> None:
    variables = variables_from_network(tiny)
    change(variables)  # type: ignore[operator]
    with pytest.raises(BundleContractBroken, match=f"some model: .*{told}"):
        filled(detector(tiny.pipeline), variables, "some model")


def test_variables_of_another_size_are_refused(tiny: EfficientDet) -> None:
    wider = dataclasses.replace(tiny.pipeline, pyramid=dataclasses.replace(tiny.pipeline.pyramid, channels=24))
    with pytest.raises(BundleContractBroken, match=r"of another shape: bifpn/node_00/0_up_lvl_6/"):
        filled(detector(wider), variables_from_network(tiny), "some model")


def test_d4_has_the_variables_and_parameters_of_the_published_size(d4: EfficientDet) -> None:
    links = links_from_module(d4)
    # With the classifier's 26 behind the last endpoint (one block, top, logits) the 1,284 that the API saves.
    assert len(links) == 1258
    assert d4.backbone.unused() == ("stack_6/block_1/", "top_conv2d/", "top_bn/", "logits/")
    last = sum(tensor.numel() for tensor in Backbone(4, ((6, 1),)).blocks[-1].parameters())
    total = sum(parameter.numel() for parameter in d4.parameters()) + last
    assert total == pytest.approx(20.7e6, rel=0.01), "EfficientDet, table 2 of arXiv 1911.09070v7"


def test_b4_is_scaled_as_published() -> None:
    assert [scaled_channels(channels, 1.4) for channels in (32, 16, 24, 40, 80, 112, 192, 320)] == [
        *(48, 24, 32, 56, 112, 160, 272, 448)
    ]
    backbone = Backbone(4, ((6, 1),))
    assert backbone.repeats == (2, 4, 4, 6, 6, 8, 2)
    assert len(backbone.blocks) == 32


def test_trap_levels_lie_inside_the_stages_of_b4_and_stage_ends_answer_otherwise(d4: EfficientDet) -> None:
    assert d4.backbone.endpoints == ((2, 1), (4, 2), (6, 0))
    assert d4.backbone.channels() == (56, 160, 448)
    image = image_for(d4)
    with torch.inference_mode():
        expected, _ = d4.raw(image)
        again, _ = d4.raw(image)
        try:
            d4.backbone.endpoints = ((2, 3), (4, 5), (6, 0))
            assert d4.backbone.channels() == (56, 160, 448), "the same variables fit"
            wrong, _ = d4.raw(image)
        finally:
            d4.backbone.endpoints = ((2, 1), (4, 2), (6, 0))
    assert torch.equal(again, expected)
    assert (wrong - expected).abs().max() > 0.05


def test_d4_becomes_a_plain_static_graph_that_answers_as_the_twin(tmp_path: Path) -> None:
    # Two of its seven cells and two of the heads' four layers: the others repeat them, and cost half a minute.
    pyramid, heads = dataclasses.replace(D4.pyramid, cells=2), dataclasses.replace(D4.heads, layers=2)
    torch.manual_seed(6)
    d4 = settled(detector(dataclasses.replace(D4, size=256, pyramid=pyramid, heads=heads)))
    path = onnx_from_module(d4, tmp_path / "d4.onnx", d4.input_shape, input_name=INPUT_NAME, output_names=OUTPUT_NAMES)
    graph = onnx.load(path).graph
    assert {node.op_type for node in graph.node} <= PLAIN_OPERATORS
    assert not any(attribute.HasField("g") for node in graph.node for attribute in node.attribute)
    tensors = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert tensors == {"image": [1, 3, 256, 256], "scores": [1, 2, 512], "boxes": [1, 2, 512, 4]}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = image_for(d4)
    scores, boxes = session.run(None, {INPUT_NAME: image.numpy()})
    with torch.inference_mode():
        all_scores, all_boxes = (found[0].numpy() for found in d4.raw(image))
    assert np.ptp(all_scores) > 0.2, "the weights give the heads something to say"
    for number in range(2):
        expected = np.sort(all_scores[:, number])[::-1][:512]
        assert np.abs(scores[0, number] - expected).max() <= 1e-4
        assert furthest_box(scores[0, number], boxes[0, number], all_scores[:, number], all_boxes) <= 1e-4
        reversed_scores = scores[0, number, ::-1]
        assert furthest_box(reversed_scores, boxes[0, number], all_scores[:, number], all_boxes) > 0.1


def anchors_by_loops(pipeline: Pipeline) -> np.ndarray:
    found = []
    for level in range(3, 8):
        stride = 2**level
        for row in range(pipeline.size // stride):
            for column in range(pipeline.size // stride):
                y, x = (row + 0.5) * stride, (column + 0.5) * stride
                for ratio in (1.0, 2.0, 0.5):
                    for octave in range(3):
                        side = 4 * stride * 2 ** (octave / 3)
                        height, width = side / ratio**0.5, side * ratio**0.5
                        found.append([y - height / 2, x - width / 2, y + height / 2, x + width / 2])
    return np.array(found) / pipeline.size


def test_anchors_are_those_of_the_configuration() -> None:
    small = dataclasses.replace(D4, size=256)
    found = anchor_boxes(small)
    assert (found.shape, found.dtype) == ((12276, 4), np.float32)
    np.testing.assert_allclose(found, anchors_by_loops(small), atol=1e-6)
    assert len(anchor_boxes(dataclasses.replace(D4, size=512))) == 49104
    other = dataclasses.replace(small, anchors=dataclasses.replace(small.anchors, aspect_ratios=(1.0, 0.5, 2.0)))
    assert np.abs(anchor_boxes(other) - anchors_by_loops(small)).max() > 0.1, (
        "negative control: ratios in another order"
    )


def test_a_code_moves_and_stretches_its_anchor() -> None:
    anchor = np.array([[0.2, 0.4, 0.4, 0.5]], np.float32)
    codes = torch.tensor([[[10.0, -20.0, 5 * np.log(2), 0.0]]], dtype=torch.float32)
    scaled = BoxDecoder(anchor, BoxScales(10.0, 10.0, 5.0, 5.0)).every(codes)
    # One height down, two widths left, twice as high: centre 0.5, 0.25, size 0.4 x 0.1.
    np.testing.assert_allclose(scaled[0, 0].numpy(), [0.3, 0.2, 0.7, 0.3], atol=1e-6)
    unscaled = BoxDecoder(anchor, BoxScales(1.0, 1.0, 1.0, 1.0)).every(codes)
    assert (unscaled - scaled).abs().max() > 1
    endless = BoxDecoder(anchor, BoxScales(10.0, 10.0, 5.0, 5.0)).every(torch.full((1, 1, 4), 1e6))
    assert torch.isfinite(endless).all()


def test_the_best_boxes_of_each_class_come_in_order() -> None:
    rng = np.random.default_rng(8)
    logits, codes = rng.normal(size=(1, 90, 3)).astype(np.float32), rng.normal(size=(1, 90, 4)).astype(np.float32)
    decoder = BoxDecoder(np.sort(rng.random((90, 4)).astype(np.float32), axis=1), BoxScales(10.0, 10.0, 5.0, 5.0))
    scores, boxes = decoder.best(torch.from_numpy(logits), torch.from_numpy(codes), 20)
    every = decoder.every(torch.from_numpy(codes))[0]
    for number in range(3):
        order = np.argsort(-logits[0, :, number])[:20]
        np.testing.assert_allclose(scores[0, number].numpy(), 1 / (1 + np.exp(-logits[0, order, number])), rtol=1e-6)
        torch.testing.assert_close(boxes[0, number], every[torch.from_numpy(order)], rtol=0, atol=0)


def test_a_small_network_gives_all_its_anchors() -> None:
    few = dataclasses.replace(D4.anchors, aspect_ratios=(1.0,), scales_per_octave=1)
    net = detector(dataclasses.replace(D4, backbone=0, size=128, anchors=few))
    with torch.inference_mode():
        scores, boxes = net(image_for(net))
    assert (tuple(scores.shape), tuple(boxes.shape)) == ((1, 2, 341), (1, 2, 341, 4))


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "expected"),
    [(8, 3, 2, (0, 1)), (7, 3, 2, (1, 1)), (8, 5, 2, (1, 2)), (8, 5, 1, (2, 2)), (8, 1, 1, (0, 0)), (9, 2, 3, (0, 0))],
)
def test_same_padding_puts_the_odd_pixel_after(
    length: int, kernel: int, stride: int, expected: tuple[int, int]
) -> None:
    assert same_padding(length, kernel, stride) == expected


def test_a_strided_convolution_pads_as_tensorflow_does() -> None:
    layer = DepthwiseConvolution("some", 1, 3, 2)
    nn.init.ones_(layer.conv.weight)
    row = torch.arange(1.0, 5.0).expand(1, 1, 4, 4)
    found = layer(row)
    # Windows start at the first pixel: 1 + 2 + 3 over three rows, then 3 + 4 and padding; two rows at the lower edge.
    assert found[0, 0].tolist() == [[18.0, 21.0], [12.0, 14.0]]
    symmetric = nn.functional.conv2d(row, layer.conv.weight, stride=2, padding=1)
    assert not torch.equal(found, symmetric)


def test_fusion_cuts_weights_at_zero_and_normalises_them() -> None:
    layer = Combination("some", 3)
    (link,) = layer.links().values()
    with torch.no_grad():
        link.tensor.copy_(torch.tensor([[1.0], [-5.0], [3.0]]))
    assert layer.weights.tolist() == [1.0, -5.0, 3.0]
    found = layer([torch.full((1, 1, 1, 1), value) for value in (1.0, 10.0, 2.0)])
    assert found.item() == pytest.approx(7 / 4.0001, rel=1e-6)


def test_batch_norms_have_the_epsilon_of_the_configuration(tiny: EfficientDet) -> None:
    heads = dataclasses.replace(tiny.pipeline.heads, epsilon=0.01)
    net = detector(dataclasses.replace(tiny.pipeline, heads=heads))
    found = {
        "heads" if "Predict" in part.name else "rest": part.norm.eps
        for part in net.modules()
        if isinstance(part, BatchNorm)
    }
    assert found == {"heads": 0.01, "rest": 0.001}


def test_nodes_are_numbered_and_connected_as_the_api_has_them() -> None:
    nodes = plan(D4.pyramid)
    assert len(nodes) == 2 + 7 * 8
    inputs = {node.name: [source.name for source in node.sources] for node in nodes}
    assert [node.name for node in nodes[:6]] == [
        *("0_up_lvl_6", "0_up_lvl_7", "1_dn_lvl_6", "1_dn_lvl_5", "1_dn_lvl_4", "1_dn_lvl_3")
    ]
    assert inputs["1_dn_lvl_3"] == ["0_up_lvl_3", "1_dn_lvl_4"]
    assert inputs["2_dn_lvl_3"] == ["1_dn_lvl_3", "2_dn_lvl_4"], "the finest level has one node a cell"
    assert inputs["1_up_lvl_5"] == ["0_up_lvl_5", "1_dn_lvl_5", "1_up_lvl_4"]
    assert inputs["1_up_lvl_7"] == ["0_up_lvl_7", "1_up_lvl_6"]


def test_two_layers_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two layers are filled by same/gamma"):
        links_from_module(nn.Sequential(BatchNorm("same", 2, 1e-3), BatchNorm("same", 2, 1e-3)))


def test_a_link_is_told_from_another_of_equal_values() -> None:
    tensor = torch.zeros(1)
    assert Link(tensor, (0,)) != Link(tensor, (0,))
