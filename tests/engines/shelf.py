"""A tiny bundle and a store of engines of it, for this processor."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import replace
from pathlib import Path

import onnx

from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine.build import Built, engine_from_onnx
from edge_sacro.engine.profiles import profile_from_name
from edge_sacro.engine.qualify import GoldenInputs, golden_inputs, qualify
from edge_sacro.engine.serve import order_from_bundle
from edge_sacro.engine.store import EngineStore
from edge_sacro.manifest import NetworkName
from tests.tiny import write_bundle

PROFILE = {"x86_64": "x86-cpu", "aarch64": "aarch64-cpu"}[platform.machine()]
NETWORKS: tuple[NetworkName, ...] = ("segmenter", "classifier")


def tiny_bundle(folder: Path) -> Bundle:
    """The tiny bundle, loaded."""
    return load_bundle(write_bundle(folder))


def noise(bundle: Bundle) -> GoldenInputs:
    """Golden inputs without phantoms, which take seconds each."""
    return golden_inputs(bundle, "fp32", phantoms=0)


def built(bundle: Bundle, network: NetworkName, mark: str = "") -> Built:
    """An engine of a network; another ``mark`` gives other bytes that compute the same."""
    found = engine_from_onnx(order_from_bundle(bundle, network, "fp32", profile_from_name(PROFILE)))
    return resealed(found, with_mark(found.engine, mark)) if mark else found


def resealed(engine: Built, content: bytes) -> Built:
    """The same seal over other bytes, as a builder gives that times its tactics."""
    sha256 = hashlib.sha256(content).hexdigest()
    return replace(engine, engine=content, seal=engine.seal.model_copy(update={"engine_sha256": sha256}))


def with_mark(engine: bytes, mark: str) -> bytes:
    """The same graph with a remark in it."""
    model = onnx.load_from_string(engine)
    model.doc_string = mark
    content: bytes = model.SerializeToString()
    return content


def qualified(store: EngineStore, bundle: Bundle, mark: str = "") -> dict[NetworkName, str]:
    """Keys of engines of both networks, built, stored and qualified."""
    golden = noise(bundle)
    keys = {network: store.add(built(bundle, network, mark)) for network in NETWORKS}
    for network, key in keys.items():
        assert qualify(store, bundle, network, key, golden).passed
    return keys
