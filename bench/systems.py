"""Every published system in FP32 and INT8 on this machine's CPU, at full size with generated weights: one row each.

What a system costs here, and that INT8 decides as FP32 does. Weights are generated, so an answer says nothing of the
image; it is there to be compared with another machine's, and the flips tell what INT8 does to a network of this shape.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.generated import exported, network_records, readings, simulated, with_precisions
from bench.stopwatch import Stopwatch
from bench.table import markdown
from calibration.reader import inputs_from_files
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.classify import softmax
from edge_sacro.engine import open_engine
from edge_sacro.manifest import NetworkName, Precision
from edge_sacro.parity.measure import Setup, measure
from edge_sacro.parity.watch import Call, Watch
from edge_sacro.runtime import Runtime

BACKEND = "onnxruntime"
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
SEED = 973_000
CALIBRATION_IMAGES = 1
ANCHOR = Path(__file__).parents[1] / "tests" / "golden" / "data" / "classifier.npz"
"""Holds what the published application's classifier answers to ``ANCHOR_SEED``'s noise with the same weights."""

ANCHOR_KEY, ANCHOR_SEED = "rand_pcg64_99/logits", 99
ANCHORED = frozenset({"dorfner2024", "dorfner2024-standard"})


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        images: that decisions are compared on, where they reach every network; the first of those is timed.
        runs: timed assessments, after one that is not counted.
        threads: inside one inference.
    """

    images: int = 5
    runs: int = 10
    threads: int = 2


@dataclass(frozen=True)
class Row:
    """One system in one precision.

    Attributes:
        system, precision: which.
        networks: by name: ``parameters``, ``gigaflops`` of one run (twice the multiply-accumulates), ``runs`` in one
            assessment, ``megabytes`` of the ONNX file and ``ms``, the median of all its runs in one assessment.
        networks_ms: ``median`` and ``least`` of all networks' runs in one assessment.
        assessment_ms: the same of the whole assessment, from the DICOM file's path to the result.
        load: the machine's load average before; where others used it too, the least times say more than the medians.
        threads, runs: as in the options.
        golden: by network, what it answers to its own input of the first image, with that input's SHA-256.
        answer: state and probability of that image.
        anchor: largest difference of the logits to the published application's on the same weights and noise; None
            where there are none.
        against_fp32: flips, disagreements, largest difference of a probability and images; None in FP32 itself.
    """

    system: str
    precision: Precision
    networks: dict[str, dict[str, float]]
    networks_ms: dict[str, float]
    assessment_ms: dict[str, float]
    load: float
    threads: int
    runs: int
    golden: dict[str, dict[str, Any]]
    answer: dict[str, Any]
    anchor: float | None
    against_fp32: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def rows_from_system(system: str, work: Path, options: Options, tell: Callable[[str], None]) -> Iterator[Row]:
    """Measure one system, a row for each precision as it is made.

    Args:
        system: as manifests name it.
        work: folder for its bundle, which is taken as it is where it is there already, and for images, which all
            systems of a modality share.
        options: how.
        tell: is given a line for each step.
    """
    bundle = _bundle(system, work, tell)
    candidates = simulated(system, work / "compared", options.images, SEED)
    files = inputs_from_files(bundle, candidates).files  # others do not reach every network
    for precision in PRECISIONS:
        tell(f"{system}: {options.runs} runs in {precision}")
        yield _row(bundle, precision, files, options)


def _bundle(system: str, work: Path, tell: Callable[[str], None]) -> Bundle:
    """The system's bundle in FP32 and INT8: made, or as it was kept."""
    folder = work / system
    if not (folder / "int8").exists():
        tell(f"{system}: export")
        bundle = exported(system, folder / "fp32")
        tell(f"{system}: INT8")
        with_precisions(bundle, ("int8",), readings(bundle, work, CALIBRATION_IMAGES), folder, tell)
        shutil.rmtree(folder / "fp32")
    return load_bundle(folder / "int8")


def _row(bundle: Bundle, precision: Precision, files: Sequence[Path], options: Options) -> Row:
    watch = Watch()
    with Runtime(bundle, backend=BACKEND, precision=precision, threads=options.threads, opener=watch.open) as runtime:
        result = runtime.infer(files[0])
    calls = watch.taken()
    load = os.getloadavg()[0]
    whole, by_network = _timed(bundle, precision, files[0], options)
    costs = network_records(bundle)
    networks: dict[str, dict[str, float]] = {
        name: {
            "parameters": costs[name]["parameters"],
            "gigaflops": round(2 * costs[name]["gigamacs"], 3),
            "runs": sum(call.network == name for call in calls),
            "megabytes": round(len(bundle.model(name, precision, BACKEND)) / 1e6, 2),
            "ms": _milliseconds(by_network[name])["median"],
        }
        for name in bundle.manifest.networks
    }
    return Row(
        system=bundle.manifest.system,
        precision=precision,
        networks=networks,
        networks_ms=_milliseconds([sum(each) for each in zip(*by_network.values(), strict=True)]),
        assessment_ms=_milliseconds(whole),
        load=round(load, 2),
        threads=options.threads,
        runs=options.runs,
        golden={call.network: _golden(call) for call in reversed(calls)},
        answer={"state": result.state.value, "reason_code": result.reason_code, "probability": result.probability},
        anchor=_anchor(bundle, precision, options.threads),
        against_fp32=None if precision == "fp32" else _against_fp32(bundle, precision, files, options),
    )


