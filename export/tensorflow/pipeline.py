"""What an EfficientDet's ``pipeline.config`` says of the network, its input and its output; the rest is training.

Field names and defaults are those of the API's ``protos``. A configuration that this twin does not compute is refused,
naming the field: a value that were merely ignored would give another network's numbers without a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_sacro.errors import UsageError
from export.tensorflow.fields import Field
from export.tensorflow.text_format import message_from_text

_REMEDY = "Give the pipeline.config that the exporter wrote beside the model: an EfficientDet-D0 to D7 of the API."
_LARGEST_SIDE = 4096


@dataclass(frozen=True)
class Anchors:
    """Multiscale anchors: at level ``l`` a base of ``scale * 2 ** l`` pixels, its sizes and its ratios."""

    scale: float
    aspect_ratios: tuple[float, ...]
    scales_per_octave: int

    @property
    def at_each_place(self) -> int:
        """Anchors at one place of a level."""
        return len(self.aspect_ratios) * self.scales_per_octave


@dataclass(frozen=True)
class BoxScales:
    """The box coder's divisors: of the centre's offset (``y``, ``x``) and of the logarithm of the size."""

    y: float
    x: float
    height: float
    width: float


@dataclass(frozen=True)
class Suppression:
    """Non-maximum suppression, outside the graph: per class, at most so many boxes a class and in all."""

    score_threshold: float
    iou_threshold: float
    per_class: int
    total: int


@dataclass(frozen=True)
class Pyramid:
    """The BiFPN: levels, repeats, channels, its batch norms' epsilon, and whether a sum has learned weights."""

    min_level: int
    max_level: int
    cells: int
    channels: int
    weighted: bool
    epsilon: float

    @property
    def levels(self) -> range:
        """Levels from fine to coarse; level ``l`` has a stride of ``2 ** l`` pixels."""
        return range(self.min_level, self.max_level + 1)


@dataclass(frozen=True)
class Heads:
    """Class and box head: layers before the predictor, channels, and their batch norms' epsilon."""

    layers: int
    channels: int
    epsilon: float


@dataclass(frozen=True)
class Pipeline:
    """An EfficientDet: which EfficientNet (0 to 7), the square input's side in pixels, classes without background."""

    backbone: int
    size: int
    classes: int
    pyramid: Pyramid
    heads: Heads
    anchors: Anchors
    box_scales: BoxScales
    suppression: Suppression


def pipeline_from_config(path: Path) -> Pipeline:
    """Read a ``pipeline.config``.

    Raises:
        UsageError: the file cannot be read, or describes what the twin does not compute; the message names the field.
    """
    try:
        return pipeline_from_text(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"the configuration cannot be used: {error}", source=str(path), remedy=_REMEDY) from error


def pipeline_from_text(content: str) -> Pipeline:
    """The same from the file's content.

    Raises:
        ValueError: the text cannot be read, or describes what the twin does not compute; the message names the field.
    """
    ssd = Field("", message_from_text(content)).child("model").child("ssd")
    ssd.require("add_background_class", default=True, needed=False)
    pyramid = _pyramid(ssd.child("feature_extractor"))
    suppression = _suppression(ssd.child("post_processing"))
    return Pipeline(
        backbone=_backbone(ssd.child("feature_extractor")),
        size=_size(ssd.child("image_resizer"), 2**pyramid.max_level),
        classes=ssd.integer("num_classes", None, range(1, 1001)),
        pyramid=pyramid,
        heads=_heads(ssd.child("box_predictor")),
        anchors=_anchors(ssd.child("anchor_generator"), pyramid),
        box_scales=_box_scales(ssd.child("box_coder")),
        suppression=suppression,
    )


def _backbone(extractor: Field) -> int:
    match = re.fullmatch(r"ssd_efficientnet-b([0-7])_bifpn_keras", extractor.text("type"))
    if match is None:
        found = extractor.text("type")
        raise ValueError(f"model.ssd.feature_extractor.type is {found}, not ssd_efficientnet-b<0 to 7>_bifpn_keras")
    return int(match.group(1))


