"""Which configurations are read, what is taken from them, and how the others are refused."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from edge_sacro.errors import UsageError
from export.tensorflow.pipeline import (
    Anchors,
    BoxScales,
    Heads,
    Pipeline,
    Pyramid,
    Suppression,
    pipeline_from_config,
    pipeline_from_text,
)
from export.tensorflow.text_format import message_from_text

D4_TEXT = files("export.tensorflow").joinpath("efficientdet_d4.config").read_text("utf-8")

ANCHORS = Anchors(scale=4.0, aspect_ratios=(1.0, 2.0, 0.5), scales_per_octave=3)
SCALES = BoxScales(10.0, 10.0, 5.0, 5.0)
SUPPRESSION = Suppression(score_threshold=1e-8, iou_threshold=0.5, per_class=100, total=100)


def test_the_published_network_is_efficientdet_d4() -> None:
    assert pipeline_from_text(D4_TEXT) == Pipeline(
        backbone=4,
        size=1024,
        classes=2,
        pyramid=Pyramid(min_level=3, max_level=7, cells=7, channels=224, weighted=True, epsilon=0.001),
        heads=Heads(layers=4, channels=224, epsilon=0.001),
        anchors=ANCHORS,
        box_scales=SCALES,
        suppression=SUPPRESSION,
    )


@pytest.mark.shared
def test_the_exporters_own_file_is_read(shared_dir: Path) -> None:
    found = pipeline_from_config(shared_dir / "data" / "tfod_efficientdet_d0" / "pipeline.config")
    assert found == Pipeline(
        backbone=0,
        size=512,
        classes=2,
        pyramid=Pyramid(min_level=3, max_level=7, cells=3, channels=64, weighted=True, epsilon=0.001),
        heads=Heads(layers=3, channels=64, epsilon=0.001),
        anchors=ANCHORS,
        box_scales=SCALES,
        suppression=SUPPRESSION,
    )


def test_box_coder_scales_are_those_of_the_file() -> None:
    text = D4_TEXT.replace("y_scale: 10.0", "y_scale: 1.0").replace("width_scale: 5.0", "width_scale: 2.5")
    assert pipeline_from_text(text).box_scales == BoxScales(1.0, 10.0, 5.0, 2.5)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ssd {", "faster_rcnn {", r"model\.ssd is missing"),
        ("add_background_class: false", "", r"ssd\.add_background_class is true; only false"),
        ("num_classes: 2", "", r"num_classes is missing, not a number"),
        ("num_classes: 2", "num_classes: 0", r"num_classes is 0, not 1 to 1000"),
        ("num_classes: 2", "num_classes: 2.5", r"num_classes is 2\.5, not 1 to 1000"),
        ("num_classes: 2", "num_classes: two", r"num_classes is two, not a number"),
        ("ssd_efficientnet-b4_bifpn_keras", "ssd_resnet50_v1_fpn_keras", r"feature_extractor\.type is ssd_resnet50"),
        ("keep_aspect_ratio_resizer", "fixed_shape_resizer", r"keep_aspect_ratio_resizer is missing"),
        ("min_dimension: 1024", "min_dimension: 800", r"min_dimension is 800; only 1024"),
        ("pad_to_max_dimension: true", "", r"pad_to_max_dimension is false; only true"),
        ("pad_to_max_dimension: true", "pad_to_max_dimension: true resize_method: AREA", r"resize_method is AREA"),
        (
            "pad_to_max_dimension: true",
            "pad_to_max_dimension: true per_channel_pad_value: [0, 1]",
            r"per_channel_pad_value is not 0",
        ),
        ("_dimension: 1024", "_dimension: 1000", r"max_dimension is 1000, no multiple of 128"),
        ("max_dimension: 1024", "max_dimension: 64", r"max_dimension is 64, not 128 to 4096"),
        ("activation: SWISH", "activation: RELU_6", r"activation is RELU_6; only SWISH"),
        ("activation: SWISH", "", r"activation is RELU; only SWISH"),
        ("force_use_bias: true", "", r"force_use_bias is false; only true"),
        ("scale: true", "scale: false", r"batch_norm\.scale is false; only true"),
        ("epsilon: 0.001", "epsilon: -1", r"epsilon is -1, not positive"),
        ("num_filters: 224", "num_filters: 224 combine_method: 'attention'", r"combine_method is attention; only fast"),
        ("max_level: 7", "max_level: 5", r"bifpn\.max_level is 5, not 6 to 8"),
        ("use_depthwise: true", "", r"weight_shared_\w+\.use_depthwise is false; only true"),
        ("use_depthwise: true", "use_depthwise: true share_prediction_tower: true", r"share_prediction_tower is true"),
        (
            "use_depthwise: true",
            "use_depthwise: true box_encodings_clip_range {}",
            r"box_encodings_clip_range is given",
        ),
        ("anchor_scale: 4.0", "anchor_scale: 4.0 normalize_coordinates: false", r"normalize_coordinates is false"),
        ("aspect_ratios: [1.0, 2.0, 0.5]", "", r"aspect_ratios holds no positive"),
        ("score_converter: SIGMOID", "score_converter: SOFTMAX", r"score_converter is SOFTMAX; only SIGMOID"),
        ("score_converter: SIGMOID", "", r"score_converter is IDENTITY; only SIGMOID"),
        ("score_converter: SIGMOID", "score_converter: SIGMOID logit_scale: 2", r"logit_scale is 2; only 1"),
        ("score_converter: SIGMOID", "score_converter: SIGMOID calibration_config {}", r"calibration_config is given"),
        ("iou_threshold: 0.5", "iou_threshold: 0.5 use_class_agnostic_nms: true", r"use_class_agnostic_nms is true"),
        ("iou_threshold: 0.5", "iou_threshold: 0.5 soft_nms_sigma: 0.5", r"soft_nms_sigma is 0\.5"),
        ("faster_rcnn_box_coder", "keypoint_box_coder", r"box_coder\.faster_rcnn_box_coder is missing"),
        ("width_scale: 5.0", "width_scale: 0.0", r"width_scale is 0, not positive"),
    ],
)
def test_what_the_twin_does_not_compute_is_refused_by_field(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in D4_TEXT
    path = tmp_path / "pipeline.config"
    path.write_text(D4_TEXT.replace(old, new), "utf-8")
    with pytest.raises(UsageError, match=rf"pipeline\.config: .*{told}"):
        pipeline_from_config(path)


def test_unweighted_fusion_and_the_least_depth_are_read() -> None:
    text = D4_TEXT.replace("num_filters: 224", "num_filters: 8 combine_method: 'sum'")
    pyramid = pipeline_from_text(text).pyramid
    assert (pyramid.weighted, pyramid.channels) == (False, 16)


def test_absent_fields_have_the_apis_defaults() -> None:
    text = D4_TEXT
    for line in ("iou_threshold: 0.5", "scales_per_octave: 3", "x_scale: 10.0", "width_scale: 5.0"):
        text = text.replace(line, "")
    found = pipeline_from_text(text)
    assert found.suppression.iou_threshold == 0.6
    assert found.anchors.scales_per_octave == 2
    assert found.box_scales == SCALES


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"model {"])
def test_what_is_no_configuration_is_refused_with_its_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "pipeline.config"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"pipeline\.config: the configuration cannot be used"):
        pipeline_from_config(path)


def test_the_text_format_is_read_in_all_its_forms() -> None:
    text = """
    # a comment
    a: 1, a: -2; b: 1.5e-3 c: "it's" 'two' d { e: true } d: < e: false >
    f: [1, 2.0, SOME_NAME] g: [] h: .5f i: "a\\"b # no comment"
    """
    assert message_from_text(text) == {
        "a": [1, -2],
        "b": [0.0015],
        "c": ["it'stwo"],
        "d": [{"e": [True]}, {"e": [False]}],
        "f": [1, 2.0, "SOME_NAME"],
        "g": [],
        "h": [0.5],
        "i": ['a"b # no comment'],
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb", "line 2: the end is not expected"),
        ("a { b: 1", "line 1: the end is not expected"),
        ("a: 1 }", "line 1: } is not expected"),
        ("a { b: 1 >", "line 1: > is not expected"),
        ("a: [1 2]", "line 1: 2 is not expected"),
        ("a: [1", "line 1: the end is not expected"),
        ("a: 'open", "line 1: .* cannot be read"),
        ("a: ;", "line 1: ; is not expected"),
    ],
)
def test_a_broken_text_is_refused_by_its_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        message_from_text(text)
