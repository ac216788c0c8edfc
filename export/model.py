"""``python -m export model``: from checkpoints to a complete bundle in single precision, every graph checked."""

from __future__ import annotations

import hashlib
import logging
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from edge_sacro import __version__
from edge_sacro.classify import softmax
from edge_sacro.errors import InputNotFound, UsageError
from edge_sacro.manifest import Manifest
from export.adopted import adopted, answer_of_given
from export.architectures import Architecture, architectures_of
from export.bundle_fields import Account, manifest_fields
from export.bundle_folder import bundle_from_networks
from export.comparison import Differences, answers_of_graph, checked_differences, compared, mirrored
from export.cost import multiply_accumulates, parameters
from export.explanation import Explained
from export.gate import EXPLANATION, OPSET, Contract, check_graph, describe
from export.generated import digest
from export.networks.classifier import Classifier
from export.onnx_graph import onnx_from_module
from export.probes import Array, gray_from_dicom, input_from_gray, phantom_gray, random_input

Probes = tuple[Array, Array]
"""A radiograph as the network sees it, and noise."""

logger = logging.getLogger(__name__)

RECORD_SCHEMA = "edge-sacro-export-1"
TOOLS = ("torch", "onnx", "onnxruntime", "onnxscript", "monai", "numpy")


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        system: as manifests name it.
        weights: checkpoint, or ONNX file of another exporter, by network; empty for generated weights.
        out: the bundle's folder.
        account: what the bundle says of itself.
        explanation: whether classifiers get Grad-CAM as a second output.
        radiograph: a DICOM file to compare on; the phantom where None.
    """

    system: str
    weights: Mapping[str, Path]
    out: Path
    account: Account
    explanation: bool = True
    radiograph: Path | None = None


@dataclass(frozen=True)
class Exported:
    """One network's graph, checked, and what its record says."""

    model: onnx.ModelProto
    record: dict[str, Any]
    logit_difference: float


def bundle_from_order(order: Order) -> Manifest:
    """Export every network of a system and write the bundle.

    Raises:
        UsageError: the order does not name the system's networks, or a checkpoint cannot be read.
        BundleContractBroken: a checkpoint is another network's; the keys are named.
        GraphRefused: a graph breaks a rule or differs from its framework. Nothing is written.
    """
    architectures = architectures_of(order.system)
    _check_names(order, architectures)
    gray = _radiograph(order.radiograph)
    classifier = architectures.get("classifier")
    manifest_fields(order.system, classifier, order.account, 0.0)  # refused before minutes of work, not after
    with tempfile.TemporaryDirectory() as folder:
        files, records, differences = {}, {}, [0.0]
        for name, architecture in architectures.items():
            logger.info("%s: %s", name, architecture.title)
            probes = input_from_gray(gray, architecture), random_input(architecture)
            exported = _exported(order, name, architecture, probes)
            files[name] = Path(folder) / f"{name}.onnx"
            onnx.save(exported.model, files[name])
            records[name] = exported.record
            if name != "segmenter":
                differences.append(exported.logit_difference)
        fields = manifest_fields(order.system, classifier, order.account, max(differences))
        return bundle_from_networks(order.out, files, fields, {"export": _record(order, records)})


def _check_names(order: Order, architectures: Mapping[str, Architecture]) -> None:
    if order.account.generated and order.weights:
        raise UsageError("weights are given and asked to be generated", source="--weights")
    if not order.account.generated and set(order.weights) != set(architectures):
        needed = " ".join(f"--weights {name}=FILE" for name in architectures)
        given = ", ".join(order.weights) or "none"
        raise UsageError(f"the networks given are {given}", source="--weights", remedy=f"Give {needed}.")
    for path in order.weights.values():
        if not path.is_file():
            raise UsageError("there is no such file", source=str(path))


def _radiograph(path: Path | None) -> Any:
    if path is None:
        return phantom_gray()
    try:
        return gray_from_dicom(path.read_bytes(), str(path))
    except OSError as error:
        raise InputNotFound(f"it cannot be read: {error.strerror}", source=str(path)) from error


