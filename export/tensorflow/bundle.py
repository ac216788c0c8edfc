"""From a detector to a complete bundle of the system ``noh2021``: the graph checked and compared, and its record."""

from __future__ import annotations

import hashlib
import logging
import math
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from edge_sacro import __version__
from edge_sacro.engine.base import TensorSpec
from edge_sacro.errors import UsageError
from edge_sacro.manifest import Manifest
from edge_sacro.preprocess.normalise import VERSION
from edge_sacro.preprocess.tf_resize import detector_input
from edge_sacro.systems.noh2021 import BEST_BOX, CITATION, CLASSES
from export.bundle_fields import GENERATED_STATEMENT, STEP, Account
from export.bundle_folder import bundle_from_networks
from export.checkpoint import filled as filled_by_key
from export.comparison import TOLERANCE, Array, Differences, answers_of_graph, checked_differences, mirrored
from export.cost import multiply_accumulates, parameters
from export.gate import OPSET, Contract, check_graph, describe
from export.generated import digest, generated_tensors
from export.onnx_graph import onnx_from_module
from export.probes import gray_from_dicom, phantom_gray
from export.tensorflow.efficientdet import (
    BEST,
    D4_CONFIG,
    INPUT_NAME,
    OUTPUT_NAMES,
    EfficientDet,
    detector,
    detector_from_checkpoint,
    detector_from_saved_model,
)
from export.tensorflow.pipeline import Pipeline, pipeline_from_config

SYSTEM = "noh2021"
NETWORK = "detector"
LEAST_SCORE = 0.5
"""Noh et al. 2021, Evaluation: boxes below it are discarded."""

_LAYOUT = "Give the folder that exporter_main_v2.py wrote: pipeline.config beside saved_model/ or checkpoint/."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A filled network, what its record says of where it comes from, and the SHA-256 of its weights."""

    net: EfficientDet
    told: dict[str, str]
    sha256: str


def source_from_export(folder: Path) -> Source:
    """The network in a folder that the API's exporter wrote, from its SavedModel or else its newest checkpoint.

    Raises:
        UsageError: there is neither, or one of the files cannot be read.
        BundleContractBroken: the variables are not those of the configuration's network; the message names them.
    """
    config, model = folder / "pipeline.config", folder / "saved_model"
    if model.is_dir():
        net, prefix = detector_from_saved_model(model, config), model / "variables" / "variables"
    else:
        indices = sorted((folder / "checkpoint").glob("ckpt-*.index"), key=lambda path: int(path.stem.split("-")[-1]))
        if not indices:
            raise UsageError("there is no model in it", source=str(folder), remedy=_LAYOUT)
        prefix = indices[-1].with_suffix("")
        net = detector_from_checkpoint(prefix, config)
    total = hashlib.sha256(config.read_bytes())
    for path in sorted(prefix.parent.glob(f"{prefix.name}.*")):
        total.update(path.read_bytes())
    told = {"file": str(prefix.relative_to(folder)), "sha256": total.hexdigest()}
    return Source(net, told, total.hexdigest())


def source_from_generated(pipeline: Pipeline | None = None) -> Source:
    """A network with generated weights (``export.generated``), the published one where no configuration is given.

    With them the signal grows through blocks that add up, until every score is 0 or 1. So each batch norm takes the
    statistics of the phantom and of noise: the weights are the same on every machine, these to rounding.
    """
    net = detector(pipeline or pipeline_from_config(D4_CONFIG))
    values = generated_tensors(SYSTEM, {key: tuple(value.shape) for key, value in net.state_dict().items()})
    filled_by_key(net, {key: torch.from_numpy(np.asarray(value)) for key, value in values.items()}, "generated weights")
    sha256 = digest(values)
    _settle(net)
    return Source(net, {"generated": SYSTEM, "sha256": sha256}, sha256)


def contract_of(net: EfficientDet) -> Contract:
    """What the network's graph must be."""
    best = min(BEST, net.decoder.get_buffer("anchors").shape[0])
    shape = (1, len(CLASSES), best)
    outputs = tuple(TensorSpec(name, size) for name, size in zip(OUTPUT_NAMES, (shape, (*shape, 4)), strict=True))
    return Contract(SYSTEM, NETWORK, (TensorSpec(INPUT_NAME, net.input_shape),), outputs, CLASSES)


def bundle_from_source(source: Source, out: Path, account: Account, radiograph: Path | None = None) -> Manifest:
    """Export a detector and write its bundle.

    Args:
        source: the filled network.
        out: the bundle's folder.
        account: what the bundle says of itself.
        radiograph: a DICOM file to compare graph and network on; the phantom where None.

    Raises:
        InputRefused: the runtime would refuse the radiograph.
        GraphRefused: the graph breaks a rule or differs from its framework. Nothing is written.
        BundleManifestInvalid: the manifest's schema refuses what the configuration says.
    """
    net, contract = source.net, contract_of(source.net)
    gray = None if radiograph is None else gray_from_dicom(radiograph.read_bytes(), str(radiograph))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NETWORK}.onnx"
        onnx_from_module(net, path, net.input_shape, input_name=INPUT_NAME, output_names=OUTPUT_NAMES)
        model = describe(onnx.load(path), contract.metadata(source.sha256))
        inferred = check_graph(model, contract, f"{SYSTEM}/{NETWORK}")
        differences = compared_detector(model, net, gray)
        worst = max(differences.real["scores"], differences.random["scores"])
        logger.info("%s/%s: scores differ from PyTorch by %.2g at most", SYSTEM, NETWORK, worst)
        onnx.save(model, path)
        record = _record(source, contract, inferred, differences)
        record["real_input"] = "phantom" if radiograph is None else radiograph.name
        return bundle_from_networks(out, {NETWORK: path}, _fields(net, account, worst), {"export": record})


