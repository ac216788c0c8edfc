"""The tiny networks in other precisions, made by hand: half precision by casts, INT8 by Q/DQ."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sacro.phantom.study import SCHEMA
from tests import tiny


def half(model: bytes) -> bytes:
    """The same graph computed in half precision between a cast of its input and one of its output."""
    graph = onnx.load_from_string(model).graph
    inside = {output: f"{output}_half" for node in graph.node for output in node.output}
    weights = [
        numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name)
        for weight in graph.initializer
    ]
    given, answer = graph.input[0].name, graph.output[0].name
    nodes = [helper.make_node("Cast", [given], [f"{given}_half"], to=TensorProto.FLOAT16)]
    nodes += [_renamed(node, {given: f"{given}_half", **inside}) for node in graph.node]
    nodes += [helper.make_node("Cast", [f"{answer}_half"], [answer], to=TensorProto.FLOAT)]
    return _rebuilt(graph, nodes, weights)


def quantised(model: bytes, scale: float = 1 / 127) -> bytes:
    """INT8 on the input, symmetric with this scale, and on every weight of two or more axes."""
    graph = onnx.load_from_string(model).graph
    given = graph.input[0].name
    weights = [numpy_helper.from_array(np.float32(scale), "scale"), numpy_helper.from_array(np.int8(0), "zero")]
    nodes = [
        helper.make_node("QuantizeLinear", [given, "scale", "zero"], [f"{given}_q"]),
        helper.make_node("DequantizeLinear", [f"{given}_q", "scale", "zero"], [f"{given}_dq"]),
    ]
    names = {given: f"{given}_dq"}
    for weight in graph.initializer:
        value = numpy_helper.to_array(weight)
        if value.ndim < 2:
            weights.append(weight)
            continue
        step = np.float32(np.abs(value).max() / 127)
        stored = np.clip(np.rint(value / step), -127, 127).astype(np.int8)
        weights += [
            numpy_helper.from_array(stored, f"{weight.name}_q"),
            numpy_helper.from_array(step, f"{weight.name}_scale"),
        ]
        nodes.append(
            helper.make_node(
                "DequantizeLinear", [f"{weight.name}_q", f"{weight.name}_scale", "zero"], [f"{weight.name}_dq"]
            )
        )
        names[weight.name] = f"{weight.name}_dq"
    return _rebuilt(graph, [*nodes, *(_renamed(node, names) for node in graph.node)], weights)


GUARD_BAND = {"half_width": 0.02, "source": "laid down for tests"}
STEPS = range(-3, 4)
"""Of the sacrum's gray level; the tiny bundle's probability goes from below 0.1 to above 0.9 with them."""


def write_images(folder: Path) -> list[Path]:
    """The drawn pelvis with sacra of seven gray levels, and a truth beside them: the brighter ones are positive."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for step in STEPS:
        stored = tiny.drawn_pelvis()
        stored[stored == tiny.LEVELS[2]] = tiny.LEVELS[2] + 130 * step
        paths.append(tiny.write_dicom(folder / f"sacrum{step:+d}.dcm", stored, SOPInstanceUID=f"2.25.{10 + step}"))
    images = [
        {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "mny_positive": step > 0}
        for path, step in zip(paths, STEPS, strict=True)
    ]
    (folder / "truth.json").write_text(json.dumps({"schema": SCHEMA, "images": images}))
    return paths


def write_bundle(folder: Path, **changes: Any) -> Path:
    """The tiny bundle with each network in three precisions; ``changes`` replace fields of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    networks, files = tiny.manifest_fields()["networks"], {}
    for name, model in (("segmenter", tiny.segmenter()), ("classifier", tiny.classifier(40.0, 0.32))):
        made = {"fp32": model, "fp16": half(model), "int8": quantised(model)}
        files.update({f"{name}.{precision}.onnx": content for precision, content in made.items()})
        networks[name]["variants"] = [
            {"precision": precision, "file": f"{name}.{precision}.onnx"} for precision in made
        ]
    for file, content in files.items():
        (folder / file).write_bytes(content)
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    points = [
        {"name": "accuracy", "threshold": 0.59, "source": "laid down for tests"},
        {"name": "low", "threshold": 0.3, "source": "laid down for tests"},
    ]
    laid_down = {"operating_points": points, "guard_band": GUARD_BAND, **changes}
    fields = tiny.manifest_fields(networks=networks, files=hashes, **laid_down)
    (folder / "manifest.json").write_text(json.dumps(fields))
    return folder


def _renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for tensors in (copy.input, copy.output):
        for index, name in enumerate(tensors):
            tensors[index] = names.get(name, name)
    return copy


def _rebuilt(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> bytes:
    rebuilt = helper.make_graph(nodes, "tiny", list(graph.input), list(graph.output), weights)
    model = helper.make_model(rebuilt, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
