"""Every published system through the model factory, at full size with generated weights: one row a network.

Export, INT8 and FP16 on the runtime's own inputs, and a TensorRT-RTX engine of each precision. Weights are generated,
so differences tell what the tools do to a network of this shape, and nothing of what they do to a trained one.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from bench.generated import exported, network_records, readings, with_precisions
from bench.table import markdown
from calibration.graph import outputs_of
from calibration.reader import Reading
from edge_sacro.bundle import Bundle
from edge_sacro.classify import softmax
from edge_sacro.manifest import NetworkName, Precision
from engines.factory import candidates_from_bundle, row_from_candidate

PROFILE = "rtx-any"


@dataclass
class Row:
    """What the factory made of one network.

    Attributes:
        system, network: whose.
        parameters, gigamacs: of the network.
        export_difference: largest absolute difference between graph and framework, by real and random input.
        int8_difference, fp16_difference: largest difference to FP32 on validation inputs: of a probability for a
            classifier, of a score for a detector; part of the pixels with another label for a segmenter.
        int8_error, fp16_error: root mean square of the first output's difference, against the output's own.
        megabytes: of the ONNX file by precision.
        engines: by precision, seconds, megabytes, and how many of the kernels with weights multiply in int8; or the
            builder's refusal.
        seconds: of export, and of both conversions.
    """

    system: str
    network: str
    parameters: int
    gigamacs: float
    export_difference: Mapping[str, float]
    int8_difference: float = math.nan
    int8_error: float = math.nan
    fp16_difference: float = math.nan
    fp16_error: float = math.nan
    megabytes: dict[str, float] = field(default_factory=dict)
    engines: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def rows_from_system(system: str, work: Path, images: int, tell: Callable[[str], None]) -> list[Row]:
    """Take one system through the factory.

    Args:
        system: as manifests name it.
        work: folder for its bundles; they are removed again, since ten systems take gigabytes.
        images: simulated images to calibrate on, and as many to validate on.
        tell: is given a line for each step.
    """
    folder = work / system
    start = time.perf_counter()
    bundle = exported(system, folder / "fp32")
    exporting = time.perf_counter() - start
    rows = [_row(system, name, each) for name, each in network_records(bundle).items()]
    given = readings(bundle, work, images)
    start = time.perf_counter()
    bundle = with_precisions(bundle, ("int8", "fp16"), given, folder, tell)
    converting = time.perf_counter() - start
    for row in rows:
        row.seconds = {"export": round(exporting, 1), "int8 and fp16": round(converting, 1)}
        _compare(row, bundle, given[1])
    _build(rows, bundle, tell)
    shutil.rmtree(folder)
    return rows


def table_from_rows(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    heads = [
        *("system", "network", "parameters, M", "GMAC", "export", "INT8 difference", "INT8 error", "FP16 difference"),
        *("ONNX, MB: fp32, fp16, int8", "engine fp32", "engine fp16", "engine int8"),
    ]
    lines = []
    for row in rows:
        sizes = ", ".join(f"{row.megabytes[precision]:.1f}" for precision in ("fp32", "fp16", "int8"))
        cells = [row.system, row.network, f"{row.parameters / 1e6:.1f}", f"{row.gigamacs:.1f}"]
        cells += [f"{max(row.export_difference.values()):.1e}", f"{row.int8_difference:.4f}", f"{row.int8_error:.4f}"]
        cells += [f"{row.fp16_difference:.5f}", sizes, *(row.engines[name] for name in ("fp32", "fp16", "int8"))]
        lines.append(cells)
    return markdown(heads, lines)


def _row(system: str, network: str, record: Mapping[str, Any]) -> Row:
    largest = {
        f"{kind} {name}": value
        for kind in ("real", "random")
        for name, value in record["largest_differences"][kind].items()
    }
    return Row(system, network, record["parameters"], record["gigamacs"], largest)


def _compare(row: Row, bundle: Bundle, validation: Reading) -> None:
    name: NetworkName = row.network  # type: ignore[assignment]
    inputs = validation.inputs[name]
    reference = outputs_of(onnx.load_from_string(bundle.model(name, "fp32", "onnxruntime")), inputs)
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    for precision in precisions:
        model = bundle.model(name, precision, "any")
        row.megabytes[precision] = round(len(model) / 1e6, 2)
        if precision == "fp32":
            continue
        pairs = list(zip(reference, outputs_of(onnx.load_from_string(model), inputs), strict=True))
        setattr(row, f"{precision}_difference", max(_difference(one, two) for one, two in pairs))
        setattr(row, f"{precision}_error", max(_error(one, two) for one, two in pairs))


def _difference(one: Mapping[str, Any], two: Mapping[str, Any]) -> float:
    if "scores" in one:
        return float(np.abs(one["scores"][..., 0] - two["scores"][..., 0]).max())
    if one["logits"].ndim == 4:
        return float(np.mean(one["logits"].argmax(axis=1) != two["logits"].argmax(axis=1)))
    return float(np.abs(softmax(one["logits"]) - softmax(two["logits"])).max())


def _error(one: Mapping[str, Any], two: Mapping[str, Any]) -> float:
    first = "scores" if "scores" in one else "logits"
    return float(np.sqrt(np.mean((one[first] - two[first]) ** 2) / np.mean(one[first] ** 2)))


def _build(rows: Sequence[Row], bundle: Bundle, tell: Callable[[str], None]) -> None:
    for candidate in candidates_from_bundle(bundle, [PROFILE], ("fp32", "fp16", "int8")):
        built = row_from_candidate(candidate)
        (row,) = (each for each in rows if each.network == candidate.network)
        if built.error is not None or built.size is None:
            told = f"refused: {built.error}"
        else:
            int8 = "" if candidate.precision != "int8" else f", {built.in_int8} of {built.weighted} kernels int8"
            told = f"{built.size / 1e6:.1f} MB in {built.seconds} s{int8}"
        tell(f"{row.system} {row.network} engine {candidate.precision}: {told}")
        row.engines[candidate.precision] = told
