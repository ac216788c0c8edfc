"""Bundles of every system with networks small enough to follow by hand, and a CT slice.

A classifier's logit is a weighted sum of its three channels' means, each with a weight of its own. The detector has two
boxes, one on each side, the same for both classes; a score is the sigmoid of a weighted mean of one half of the image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sacro.engine import Engine, NetworkSpec, open_engine
from edge_sacro.systems import SYSTEMS
from tests.tiny import dataset_from_pixels

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SIZE = 96
"""Rows and columns of the classifiers' input."""

SQUARE = 128
"""Rows and columns of the detector's input."""

CHANNEL_WEIGHTS = (0.5, -0.25, 1.0)
LEFT_BOX, RIGHT_BOX = (0.3, 0.15, 0.6, 0.35), (0.32, 0.55, 0.58, 0.75)
"""ymin, xmin, ymax, xmax in fractions of the square, by side of the image."""

Floats = npt.NDArray[np.float32]


class Watched(Engine):
    """An engine that keeps what it is given."""

    backend = "watched"

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner.spec)
        self.inner, self.vendor_version, self.seen = inner, inner.vendor_version, list[Floats]()

    def _run(self, inputs: Mapping[str, Floats], deadline: float | None) -> dict[str, Floats]:
        self.seen += [value.copy() for value in inputs.values()]
        return self.inner.run(inputs, deadline=deadline)