def compared_detector(
    model: onnx.ModelProto, net: EfficientDet, gray: npt.NDArray[np.uint8] | None = None
) -> Differences:
    """Hold a detector's graph to its network, on a radiograph and on noise.

    Args:
        model: the graph.
        net: the network that it comes from.
        gray: 8-bit radiograph in canonical view; the phantom's where None.

    Raises:
        GraphRefused: a difference is above the tolerance, or the mirrored radiograph makes none.
    """
    real, noise = _probes(net, phantom_gray() if gray is None else gray)
    found = answers_of_graph(model, [real, noise, mirrored(real)])
    expected = [_expected(net, image, answer["boxes"]) for image, answer in zip((real, noise), found, strict=False)]
    return checked_differences(found, expected, f"{SYSTEM}/{NETWORK}")


def _probes(net: EfficientDet, gray: npt.NDArray[np.uint8]) -> tuple[Array, Array]:
    real, _ = detector_input(gray, net.pipeline.size)
    return real, np.random.default_rng(0).normal(size=net.input_shape).astype(np.float32)


def _settle(net: EfficientDet) -> None:
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.train()
            part.momentum = 1.0
    with torch.no_grad():
        net.predictions(torch.from_numpy(np.concatenate(_probes(net, phantom_gray()))))
    net.eval()


def _expected(net: EfficientDet, image: Array, found: Array) -> dict[str, Array]:
    """The network's best scores, and for each rank the box nearest to the found one, of those whose scores tie.

    The order of boxes whose scores differ by rounding is rounding too.
    """
    with torch.inference_mode():
        scores, boxes = (value[0].numpy() for value in net.raw(torch.from_numpy(image)))
    best = np.sort(scores, axis=0)[::-1][: found.shape[2]].T
    nearest = np.empty_like(found)
    for label, ranked in enumerate(best):
        for rank, score in enumerate(ranked):
            tied = boxes[np.abs(scores[:, label] - score) <= TOLERANCE]
            nearest[0, label, rank] = tied[np.abs(tied - found[0, label, rank]).max(axis=1).argmin()]
    return {"scores": best[None], "boxes": nearest}


def _fields(net: EfficientDet, account: Account, score_difference: float) -> dict[str, Any]:
    suppression, made = net.pipeline.suppression, account.generated
    point = BEST_BOX
    return {
        "schema_version": 1,
        "name": account.name,
        "version": account.release,
        "system": SYSTEM,
        "numerics": "corrected",
        "demonstration": made,
        "statement": GENERATED_STATEMENT if made else account.statement,
        "intended_use": "Tests and timing. Not for clinical use." if made else "Research.",
        "licence": "Apache-2.0" if made else account.licence,
        "credits": [
            f"Method: {CITATION}; no code and no weights of it are in here." if made else f"Method: {CITATION}."
        ],
        "normaliser": VERSION,
        "classes": list(CLASSES),
        "default_precision": "fp32",
        "operating_points": [{"name": point.name, "threshold": point.threshold, "source": point.source}],
        "default_operating_point": point.name,
        "guard_band": _guard_band(score_difference),
        "detection": {
            "size": net.pipeline.size,
            "score": LEAST_SCORE,
            "iou": suppression.iou_threshold,
            "boxes": min(suppression.per_class, suppression.total),
        },
    }


def _guard_band(score_difference: float) -> dict[str, Any]:
    # Scores that move by d move a share s / (s + n) by d / (s + n) at most, and s is LEAST_SCORE or more; twice that.
    steps = max(math.ceil(2 * score_difference / LEAST_SCORE / STEP), 1)
    source = f"twice what the largest difference of a score to the framework moves a share by, rounded up to {STEP}"
    return {"half_width": round(steps * STEP, 3), "source": source}


def _record(source: Source, contract: Contract, inferred: onnx.ModelProto, differences: Differences) -> dict[str, Any]:
    from export.model import RECORD_SCHEMA

    pipeline = source.net.pipeline
    title = (
        f"EfficientDet, EfficientNet-B{pipeline.backbone}, BiFPN {pipeline.pyramid.channels} x {pipeline.pyramid.cells}"
    )
    return {
        "schema": RECORD_SCHEMA,
        "system": SYSTEM,
        "networks": {
            NETWORK: {
                "architecture": f"{title}, variables of the TensorFlow 2 Object Detection API",
                "source": source.told,
                "input": list(source.net.input_shape),
                "classes": list(contract.classes),
                "opset": OPSET,
                "nodes": len(inferred.graph.node),
                "parameters": parameters(inferred),
                "gigamacs": round(multiply_accumulates(inferred) / 1e9, 3),
                "compared_with": "PyTorch",
                "largest_differences": differences.as_dict(),
            }
        },
        "versions": {
            "edge-sacro": __version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "onnx": onnx.__version__,
            "numpy": np.__version__,
        },
    }
