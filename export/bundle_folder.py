"""From ONNX files to a bundle's folder: names and shapes are read from the graphs, hashes from the files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from edge_sacro.errors import OutputNotWritten
from edge_sacro.manifest import MANIFEST_NAME, Manifest, manifest_from_json
from export.gate import specs


def bundle_from_networks(
    folder: Path,
    networks: Mapping[str, Path],
    fields: Mapping[str, Any],
    records: Mapping[str, Mapping[str, Any]] | None = None,
) -> Manifest:
    """Write a bundle's folder with its networks in single precision.

    Args:
        folder: made if absent; files of these names in it are replaced.
        networks: ONNX file by network name, ``"segmenter"``, ``"classifier"`` or ``"detector"``.
        fields: every field of the manifest but ``networks``, ``records`` and ``files``.
        records: what becomes ``<name>.json``, listed in the manifest; ``"export"`` is one.

    Returns:
        the manifest that was written.

    Raises:
        BundleManifestInvalid: the fields are not what the manifest's schema says; nothing is written.
        OutputNotWritten: the folder cannot be written.
    """
    described, hashes = {}, {}
    for name, path in networks.items():
        content = path.read_bytes()
        hashes[f"{name}.onnx"] = hashlib.sha256(content).hexdigest()
        described[name] = _network(f"{name}.onnx", onnx.load_from_string(content).graph)
    texts = {f"{name}.json": _text(record) for name, record in (records or {}).items()}
    hashes |= {file: hashlib.sha256(text.encode()).hexdigest() for file, text in texts.items()}
    listed = {name: f"{name}.json" for name in records or {}}
    content = json.dumps({**fields, "networks": described, "records": listed, "files": hashes}).encode()
    manifest = manifest_from_json(content, str(folder / MANIFEST_NAME))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in networks.items():
            target = folder / f"{name}.onnx"
            if path.resolve() != target.resolve():
                shutil.copyfile(path, target)
        for file, text in {**texts, MANIFEST_NAME: manifest.model_dump_json(indent=2) + "\n"}.items():
            (folder / file).write_text(text)
    except OSError as error:
        raise OutputNotWritten(f"the bundle cannot be written: {error.strerror}", source=str(folder)) from error
    return manifest


def _network(file: str, graph: onnx.GraphProto) -> dict[str, Any]:
    def described(values: Any) -> list[dict[str, Any]]:
        return [{"name": spec.name, "shape": list(spec.shape)} for spec in specs(values)]

    variants = [{"precision": "fp32", "file": file}]
    return {"variants": variants, "inputs": described(graph.input), "outputs": described(graph.output)}


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"
