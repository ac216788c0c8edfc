"""Networks small enough to follow by hand, and a bundle of one of them on drawn radiographs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.tiny import CLASSIFIER, drawn_pelvis, manifest_fields, write_dicom

Array = npt.NDArray[np.float32]


def model_from(
    nodes: list[Any],
    weights: dict[str, Any],
    shape: tuple[int, ...],
    outputs: dict[str, tuple[int, ...]],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, each) for name, each in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def residual_net(seed: int = 1) -> bytes:
    """Stem, a residual block, a transposed convolution beside a concatenation; logits of the image's size.

    ``stem_out`` has three takers: a convolution, an addition and a concatenation, which stays float.
    """
    random = np.random.default_rng(seed)

    def weight(*shape: int) -> Array:
        return random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)

    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w_stem", "b_stem"], ["stem"], "stem", pads=[1] * 4),
        node("Relu", ["stem"], ["stem_out"], "relu_stem"),
        node("Conv", ["stem_out", "w_a", "b_a"], ["a"], "conv_a", pads=[1] * 4),
        node("InstanceNormalization", ["a", "one", "zero"], ["a_norm"], "norm"),
        node("LeakyRelu", ["a_norm"], ["a_out"], "leaky", alpha=0.1),
        node("Add", ["a_out", "stem_out"], ["sum"], "residual"),
        node("Concat", ["sum", "stem_out"], ["both"], "concat", axis=1),
        node("ConvTranspose", ["both", "w_up"], ["up"], "up", kernel_shape=[2, 2], strides=[2, 2]),
        node("Sigmoid", ["up"], ["gate"], "sigmoid"),
        node("Mul", ["up", "gate"], ["swish"], "swish"),
        node("Conv", ["swish", "w_last"], ["logits"], "last", strides=[2, 2]),
    ]
    weights = {
        "w_stem": weight(4, 1, 3, 3),
        "b_stem": weight(4),
        "w_a": weight(4, 4, 3, 3),
        "b_a": weight(4),
        "one": np.ones(4, np.float32),
        "zero": np.zeros(4, np.float32),
        "w_up": weight(8, 3, 2, 2),
        "w_last": weight(2, 3, 2, 2),
    }
    return model_from(nodes, weights, (1, 1, 16, 16), {"logits": (1, 2, 16, 16)})


def classifier_with_explanation(offset: float = 100.0, gain: float = 8.0, middle: float = 0.75) -> bytes:
    """``shift`` lifts the image by an offset and ``fragile`` takes it off again, so that int8 before it loses all.

    ``easy`` follows, then mean, a Gemm to the logits, and an explanation made of the last feature map.
    """
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w_shift", "b_shift"], ["lifted"], "shift"),
        node("Conv", ["lifted", "w_fragile", "b_fragile"], ["back"], "fragile"),
        node("Relu", ["back"], ["features"], "relu"),
        node("Conv", ["features", "w_easy"], ["map"], "easy"),
        node("Relu", ["map"], ["last"], "relu_last"),
        node("GlobalAveragePool", ["last"], ["pooled"], "pool"),
        node("Flatten", ["pooled"], ["mean"], "flatten"),
        node("Gemm", ["mean", "w_head", "b_head"], ["logits"], "head"),
        node("Conv", ["last", "w_cam"], ["cam"], "cam"),
        node("Relu", ["cam"], ["explanation"], "cam_relu"),
    ]
    weights = {
        "w_shift": np.ones((2, 1, 1, 1), np.float32),
        "b_shift": np.full(2, offset, np.float32),
        "w_fragile": np.array([[1, 0], [0, 1]], np.float32).reshape(2, 2, 1, 1),
        "b_fragile": np.full(2, -offset, np.float32),
        "w_easy": np.array([[1, 0.5], [0.25, 1]], np.float32).reshape(2, 2, 1, 1),
        "w_head": np.array([[0, gain], [0, 0]], np.float32),
        "b_head": np.array([0, -gain * middle], np.float32),
        "w_cam": np.array([[0.1, 0], [1, 0]], np.float32).reshape(2, 2, 1, 1),
    }
    shapes = {"logits": (1, 2), "explanation": (1, 2, *CLASSIFIER)}
    return model_from(nodes, weights, (1, 1, *CLASSIFIER), shapes)


def two_convolutions() -> bytes:
    """A classifier whose first convolution is requantised, and whose second one is not."""
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w_first"], ["map"], "first"),
        node("Relu", ["map"], ["features"], "relu"),
        node("Conv", ["features", "w_second"], ["last"], "second"),
        node("GlobalAveragePool", ["last"], ["pooled"], "pool"),
        node("Flatten", ["pooled"], ["mean"], "flatten"),
        node("Gemm", ["mean", "w_head"], ["logits"], "head"),
    ]
    weights = {
        "w_first": np.array([1, -0.5], np.float32).reshape(2, 1, 1, 1),
        "w_second": np.array([[1, 0.5], [0.25, 1]], np.float32).reshape(2, 2, 1, 1),
        "w_head": np.array([[0, 1], [0, 0.5]], np.float32),
    }
    return model_from(nodes, weights, (1, 1, *CLASSIFIER), {"logits": (1, 2)})


def random_inputs(shape: tuple[int, ...] = (1, 1, 16, 16), count: int = 6, seed: int = 0) -> list[dict[str, Array]]:
    random = np.random.default_rng(seed)
    return [{"image": random.uniform(-1, 1, shape).astype(np.float32)} for _ in range(count)]


def write_standard_bundle(folder: Path, classifier: bytes, explained: bool = True, **changes: Any) -> Path:
    """A bundle of the standard system, the whole radiograph through one classifier."""
    folder.mkdir(parents=True)
    (folder / "classifier.onnx").write_bytes(classifier)
    outputs = [{"name": "logits", "shape": [1, 2]}]
    if explained:
        outputs.append({"name": "explanation", "shape": [1, 2, *CLASSIFIER]})
    network = {
        "variants": [{"precision": "fp32", "file": "classifier.onnx"}],
        "inputs": [{"name": "image", "shape": [1, 1, *CLASSIFIER]}],
        "outputs": outputs,
    }
    fields = {
        "system": "dorfner2024-standard",
        "segmentation": None,
        "networks": {"classifier": network},
        "files": {"classifier.onnx": hashlib.sha256(classifier).hexdigest()},
        "guard_band": {"half_width": 0.01, "source": "noise"},
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest_fields(**fields)))
    return folder


def write_drawings(folder: Path, count: int, seed: int, spread: float = 400) -> Path:
    """Drawn pelves that are brighter or darker by up to ``spread`` levels, and truth.json beside them."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    images = []
    for number in range(count):
        noise = random.normal(0, 0.15 * spread, (256, 256)) + random.uniform(-spread, spread)
        pixels = np.clip(drawn_pelvis(256, 256) + noise, 0, 4095).astype(np.uint16)
        path = write_dicom(folder / f"{number}.dcm", pixels)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        images.append({"sha256": sha256, "mny_positive": bool(number % 2)})
    (folder / "truth.json").write_text(json.dumps({"images": images}))
    return folder
