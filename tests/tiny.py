"""A drawn pelvis whose joints are known to the pixel, and a bundle of networks small enough to follow by hand.

The drawing has one gray level for each label; the segmenter's four 1 x 1 convolutions pick the nearest level; the
classifier answers by the mean of what it sees. So boxes and decisions can be computed beforehand.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from edge_sacro.manifest import Manifest
from edge_sacro.report import Result

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SIZE, WINDOW = 128, 128
CLASSIFIER = (32, 48)
LEVELS = (0, 1000, 2000, 3000, 4000, 4095)
"""Stored values: a black strip, background, sacrum, image-left ilium, image-right ilium, its white margin."""


def drawn_pelvis(rows: int = 512, columns: int = 512) -> npt.NDArray[np.uint16]:
    """Stored values, rows x columns, as displayed: an upright sacrum with an ilium that touches it on each side.

    Edges lie on the grid of the label map. The image-right ilium is taller, so that a mirrored image cannot pass for
    the right one.
    """
    y, x = (128 * index // side for index, side in zip(np.mgrid[0:rows, 0:columns], (rows, columns), strict=True))
    image = np.full((rows, columns), LEVELS[1], np.uint16)
    image[(y >= 32) & (y < 96) & (x >= 52) & (x < 76)] = LEVELS[2]
    image[(y >= 48) & (y < 80) & (x >= 26) & (x < 52)] = LEVELS[3]
    image[(y >= 40) & (y < 88) & (x >= 76) & (x < 102)] = LEVELS[4]
    image[(y >= 40) & (y < 88) & (x >= 76) & (x < 80)] = LEVELS[5]
    image[y < 2] = LEVELS[0]
    return image


def dataset_from_pixels(pixels: npt.NDArray[np.uint16], **attributes: Any) -> FileDataset:
    """A small DX object with these stored values; ``attributes`` replace or, where None, remove its own."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DX
    meta.MediaStorageSOPInstanceUID = "2.25.1"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, Any] = {
        "SOPClassUID": DX,
        "SOPInstanceUID": "2.25.1",
        "Modality": "DX",
        "PresentationIntentType": "FOR PRESENTATION",
        "BodyPartExamined": "PELVIS",
        "ViewPosition": "AP",
        "PatientOrientation": ["L", "F"],
        "ImagerPixelSpacing": [0.5, 0.25],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PresentationLUTShape": "IDENTITY",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        **attributes,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def write_dicom(path: Path, pixels: npt.NDArray[np.uint16] | None = None, **attributes: Any) -> Path:
    """Write the drawn pelvis, or other stored values, as a DICOM file."""
    dataset = dataset_from_pixels(drawn_pelvis() if pixels is None else pixels, **attributes)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_bundle(folder: Path, **changes: Any) -> Path:
    """Write the tiny bundle; ``changes`` replace fields of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"segmenter.onnx": segmenter(), "classifier.onnx": classifier()}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / "manifest.json").write_text(json.dumps(manifest_fields(files=hashes, **changes)))
    return folder


def write_standard_bundle(folder: Path) -> Path:
    """Write a bundle of the standard model: the tiny classifier on the whole radiograph."""
    folder.mkdir(parents=True, exist_ok=True)
    content = classifier()
    (folder / "classifier.onnx").write_bytes(content)
    fields = manifest_fields()
    changes = {
        "system": "dorfner2024-standard",
        "segmentation": None,
        "networks": {"classifier": fields["networks"]["classifier"]},
        "operating_points": [{"name": "accuracy", "threshold": 0.69, "source": "Dorfner 2024"}],
        "files": {"classifier.onnx": hashlib.sha256(content).hexdigest()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest_fields(**changes)))
    return folder


def manifest_fields(**changes: Any) -> dict[str, Any]:
    """Fields of the tiny bundle's manifest."""

    def network(file: str, shape: list[int], logits: list[int]) -> dict[str, Any]:
        return {
            "variants": [{"precision": "fp32", "file": file}],
            "inputs": [{"name": "image", "shape": shape}],
            "outputs": [{"name": "logits", "shape": logits}],
        }

    fields: dict[str, Any] = {
        "schema_version": 1,
        "name": "tiny",
        "version": "1",
        "system": "dorfner2024",
        "numerics": "corrected",
        "demonstration": True,
        "statement": "Test bundle, not for clinical use.",
        "intended_use": "tests",
        "licence": "Apache-2.0",
        "credits": [],
        "normaliser": "normaliser-1",
        "classes": ["nr-axSpA", "r-axSpA"],
        "segmentation": {"size": SIZE, "window": WINDOW, "overlap": 0.0, "dilation_fraction": 0.05},
        "classification": {"rows": CLASSIFIER[0], "columns": CLASSIFIER[1]},
        "networks": {
            "segmenter": network("segmenter.onnx", [1, 1, WINDOW, WINDOW], [1, 4, WINDOW, WINDOW]),
            "classifier": network("classifier.onnx", [1, 1, *CLASSIFIER], [1, 2]),
        },
        "default_precision": "fp32",
        "operating_points": [{"name": "accuracy", "threshold": 0.59, "source": "Dorfner 2024"}],
        "default_operating_point": "accuracy",
        "guard_band": {"half_width": 0.0, "source": "none measured"},
        "files": {"segmenter.onnx": "0" * 64, "classifier.onnx": "0" * 64},
    }
    fields.update(changes)
    Manifest.model_validate_json(json.dumps(fields))
    return fields


def without_timings(result: Result) -> dict[str, Any]:
    """A result as JSON has it, but for the one part that differs from run to run."""
    return result.model_dump(mode="json", exclude={"timings_ms"})


def segmenter() -> bytes:
    """Four 1 x 1 convolutions: the logit of a level c for a value x is 2cx - c^2, the largest where c is nearest."""
    levels = np.array([-1.0, -1 / 3, 1 / 3, 1.0], np.float32)
    weight, bias = (2 * levels).reshape(4, 1, 1, 1), -(levels**2)
    return _model(
        [helper.make_node("Conv", ["image", "weight", "bias"], ["logits"])],
        {"weight": weight, "bias": bias},
        [1, 1, WINDOW, WINDOW],
        [1, 4, WINDOW, WINDOW],
    )


def classifier(gain: float = 8.0, middle: float = 0.5) -> bytes:
    """Logits (0, gain x (mean - middle)) of the input's mean."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
        helper.make_node("Gemm", ["mean", "weight", "bias"], ["logits"]),
    ]
    weight = np.array([[0.0, gain]], np.float32)
    bias = np.array([0.0, -gain * middle], np.float32)
    return _model(nodes, {"weight": weight, "bias": bias}, [1, 1, *CLASSIFIER], [1, 2])


def slow_classifier(layers: int = 12, channels: int = 48) -> bytes:
    """The classifier behind many wide convolutions: seconds of work, in steps between which it can be stopped."""
    nodes, name = [], "image"
    weights = {"weight": np.zeros((2, channels), np.float32)}
    for layer in range(layers):
        weights[f"kernel{layer}"] = np.zeros((channels, channels if layer else 1, 31, 31), np.float32)
        nodes.append(helper.make_node("Conv", [name, f"kernel{layer}"], [f"x{layer}"], pads=[15] * 4))
        name = f"x{layer}"
    nodes += [
        helper.make_node("GlobalAveragePool", [name], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
        helper.make_node("Gemm", ["mean", "weight"], ["logits"], transB=1),
    ]
    return _model(nodes, weights, [1, 1, *CLASSIFIER], [1, 2])


def _model(
    nodes: list[onnx.NodeProto], weights: dict[str, npt.NDArray[np.float32]], shape: list[int], logits: list[int]
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, logits)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
