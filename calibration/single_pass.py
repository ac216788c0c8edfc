"""One pass of the segmenter over the whole image in the place of sliding windows, where the answers stay what they are.

Nine windows that overlap cost as much as four passes over the image. But a network that normalises each window by its
own statistics does not answer a whole image as it answers its windows, and how far the answers differ depends on the
weights. So a single pass is no setting: a bundle gets it by a gate of its own, held on images, and keeps the record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from calibration.accuracy import Budget, Figures, answers, compared, faults
from calibration.reader import versions
from calibration.written import RECORD, record_from_bundle, write_folder
from edge_sacro.bundle import Bundle
from edge_sacro.errors import BudgetBroken, GraphRefused, UsageError
from edge_sacro.manifest import MANIFEST_NAME, manifest_from_json

LEAST_OVERLAP = 0.9
"""Least intersection over union of the crops of both ways: what :mod:`edge_sacro.parity` asks of INT8."""


@dataclass(frozen=True)
class SinglePass:
    """What passed the gate.

    Attributes:
        bundle: the new bundle, in memory.
        figures: of the single pass against the windows.
        passes: windows that one image took before.
    """

    bundle: Bundle
    figures: Figures
    passes: int


def resized_model(content: bytes, side: int) -> bytes:
    """The same network for a square input of another side.

    Args:
        content: an ONNX file with one input (1, channels, rows, columns) and static shapes.
        side: rows and columns of the new input, in pixels.

    Raises:
        GraphRefused: some shape is a constant of the graph, so that it takes no other input.
    """
    model = onnx.load_from_string(content)
    for value in model.graph.input:
        for axis in (2, 3):
            value.type.tensor_type.shape.dim[axis].dim_value = side
    names = [value.name for value in model.graph.output]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise GraphRefused(f"the network takes no input of {side} x {side}: {error}", source="segmenter") from error
    for value, name in zip(inferred.graph.output, names, strict=True):
        dims = [each.dim_value for each in value.type.tensor_type.shape.dim]
        if len(dims) != 4 or dims[2:] != [side, side]:
            raise GraphRefused(f"{name} of a {side} x {side} input would be {dims}", source="segmenter")
    del inferred.graph.value_info[:]
    made: bytes = inferred.SerializeToString()
    return made


def single_pass(bundle: Bundle, files: Sequence[Path], truths: Mapping[str, bool], backend: str) -> SinglePass:
    """Make the bundle's segmenter see the whole image at once, if the answers stay within the budget.

    Args:
        bundle: of a system with a segmenter, in FP32 alone: other precisions are made afterwards.
        files: DICOM files that the gate is held on.
        truths: by a file's SHA-256; empty where none is known.
        backend: that the gate runs on.

    Raises:
        UsageError: there is no segmenter, no window to leave out, or another precision than FP32.
        GraphRefused: the network takes no input of that size.
        BudgetBroken: the budget is broken; the message has the figures.
        CalibrationRefused: the windows themselves give no file a probability.
    """
    settings = bundle.manifest.segmentation
    if settings is None or settings.window == settings.size:
        raise UsageError(f"{bundle.path} has no sliding windows")
    if bundle.manifest.precisions != {"fp32"} or bundle.manifest.engines:
        raise UsageError(f"{bundle.path} has more than FP32 networks; make other precisions and engines afterwards")
    made = with_single_pass(bundle)
    windows = -(-(settings.size - settings.window) // max(int(settings.window * (1 - settings.overlap)), 1)) + 1
    reference = answers(bundle, files, {}, backend)
    found = answers(made, files, {}, backend)
    if any(each.probabilities for each in reference) and not any(each.probabilities for each in found):
        raise BudgetBroken(f"one pass finds no joints on any of {len(files)} files, {windows**2} windows do")
    figures = compared(reference, found, truths, bundle.manifest)
    broken = faults(figures, Budget())
    if figures.least_iou < LEAST_OVERLAP:
        broken.append(f"the least overlap of crops {figures.least_iou:.3f} is below {LEAST_OVERLAP:g}")
    if broken:
        raise BudgetBroken(f"one pass does not answer as {windows**2} windows do: {'; '.join(broken)}")
    return SinglePass(made, figures, windows**2)


def write_single_pass(single: SinglePass, images: Sequence[str], out: Path) -> Path:
    """Write the bundle's folder with the record of its gate.

    Args:
        single: what passed.
        images: SHA-256 of each file that the gate was held on.
        out: a new folder.
    """
    fields = json.loads(single.bundle.manifest.model_dump_json())
    record = {
        **record_from_bundle(single.bundle),
        "single_pass": {
            "in_place_of_windows": single.passes,
            "budget": {**Budget().__dict__, "crop_overlap": LEAST_OVERLAP},
            "figures": single.figures.record(),
            "images": list(images),
            "versions": versions(),
        },
    }
    fields["records"]["calibration"] = RECORD
    text = (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()
    return write_folder(single.bundle, fields, {RECORD: text}, out)


def with_single_pass(bundle: Bundle) -> Bundle:
    """The bundle in memory with a segmenter for the whole image, before any gate."""
    fields: dict[str, Any] = json.loads(bundle.manifest.model_dump_json())
    network, side = fields["networks"]["segmenter"], fields["segmentation"]["size"]
    fields["segmentation"] |= {"window": side, "overlap": 0.0}
    for tensor in (*network["inputs"], *network["outputs"]):
        tensor["shape"][2:] = [side, side]
    files = dict(bundle.files)
    for variant in network["variants"]:
        files[variant["file"]] = resized_model(files[variant["file"]], side)
        fields["files"][variant["file"]] = hashlib.sha256(files[variant["file"]]).hexdigest()
    text = json.dumps(fields).encode()
    manifest = manifest_from_json(text, MANIFEST_NAME)
    return replace(
        bundle,
        manifest=manifest,
        fingerprint=manifest.fingerprint(),
        files=files,
        manifest_json=text,
        signature=None,
        signed_by=None,
    )