def _timed(
    bundle: Bundle, precision: Precision, file: Path, options: Options
) -> tuple[list[float], dict[str, list[float]]]:
    """Seconds of each assessment, and of all runs of each network in it; the first assessment is left out."""
    stopwatch = Stopwatch()
    whole: list[float] = []
    networks: dict[str, list[float]] = {name: [] for name in bundle.manifest.networks}
    with Runtime(bundle, backend=BACKEND, precision=precision, threads=options.threads, opener=stopwatch.open) as timed:
        timed.infer(file)
        stopwatch.taken()
        for _ in range(options.runs):
            start = time.perf_counter()
            timed.infer(file)
            whole.append(time.perf_counter() - start)
            taken = stopwatch.taken()
            for name, each in networks.items():
                each.append(sum(taken[name]))
    return whole, networks


def _milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    return {"median": round(1000 * statistics.median(seconds), 1), "least": round(1000 * min(seconds), 1)}


def _golden(call: Call) -> dict[str, Any]:
    """What a network answers, in few numbers: logits, the share of each label, or the best score of each class."""
    (given,) = call.inputs.values()
    found: dict[str, Any] = {"input_sha256": hashlib.sha256(given.tobytes()).hexdigest()}
    if "scores" in call.outputs:
        found["best_scores"] = [_rounded(each) for each in call.outputs["scores"][0].max(axis=-1)]
        return found
    logits = call.outputs["logits"]
    if logits.ndim == 4:
        counts = np.bincount(logits.argmax(axis=1).ravel(), minlength=logits.shape[1])
        found["label_shares"] = [_rounded(count / counts.sum()) for count in counts]
        return found
    found["logits"] = [_rounded(each) for each in logits[0]]
    found["probability"] = _rounded(softmax(logits)[0, 1])
    return found


def _rounded(value: float) -> float:
    return round(float(value), 6)


def _anchor(bundle: Bundle, precision: Precision, threads: int) -> float | None:
    if bundle.manifest.system not in ANCHORED or not ANCHOR.is_file():
        return None
    network: NetworkName = "classifier"
    spec = bundle.manifest.networks[network].spec(network)
    (given,) = spec.inputs
    noise = np.random.Generator(np.random.PCG64(ANCHOR_SEED)).random(given.shape).astype(np.float32)
    engine = open_engine(BACKEND, spec, bundle.model(network, precision, BACKEND), threads)
    try:
        logits = engine.run({given.name: noise})["logits"]
    finally:
        engine.close()
    with np.load(ANCHOR) as arrays:
        return float(np.abs(logits - arrays[ANCHOR_KEY]).max())


def _against_fp32(bundle: Bundle, precision: Precision, files: Sequence[Path], options: Options) -> dict[str, Any]:
    """Decisions beside those in FP32, at every cut-off of the bundle, as ``edge-sacro parity`` counts them."""
    document = measure(bundle, files, Setup(against=[(BACKEND, precision)], threads=options.threads))
    (contender,) = document.contenders
    summary = contender.summary
    return {
        "images": summary.instances,
        "with_probability": summary.with_probability,
        "cut_offs": len(document.operating_points),
        "flips_outside_guard_band": summary.flips_outside,
        "flips_inside_guard_band": summary.flips_inside,
        "disagreements": summary.disagreements,
        "largest_difference": None if summary.probability is None else abs(summary.probability.value),
    }


def table_from_rows(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    heads = "system | precision | parameters, M | GFLOP of an assessment | ONNX, MB | networks, ms (least)"
    heads += " | whole, ms (least) | golden input answered | flips beside FP32 | largest difference of p"
    return markdown(heads.split(" | "), [_cells(row) for row in rows])


def _cells(row: Row) -> list[str]:
    networks = row.networks.values()
    flops = sum(each["gigaflops"] * each["runs"] for each in networks)
    cells = [row.system, row.precision, f"{sum(each['parameters'] for each in networks) / 1e6:.1f}", f"{flops:.1f}"]
    cells.append(f"{sum(each['megabytes'] for each in networks):.1f}")
    cells += [f"{each['median']:.0f} ({each['least']:.0f})" for each in (row.networks_ms, row.assessment_ms)]
    cells.append("; ".join(_told(name, each) for name, each in row.golden.items()))
    if row.against_fp32 is None:
        return [*cells, "", ""]
    found, difference = row.against_fp32, row.against_fp32["largest_difference"]
    flips = found["flips_outside_guard_band"] + found["flips_inside_guard_band"]
    told = f"{flips} of {found['with_probability'] * found['cut_offs']}"
    if found["disagreements"]:
        told += f"; {found['disagreements']} of {found['images']} images answered by one alone"
    return [*cells, told, "no probability in both" if difference is None else f"{difference:.4f}"]


def _told(network: str, golden: Mapping[str, Any]) -> str:
    if "logits" in golden:
        return f"logits {golden['logits'][0]:.4f}, {golden['logits'][1]:.4f}, p {golden['probability']:.4f}"
    if "best_scores" in golden:
        return "best scores " + ", ".join(f"{each:.4f}" for each in golden["best_scores"])
    return f"{network}'s labels " + ", ".join(f"{100 * each:.1f} %" for each in golden["label_shares"])
