"""``python -m export explain``: a bundle whose classifier cannot explain itself gets Grad-CAM in all its precisions.

The graphs' logits stay what they are, bit for bit, and so do cut-offs, guard band and calibration. What changes is the
fingerprint, so that a signature is left behind and compiled engines have to be built again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from edge_sacro.bundle import Bundle
from edge_sacro.errors import GraphRefused, OutputNotWritten, UsageError
from edge_sacro.explain import OUTPUT
from edge_sacro.manifest import MANIFEST_NAME, Manifest, manifest_from_json
from export.explained_graph import explained_from_graph
from export.gate import specs

NOISE_SEEDS = (1, 2, 3)


def write_explained(bundle: Bundle, out: Path) -> Manifest:
    """Write a bundle with an explanation in every graph of its classifier.

    Args:
        bundle: left as it is.
        out: a folder that does not exist yet.

    Returns:
        the manifest that was written.

    Raises:
        UsageError: the bundle has no classifier or has compiled engines, or ``out`` exists.
        GraphRefused: a graph has an explanation already, has another form, or would answer otherwise than before.
        OutputNotWritten: the folder cannot be written.
    """
    _check(bundle, out)
    fields = json.loads(bundle.manifest.model_dump_json())
    network = fields["networks"]["classifier"]
    contents = {name: content for name, content in bundle.files.items() if name in bundle.manifest.files}
    shapes = set()
    for file in {variant["file"]: None for variant in network["variants"]}:
        contents[file], shape = _explained(contents[file], file)
        shapes.add(shape)
    if len(shapes) != 1:
        raise GraphRefused(f"the maps of its precisions have different shapes: {sorted(shapes)}", source=bundle.path)
    network["outputs"].append({"name": OUTPUT, "shape": list(shapes.pop())})
    fields["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    manifest = manifest_from_json(json.dumps(fields).encode(), str(out / MANIFEST_NAME))
    contents[MANIFEST_NAME] = (manifest.model_dump_json(indent=2) + "\n").encode()
    try:
        out.mkdir(parents=True)
        for name, content in contents.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise OutputNotWritten(f"the bundle cannot be written: {error.strerror}", source=str(out)) from error
    return manifest


def _check(bundle: Bundle, out: Path) -> None:
    if "classifier" not in bundle.manifest.networks:
        raise UsageError(f"system {bundle.manifest.system} has no classifier", source=bundle.path)
    if bundle.manifest.engines:
        raise UsageError("its compiled engines are of other graphs than it would have", source=bundle.path)
    if out.exists():
        raise UsageError("it exists already", source=str(out), remedy="Name a new folder.")


def _explained(content: bytes, file: str) -> tuple[bytes, tuple[int, ...]]:
    """The graph with its explanation, and the explanation's shape."""
    model = explained_from_graph(onnx.load_from_string(content))
    explained: bytes = model.SerializeToString()
    (image,) = specs(model.graph.input)
    for seed in NOISE_SEEDS:
        noise = np.random.default_rng(seed).random(image.shape, dtype=np.float32)
        before, after = (_logits(graph, image.name, noise) for graph in (content, explained))
        if not np.array_equal(before, after):
            raise GraphRefused(f"its logits would change from {before} to {after}", source=file)
    return explained, specs(model.graph.output)[1].shape


def _logits(content: bytes, image: str, noise: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {image: noise})[0], np.float32)
