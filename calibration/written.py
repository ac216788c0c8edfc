"""From an outcome to a new bundle folder: files, manifest, record. The old bundle is left as it is."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from calibration.control import Converted, Outcome, Task
from calibration.placement import quantised_nodes
from calibration.ranges import LEVELS, PERCENTILE, scale_from_limit
from calibration.reader import versions
from edge_sacro.bundle import Bundle
from edge_sacro.errors import UsageError
from edge_sacro.manifest import MANIFEST_NAME, GuardBand, Precision, manifest_from_json

RECORD = "calibration.json"
ONNXRUNTIME = "onnxruntime"
PRECISION_KEY = "edge_sacro.precision"

RECIPE = {
    "int8": (
        "explicit Q/DQ; symmetric int8 activations, one scale a tensor; symmetric int8 weights, one scale an output "
        "channel; biases in float; Conv, ConvTranspose, Gemm, MatMul and residual Add; head and explanation in float"
    ),
    "fp16": "float16 in the graph; inputs, outputs, statistics, head and explanation in float32",
}


@dataclass(frozen=True)
class _File:
    name: str
    content: bytes
    backends: list[str] | None = None


def write_bundle(task: Task, outcome: Outcome, precision: Precision, out: Path) -> Path:
    """Write a bundle's folder with one more precision, whole or not at all.

    Returns:
        ``out``.

    Raises:
        UsageError: ``out`` exists, or a compiled engine of the bundle is of a file that would go.
        BundleManifestInvalid: the new manifest is not what its schema says.
    """
    if out.exists():
        raise UsageError(f"{out} exists already; name a new folder")
    bundle = task.bundle
    files = {each.network: _files(each, bundle, precision) for each in outcome.networks}
    fields = json.loads(bundle.manifest.model_dump_json())
    for name, network in fields["networks"].items():
        others = [variant for variant in network["variants"] if variant["precision"] != precision]
        made = [{"precision": precision, "file": each.name, "backends": each.backends} for each in files[name]]
        whole = [{**variant, "precision": precision} for variant in others if variant["precision"] == "fp32"]
        network["variants"] = others + (made or whole)
    fields["records"]["calibration"] = RECORD
    fields["guard_band"] = guard_band_from(bundle, outcome, precision).model_dump()
    contents = {each.name: each.content for made in files.values() for each in made}
    contents[RECORD] = _record_text(task, outcome, precision)
    return write_folder(bundle, fields, contents, out)


def guard_band_from(bundle: Bundle, outcome: Outcome, precision: Precision) -> GuardBand:
    """The wider of the bundle's band, which noise asks for, and the band that the precision's differences ask for."""
    before, needed = bundle.manifest.guard_band, outcome.pairs
    source = (
        f"{before.source}; {precision} against fp32 on {needed.images} probabilities asks for {needed.half_width:g} "
        f"(median |dp| {needed.median}, largest {needed.largest})"
    )
    return GuardBand(half_width=max(before.half_width, needed.half_width), source=source)


def record_from_bundle(bundle: Bundle) -> dict[str, Any]:
    """The calibration record of a bundle, by precision; empty where it has none."""
    file = bundle.manifest.records.get("calibration")
    return {} if file is None else dict(json.loads(bundle.files[file]))


def network_record(each: Converted, precision: Precision) -> dict[str, Any]:
    """What is kept of one network's calibration."""
    record: dict[str, Any] = {
        "method": each.method,
        "kept_in_float": list(each.kept) if each.model is not None else "whole network",
        "head_in_float": list(each.head),
        "layers": {layer.node: [layer.operator, float(f"{layer.error:.3g}")] for layer in each.layers},
        "unconstrained": None if each.unconstrained is None else each.unconstrained.record(),
        "explanation": None if each.explanation is None else [round(value, 4) for value in each.explanation],
    }
    if precision == "int8":
        record["quantised"] = 0 if each.model is None else len(quantised_nodes(each.model))
        record["onnxruntime"] = None if each.own is None else each.own.record()
        record["scales"] = {name: float(scale_from_limit(limit)) for name, limit in sorted(each.limits.items())}
    return record


def _files(each: Converted, bundle: Bundle, precision: Precision) -> list[_File]:
    """The file for all backends and, for int8, ONNX Runtime's own; none where the whole network stays in float."""
    if each.model is None:
        return []
    files = [_File(f"{each.network}-{precision}.onnx", _stamped(each.model.SerializeToString(), precision))]
    if each.own is None:
        return files
    own = each.own.content()
    if own is None:  # nothing is quantised in it
        float_file = bundle.manifest.networks[each.network].file("fp32", ONNXRUNTIME)  # type: ignore[index]
        return [*files, _File(float_file, bundle.files[float_file], [ONNXRUNTIME])]
    return [*files, _File(f"{each.network}-{precision}-ort.onnx", _stamped(own, precision), [ONNXRUNTIME])]


def _stamped(content: bytes, precision: Precision) -> bytes:
    """The same graph, its metadata telling the precision that it is in now."""
    model = onnx.load_from_string(content)
    others = {each.key: each.value for each in model.metadata_props if each.key != PRECISION_KEY}
    onnx.helper.set_model_props(model, {**others, PRECISION_KEY: precision})
    stamped: bytes = model.SerializeToString()
    return stamped


def _record_text(task: Task, outcome: Outcome, precision: Precision) -> bytes:
    own = outcome.figures_own
    record = {
        **record_from_bundle(task.bundle),
        precision: {
            "recipe": RECIPE[precision],
            "levels": LEVELS,
            "percentile": PERCENTILE,
            "calibration": task.calibration.record(),
            "validation": {**task.validation.record(), "truth_known": len(task.truths), "unstable": len(task.unstable)},
            "versions": versions(),
            "backend": task.backend,
            "budget": task.budget.__dict__,
            "figures": outcome.figures.record(),
            "figures_onnxruntime": None if own is None else own.record(),
            "networks": {each.network: network_record(each, precision) for each in outcome.networks},
        },
    }
    return (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()


def write_folder(bundle: Bundle, fields: dict[str, Any], contents: Mapping[str, bytes], out: Path) -> Path:
    """Write a bundle's folder, whole or not at all.

    Args:
        bundle: whose files go along, as far as the new manifest names them.
        fields: of the new manifest; the hashes are put in here.
        contents: files that are new or take the place of the bundle's.
        out: a new folder.

    Raises:
        UsageError: ``out`` exists, or a compiled engine of the bundle is of a file that would go.
        BundleManifestInvalid: the new manifest is not what its schema says.
    """
    if out.exists():
        raise UsageError(f"{out} exists already; name a new folder")
    named = {variant["file"] for network in fields["networks"].values() for variant in network["variants"]}
    named |= {engine["file"] for engine in fields["engines"]} | set(fields["records"].values())
    kept = {name: content for name, content in {**bundle.files, **contents}.items() if name in named}
    fields["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(kept.items())}
    stale = [each["file"] for each in fields["engines"] if each["seal"]["onnx_sha256"] not in fields["files"].values()]
    if stale:
        raise UsageError(f"engines {stale} are compiled from a file that this replaces; compile them afterwards")
    manifest = manifest_from_json(json.dumps(fields).encode(), str(out / MANIFEST_NAME))
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, content in kept.items():
            (draft / name).write_bytes(content)
        (draft / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n")
        draft.chmod(0o755)
        draft.rename(out)
    except OSError:
        shutil.rmtree(draft)
        raise
    return out