def _exported(order: Order, name: str, architecture: Architecture, probes: Probes) -> Exported:
    path, contract = order.weights.get(name), architecture.contract(order.system, name)
    if path is None:
        source = {"generated": architecture.seed[0], "sha256": digest(architecture.generated())}
        module = architecture.from_generated()
    else:
        source = _file_source(path)
        if path.suffix == ".onnx":
            return _adopted(path, architecture, contract, probes, source)
        module = architecture.from_checkpoint(path)
    if order.explanation and isinstance(module, Classifier):
        module = Explained(module)
    model, inferred, differences = graph_from_module(module, contract, probes, source["sha256"])
    record = _network_record(architecture, inferred, source, differences, "PyTorch")
    return Exported(model, record, _logit_difference(differences))


def graph_from_module(
    module: nn.Module, contract: Contract, probes: Probes, source_sha256: str
) -> tuple[onnx.ModelProto, onnx.ModelProto, Differences]:
    """Export one filled network; the graph, the same with all shapes, and how far it is from the module.

    Args:
        module: in evaluation mode; an :class:`Explained` classifier gives a second output.
        contract: what the graph must be.
        probes: a radiograph as the network sees it, and noise.
        source_sha256: of the weights' source.

    Raises:
        GraphRefused: the graph breaks a rule or differs from the module.
    """
    names = tuple(output.name for output in contract.outputs)
    if isinstance(module, Explained):
        names = (*names, EXPLANATION)
    (given,) = contract.inputs
    with tempfile.TemporaryDirectory() as folder:
        path = onnx_from_module(module, Path(folder) / "graph.onnx", given.shape, output_names=names)
        model = describe(onnx.load(path), contract.metadata(source_sha256))
    where = f"{contract.system}/{contract.network}"
    inferred = check_graph(model, contract, where)
    differences = compared(model, module, *probes, source=where)
    logger.info("%s differs from PyTorch by %.2g at most", where, max(differences.real.values()))
    return model, inferred, differences


def _adopted(
    path: Path, architecture: Architecture, contract: Contract, probes: Probes, source: Mapping[str, str]
) -> Exported:
    """Another exporter's graph, held to the graph as it was given by its probabilities, which both have."""
    model = describe(adopted(path, contract), contract.metadata(source["sha256"]))
    inferred = check_graph(model, contract, str(path))
    real, noise = probes
    found = [
        {"probabilities": softmax(answer["logits"])}
        for answer in answers_of_graph(model, [real, noise, mirrored(real)])
    ]
    expected = [{"probabilities": answer_of_given(path, image)} for image in probes]
    differences = checked_differences(found, expected, str(path))
    record = _network_record(architecture, inferred, source, differences, "the file as given, in ONNX Runtime")
    return Exported(model, record, _logit_difference(differences))


def _logit_difference(differences: Differences) -> float:
    """The largest difference of what decides, as one of logits: a probability moves by a quarter of it at most."""
    name = next(iter(differences.real))
    return max(differences.real[name], differences.random[name]) * (1 if name == "logits" else 4)


def _network_record(
    architecture: Architecture,
    inferred: onnx.ModelProto,
    source: Mapping[str, str],
    differences: Differences,
    compared_with: str,
) -> dict[str, Any]:
    macs = multiply_accumulates(inferred)
    return {
        "architecture": architecture.title,
        "source": dict(source),
        "input": list(architecture.shape),
        "classes": list(architecture.classes),
        "opset": OPSET,
        "nodes": len(inferred.graph.node),
        "parameters": parameters(inferred),
        "gigamacs": round(macs / 1e9, 3),
        "compared_with": compared_with,
        "largest_differences": differences.as_dict(),
    }


def _record(order: Order, networks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "schema": RECORD_SCHEMA,
        "system": order.system,
        "networks": dict(networks),
        "real_input": "phantom" if order.radiograph is None else order.radiograph.name,
        "versions": {
            "edge-sacro": __version__,
            "python": platform.python_version(),
            "exporter": "torch.onnx.export, dynamo",
            **{tool: _version(tool) for tool in TOOLS},
        },
    }


def _version(tool: str) -> str | None:
    try:
        return version(tool)
    except PackageNotFoundError:
        return None


def _file_source(path: Path) -> dict[str, str]:
    total = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                total.update(chunk)
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", source=str(path)) from error
    return {"file": path.name, "sha256": total.hexdigest()}