class Watcher:
    """An opener; the engines it opened are in ``engines``."""

    def __init__(self) -> None:
        self.engines: dict[str, Watched] = {}

    def __call__(self, backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        self.engines[spec.name] = Watched(open_engine(backend, spec, model, threads))
        return self.engines[spec.name]


def write_classifier_bundle(folder: Path, system: str, explanation: bool = False, **changes: Any) -> Path:
    """A bundle of a system with one classifier of three channels."""
    outputs = {"logits": [1, 2]} | ({"explanation": [1, 2, SIZE // 8, SIZE // 8]} if explanation else {})
    ct = system.startswith("fu2024")
    fields = {
        "classes": ["no sacroiliitis", "sacroiliitis"] if ct else ["nr-axSpA", "r-axSpA"],
        "classification": {"rows": SIZE, "columns": SIZE},
        "normaliser": "hounsfield-window-1" if ct else "normaliser-1",
        **({"hounsfield_window": {"center": 400.0, "width": 1800.0}} if ct else {}),
        **changes,
    }
    return _write(folder, system, {"classifier": (classifier(explanation), [1, 3, SIZE, SIZE], outputs)}, fields)


def write_detector_bundle(folder: Path, model: bytes | None = None, **changes: Any) -> Path:
    """A bundle of the detector; ``model`` replaces its network by another of the same shapes."""
    fields = {
        "classes": ["normal", "sacroiliitis"],
        "detection": {"size": SQUARE, "score": 0.5, "iou": 0.5, "boxes": 100},
        **changes,
    }
    outputs = {"scores": [1, 2, 2], "boxes": [1, 2, 2, 4]}
    return _write(folder, "noh2021", {"detector": (model or detector(), [1, 3, SQUARE, SQUARE], outputs)}, fields)


def _write(
    folder: Path, system: str, networks: Mapping[str, tuple[bytes, list[int], dict[str, list[int]]]], fields: Any
) -> Path:
    folder.mkdir(parents=True)
    points = [
        {"name": each.name, "threshold": each.threshold, "source": each.source}
        for each in SYSTEMS[system].operating_points
    ]
    manifest = {
        "schema_version": 1,
        "name": "tiny",
        "version": "1",
        "system": system,
        "numerics": "corrected",
        "demonstration": True,
        "statement": "Test bundle, not for clinical use.",
        "intended_use": "tests",
        "licence": "Apache-2.0",
        "credits": [],
        "normaliser": "normaliser-1",
        "networks": {
            name: {
                "variants": [{"precision": "fp32", "file": f"{name}.onnx"}],
                "inputs": [{"name": "image", "shape": shape}],
                "outputs": [{"name": output, "shape": each} for output, each in outputs.items()],
            }
            for name, (_, shape, outputs) in networks.items()
        },
        "default_precision": "fp32",
        "operating_points": points,
        "default_operating_point": points[0]["name"],
        "guard_band": {"half_width": 0.0, "source": "none measured"},
        "files": {f"{name}.onnx": hashlib.sha256(model).hexdigest() for name, (model, _, _) in networks.items()},
        **fields,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name, (model, _, _) in networks.items():
        (folder / f"{name}.onnx").write_bytes(model)
    return folder


def classifier(explanation: bool = False) -> bytes:
    """Logits (0, weighted sum of the channels' means), and a map of two channels where asked for."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Gemm", ["means", "weight"], ["logits"]),
    ]
    weights = {"weight": np.array([[0.0, each] for each in CHANNEL_WEIGHTS], np.float32)}
    outputs = {"logits": [1, 2]}
    if explanation:
        nodes.append(helper.make_node("Conv", ["image", "kernel"], ["explanation"], strides=[8, 8]))
        weights["kernel"] = np.ones((2, 3, 8, 8), np.float32)
        outputs["explanation"] = [1, 2, SIZE // 8, SIZE // 8]
    return model(nodes, weights, [1, 3, SIZE, SIZE], outputs)


def probability_of(image: Floats) -> float:
    """What the classifier answers to an input (1, 3, rows, columns), in double precision."""
    logit = float(np.dot(image.astype(np.float64).mean(axis=(0, 2, 3)), CHANNEL_WEIGHTS))
    return 1 / (1 + float(np.exp(-logit)))


def detector(gain: float = 0.6) -> bytes:
    """Score of class sacroiliitis in a half: sigmoid of ``gain`` times its mean; of normal: of minus that."""
    halves = np.zeros((3, SQUARE, SQUARE, 2), np.float32)
    halves[:, :, : SQUARE // 2, 0] = halves[:, :, SQUARE // 2 :, 1] = 1 / (3 * SQUARE * SQUARE / 2)
    halves = halves.reshape(-1, 2) * np.float32(gain)
    weights = {
        "weight": np.concatenate([-halves, halves], axis=1),
        "shape": np.array([1, 2, 2], np.int64),
        "boxes": np.array([[[LEFT_BOX, RIGHT_BOX]] * 2], np.float32),
    }
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["raw"]),
        helper.make_node("Sigmoid", ["raw"], ["sigmoid"]),
        helper.make_node("Reshape", ["sigmoid", "shape"], ["scores"]),
        helper.make_node("Identity", ["boxes_constant"], ["boxes"]),
    ]
    weights["boxes_constant"] = weights.pop("boxes")
    return model(nodes, weights, [1, 3, SQUARE, SQUARE], {"scores": [1, 2, 2], "boxes": [1, 2, 2, 4]})


def constant_detector(scores: Any, boxes: Any) -> bytes:
    """A detector that answers the same to every image: scores (2, 2) by class, boxes (2, 2, 4)."""
    weights = {
        "zero": np.zeros(1, np.float32),
        "scores_constant": np.array([scores], np.float32),
        "boxes_constant": np.array([boxes], np.float32),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["scores_constant", "nothing"], ["scores"]),
        helper.make_node("Identity", ["boxes_constant"], ["boxes"]),
    ]
    return model(nodes, weights, [1, 3, SQUARE, SQUARE], {"scores": [1, 2, 2], "boxes": [1, 2, 2, 4]})


def model(
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, npt.NDArray[Any]],
    image: list[int],
    outputs: dict[str, list[int]],
) -> bytes:
    """An ONNX file with one input."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString()
    return content


def drawn_slice(side: int = 256) -> npt.NDArray[np.int16]:
    """Hounsfield units of an axial slice: air, a body, and bone that differs from left to right and front to back."""
    y, x = np.mgrid[0:side, 0:side] / side
    body = (x - 0.5) ** 2 / 0.2 + (y - 0.5) ** 2 / 0.1 < 1
    units = np.where(body, 40.0, -1000.0)
    units = np.where(body & (x > 0.55) & (y < 0.5), 300 + 900 * y, units)
    units = np.where(body & (x < 0.35), 2000.0, units)
    return np.rint(units).astype(np.int16)


def write_slice(path: Path, units: npt.NDArray[np.int16] | None = None, **attributes: Any) -> Path:
    """A CT Image object of these Hounsfield units: unsigned, 12 bits, intercept -1024."""
    units = drawn_slice() if units is None else units
    values: dict[str, Any] = {
        "SOPClassUID": CT_IMAGE,
        "Modality": "CT",
        "PresentationIntentType": None,
        "ViewPosition": None,
        "PatientOrientation": None,
        "ImagerPixelSpacing": None,
        "PixelSpacing": [0.7, 0.7],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PresentationLUTShape": None,
        "RescaleIntercept": "-1024",
        "RescaleType": "HU",
        "WindowCenter": "40",
        "WindowWidth": "400",
        **attributes,
    }
    stored = (units.astype(np.int32) + 1024).clip(0, 4095).astype(np.uint16)
    dataset = dataset_from_pixels(stored, **values)
    dataset.file_meta.MediaStorageSOPClassUID = CT_IMAGE
    dataset.save_as(path, enforce_file_format=True)
    return path
