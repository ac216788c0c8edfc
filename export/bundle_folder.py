"""From ONNX files to a bundle's folder: names and shapes are read from the graphs, hashes from the files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from edge_sacro.manifest import MANIFEST_NAME, Manifest, manifest_from_json


def bundle_from_networks(folder: Path, networks: Mapping[str, Path], fields: Mapping[str, Any]) -> Manifest:
    """Write a bundle's folder.

    Args:
        folder: made if absent; files of these names in it are replaced.
        networks: ONNX file by network name, ``"segmenter"`` and ``"classifier"``.
        fields: every field of the manifest but ``networks`` and ``files``.

    Returns:
        the manifest that was written.

    Raises:
        BundleManifestInvalid: the fields are not what the manifest's schema says; nothing is written.
    """
    described, hashes = {}, {}
    for name, path in networks.items():
        content = path.read_bytes()
        file = f"{name}.onnx"
        hashes[file] = hashlib.sha256(content).hexdigest()
        described[name] = {
            "variants": [{"precision": "fp32", "file": file}],
            **_tensors(onnx.load_from_string(content).graph),
        }
    text = json.dumps({**fields, "networks": described, "files": hashes})
    manifest = manifest_from_json(text.encode(), str(folder / MANIFEST_NAME))
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in networks.items():
        target = folder / f"{name}.onnx"
        if path.resolve() != target.resolve():
            shutil.copyfile(path, target)
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n")
    return manifest


def _tensors(graph: onnx.GraphProto) -> dict[str, Any]:
    def described(values: Any) -> list[dict[str, Any]]:
        return [
            {"name": value.name, "shape": [dim.dim_value for dim in value.type.tensor_type.shape.dim]}
            for value in values
        ]

    return {"inputs": described(graph.input), "outputs": described(graph.output)}
