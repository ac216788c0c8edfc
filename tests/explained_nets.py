"""Tiny classifiers that explain themselves, in bundles of every system that classifies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from calibration.graph import prepared
from calibration.half import half_from_float
from calibration.quantise import qdq_from_float
from calibration.ranges import observe
from export.explained_graph import explained_from_graph
from tests import tiny

Floats = npt.NDArray[np.float32]

WHOLE_IMAGE = {
    "dorfner2024-standard": 1,
    "bressem2021": 3,
    "poddubnyy2020": 3,
    "fu2024-densenet121": 3,
}
"""Systems that see the whole image, and the channels of their classifier."""


def graph(nodes: list[Any], weights: Mapping[str, Any], image: list[int], outputs: Mapping[str, list[int]]) -> bytes:
    """An ONNX file of one input."""
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "explained",
            [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, image)],
            [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString()
    return content


def mirror(channels: int, size: tuple[int, int]) -> bytes:
    """A classifier whose map of disease is what it sees, cell for pixel.

    So whatever way the image goes, its explanation is the image again where, and only where, the way back is right.
    The offset lifts what ImageNet's statistics bring below 0.
    """
    node = helper.make_node
    nodes = [
        node("GlobalAveragePool", ["image"], ["pooled"]),
        node("Flatten", ["pooled"], ["mean"]),
        node("Gemm", ["mean", "weight"], ["logits"]),
        node("Conv", ["image", "kernel", "offset"], ["seen"]),
        node("Relu", ["seen"], ["explanation"]),
    ]
    weights = {
        "weight": np.tile(np.array([0.0, 1.0], np.float32), (channels, 1)),
        "kernel": np.stack([-np.ones((channels, 1, 1)), np.ones((channels, 1, 1))]).astype(np.float32),
        "offset": np.full(2, 0.0 if channels == 1 else 6.5, np.float32),
    }
    return graph(nodes, weights, [1, channels, *size], {"logits": [1, 2], "explanation": [1, 2, *size]})


def convolutional(explained: bool = True, seed: int = 3) -> bytes:
    """Two convolutions and the anatomy-aware head in small; Grad-CAM of 8 x 12 cells is added where asked for."""
    random = np.random.default_rng(seed)

    def weight(*shape: int) -> Floats:
        return random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)

    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w1", "b1"], ["c1"], pads=[1] * 4, strides=[2, 2]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1] * 4, strides=[2, 2]),
        node("Relu", ["c2"], ["r2"]),
        node("GlobalAveragePool", ["r2"], ["pooled"]),
        node("Flatten", ["pooled"], ["mean"]),
        node("Gemm", ["mean", "w3", "b3"], ["hidden"], transB=1),
        node("Relu", ["hidden"], ["gated"]),
        node("BatchNormalization", ["gated", "scale", "shift", "mean0", "variance"], ["normal"]),
        node("Gemm", ["normal", "w4", "b4"], ["logits"], transB=1),
    ]
    last = weight(1, 8)
    weights = {
        "w1": weight(6, 1, 3, 3),
        "b1": np.full(6, 0.1, np.float32),
        "w2": weight(8, 6, 3, 3),
        "b2": np.full(8, -0.1, np.float32),
        "w3": weight(8, 8),
        "b3": np.full(8, 0.3, np.float32),
        "scale": random.uniform(0.5, 1.5, 8).astype(np.float32),
        "shift": np.zeros(8, np.float32),
        "mean0": np.zeros(8, np.float32),
        "variance": random.uniform(0.5, 1.5, 8).astype(np.float32),
        "w4": np.concatenate([-last, last]),
        "b4": np.zeros(2, np.float32),
    }
    plain = graph(nodes, weights, [1, 1, *tiny.CLASSIFIER], {"logits": [1, 2]})
    if not explained:
        return plain
    content: bytes = explained_from_graph(onnx.load_from_string(plain)).SerializeToString()
    return content


def in_precisions(content: bytes, count: int = 8) -> dict[str, bytes]:
    """The same network in every precision, by the workshop's own conversions, calibrated on smooth noise."""
    model = prepared(content)
    random = np.random.default_rng(1)
    coarse = random.random((count, 1, 1, 8, 12), dtype=np.float32)
    inputs = [{"image": np.ascontiguousarray(each.repeat(4, axis=2).repeat(4, axis=3))} for each in coarse]
    observed = observe(model, inputs)
    int8 = qdq_from_float(model, observed.limits("minmax"))
    half = half_from_float(model, observed.limits("minmax"))
    return {"fp32": content, "int8": int8.SerializeToString(), "fp16": half.SerializeToString()}


def write_anatomy_bundle(folder: Path, classifiers: Mapping[str, bytes]) -> Path:
    """The tiny anatomy-aware bundle with this classifier by precision; its outputs are read from the graph."""
    segmenter = tiny.segmenter()
    networks = tiny.manifest_fields()["networks"]
    networks["segmenter"]["variants"] = [{"precision": each, "file": "segmenter.onnx"} for each in classifiers]
    networks["classifier"] = _described(classifiers)
    contents = {"segmenter.onnx": segmenter, **{f"classifier-{each}.onnx": classifiers[each] for each in classifiers}}
    return _written(folder, contents, {"networks": networks})


def write_whole_image_bundle(folder: Path, system: str, classifier: bytes) -> Path:
    """A bundle of a system that classifies the whole image."""
    network = _described({"fp32": classifier})
    size = network["inputs"][0]["shape"][2:]
    fields: dict[str, Any] = {
        "system": system,
        "segmentation": None,
        "classification": {"rows": size[0], "columns": size[1]},
        "networks": {"classifier": network},
        "operating_points": [{"name": "accuracy", "threshold": 0.5, "source": "laid down for tests"}],
    }
    if system.startswith("fu2024"):
        fields |= {"normaliser": "hounsfield-window-1", "hounsfield_window": {"center": 400.0, "width": 1800.0}}
        fields |= {"classes": ["no sacroiliitis", "sacroiliitis"]}
    return _written(folder, {"classifier-fp32.onnx": classifier}, fields)


def _described(classifiers: Mapping[str, bytes]) -> dict[str, Any]:
    made = onnx.load_from_string(classifiers["fp32"]).graph

    def tensors(values: Any) -> list[dict[str, Any]]:
        return [{"name": v.name, "shape": [d.dim_value for d in v.type.tensor_type.shape.dim]} for v in values]

    variants = [{"precision": each, "file": f"classifier-{each}.onnx"} for each in classifiers]
    return {"variants": variants, "inputs": tensors(made.input), "outputs": tensors(made.output)}


def _written(folder: Path, contents: Mapping[str, bytes], fields: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    (folder / "manifest.json").write_text(json.dumps(tiny.manifest_fields(**fields, files=hashes)))
    return folder