def _size(resizer: Field, multiple: int) -> int:
    keep = resizer.child("keep_aspect_ratio_resizer")
    size = keep.integer("max_dimension", 1024, range(multiple, _LARGEST_SIDE + 1))
    keep.require("min_dimension", default=600, needed=size)
    keep.require("pad_to_max_dimension", default=False, needed=True)
    keep.require("resize_method", default="BILINEAR", needed="BILINEAR")
    keep.require("convert_to_grayscale", default=False, needed=False)
    if any(keep.numbers("per_channel_pad_value")):
        raise ValueError(f"{keep.named('per_channel_pad_value')} is not 0; only 0 is computed here")
    if size % multiple:
        raise ValueError(f"{keep.named('max_dimension')} is {size}, no multiple of {multiple}, the coarsest stride")
    return size


def _pyramid(extractor: Field) -> Pyramid:
    extractor.require("depth_multiplier", default=1.0, needed=1.0)
    extractor.require("pad_to_multiple", default=1, needed=1)
    extractor.require("use_depthwise", default=False, needed=False)
    extractor.require("use_explicit_padding", default=False, needed=False)
    extractor.require("override_base_feature_extractor_hyperparams", default=False, needed=False)
    bifpn = extractor.child("bifpn")
    channels = bifpn.integer("num_filters", None, range(1, 2049))
    return Pyramid(
        min_level=bifpn.integer("min_level", 3, range(3, 6)),
        max_level=bifpn.integer("max_level", 7, range(6, 9)),
        cells=bifpn.integer("num_iterations", None, range(1, 33)),
        weighted=bifpn.one_of("combine_method", "fast_attention", ("fast_attention", "sum")) == "fast_attention",
        # The API takes the larger of the two without saying so.
        channels=max(channels, extractor.integer("min_depth", 16, range(2049))),
        epsilon=_epsilon(extractor.child("conv_hyperparams")),
    )


def _epsilon(hyperparams: Field) -> float:
    hyperparams.require("activation", default="RELU", needed="SWISH")
    hyperparams.require("force_use_bias", default=False, needed=True)
    norm = hyperparams.child("batch_norm")
    norm.require("center", default=True, needed=True)
    norm.require("scale", default=False, needed=True)
    return norm.positive("epsilon", 0.001)


def _heads(predictor: Field) -> Heads:
    shared = predictor.child("weight_shared_convolutional_box_predictor")
    shared.require("kernel_size", default=3, needed=3)
    shared.require("box_code_size", default=4, needed=4)
    shared.require("use_depthwise", default=False, needed=True)
    shared.require("share_prediction_tower", default=False, needed=False)
    shared.refuse("box_encodings_clip_range")
    return Heads(
        layers=shared.integer("num_layers_before_predictor", 0, range(1, 17)),
        channels=shared.integer("depth", 0, range(1, 2049)),
        epsilon=_epsilon(shared.child("conv_hyperparams")),
    )


def _anchors(generator: Field, pyramid: Pyramid) -> Anchors:
    multiscale = generator.child("multiscale_anchor_generator")
    multiscale.require("min_level", default=3, needed=pyramid.min_level)
    multiscale.require("max_level", default=7, needed=pyramid.max_level)
    multiscale.require("normalize_coordinates", default=True, needed=True)
    ratios = multiscale.numbers("aspect_ratios")
    if not ratios or min(ratios) <= 0:
        raise ValueError(f"{multiscale.named('aspect_ratios')} holds no positive numbers")
    return Anchors(
        scale=multiscale.positive("anchor_scale", 4.0),
        aspect_ratios=ratios,
        scales_per_octave=multiscale.integer("scales_per_octave", 2, range(1, 17)),
    )


def _box_scales(coder: Field) -> BoxScales:
    scales = coder.child("faster_rcnn_box_coder")
    return BoxScales(
        y=scales.positive("y_scale", 10.0),
        x=scales.positive("x_scale", 10.0),
        height=scales.positive("height_scale", 5.0),
        width=scales.positive("width_scale", 5.0),
    )


def _suppression(processing: Field) -> Suppression:
    processing.require("score_converter", default="IDENTITY", needed="SIGMOID")
    processing.require("logit_scale", default=1.0, needed=1.0)
    processing.refuse("calibration_config")
    nms = processing.child("batch_non_max_suppression")
    nms.require("use_class_agnostic_nms", default=False, needed=False)
    nms.require("soft_nms_sigma", default=0.0, needed=0.0)
    return Suppression(
        score_threshold=nms.number("score_threshold", 0.0),
        iou_threshold=nms.number("iou_threshold", 0.6),
        per_class=nms.integer("max_detections_per_class", 100, range(1, 513)),
        total=nms.integer("max_total_detections", 100, range(1, 100_001)),
    )
