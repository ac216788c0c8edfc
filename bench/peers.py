"""The runtime beside a PyTorch pipeline of the published shape: same weights, same radiograph, in turn."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.generated import exported, network_records, readings, with_precisions
from bench.peak import peak_operations
from bench.published_shape import SYSTEM, WINDOWS
from bench.table import markdown
from calibration.single_pass import with_single_pass
from calibration.written import write_folder
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine.ov_build import blob_from_onnx
from edge_sacro.locate import LEFT_PELVIS, RIGHT_PELVIS, SACRUM
from edge_sacro.manifest import MANIFEST_NAME, Precision
from edge_sacro.phantom import PhantomOptions, write_study

SEED = 974_000
RADIOGRAPH = PhantomOptions(spacing_mm=0.14, field_mm=(350.0, 420.0))
"""2500 x 3000 pixels."""

ONE_PASS = (768 / 512) ** 2
"""Operations of one pass over the whole image, as a multiple of one window's."""


@dataclass(frozen=True)
class Contender:
    """One way to assess the radiograph.

    Attributes:
        name: in the table.
        arguments: of ``bench.peer_run``.
        precision: whose unit does the operations.
        operations: of both networks, in an assessment.
    """

    name: str
    arguments: tuple[str, ...]
    precision: Precision
    operations: float


@dataclass(frozen=True)
class Row:
    """One contender's figures; medians over all of its runs.

    Attributes:
        name: as in the table.
        wall_s, cpu_s: of one assessment, warm, all its processes.
        faster: how often faster than PyTorch, median over the rounds of the ratio within each.
        networks: part of the wall time that the networks take.
        first_answer_s: from the start of the process.
        peak_mb: largest resident memory, all its processes.
        memory: as a part of PyTorch's.
        probability: what it answered.
        roofline: part of its unit's peak that it reaches over the whole assessment.
    """

    name: str
    wall_s: float
    cpu_s: float
    faster: float
    networks: float
    first_answer_s: float
    peak_mb: float
    memory: float
    probability: float
    roofline: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def contenders(work: Path, tell: Callable[[str], None]) -> list[Contender]:
    """Make the bundles, or take them as they were kept, and name every way to run them.

    A single pass with generated weights is not held to any gate: its answer means as little as the windows' does.
    """
    windows = _bundle(work / "windows", lambda folder: exported(SYSTEM, folder), work, tell)
    single = _bundle(
        work / "single",
        lambda folder: _single_pass(load_bundle(work / "windows" / "fp32"), folder),
        work,
        tell,
    )
    costs = {name: 2e9 * each["gigamacs"] for name, each in network_records(windows).items()}
    nine = costs["segmenter"] * WINDOWS + costs["classifier"]
    once = costs["segmenter"] * ONE_PASS + costs["classifier"]
    found = [Contender("PyTorch, nine windows in a batch", ("pytorch",), "fp32", nine)]
    ways: list[tuple[str, Bundle, float, str, Precision]] = [
        ("nine windows", windows, nine, "onnxruntime", "fp32"),
        ("nine windows", windows, nine, "openvino", "fp32"),
        ("nine windows", windows, nine, "openvino", "int8"),
        ("one pass", single, once, "openvino", "fp32"),
        ("one pass", single, once, "openvino", "int8"),
    ]
    for way, bundle, operations, backend, precision in ways:
        options: tuple[str, ...] = ("ours", "--bundle", bundle.path, "--backend", backend, "--precision", precision)
        if backend == "openvino":
            options += ("--compiled", str(_compiled(bundle, precision, tell)))
        found.append(Contender(f"{backend} {precision}, {way}", options, precision, operations))
    return found


def radiograph(work: Path) -> Path:
    """A simulated radiograph of 2500 x 3000."""
    folder = work / "radiograph"
    if not folder.exists():
        write_study(folder, 1, SEED, RADIOGRAPH)
    (file,) = folder.glob("*.dcm")
    return file


def labels(work: Path) -> Path:
    """The radiograph's true labels as the segmenter numbers them, as an array in a file.

    Generated weights find no joint. So every contender runs its segmenter, and all go on with these labels: they crop
    and classify the same, and their probabilities can be compared.
    """
    file, folder = work / "labels.npy", work / "radiograph"
    (mask,) = folder.glob("*-mask.png")
    bits = json.loads((folder / "truth.json").read_text())["mask_bits"]
    shown = np.asarray(cv2.imread(str(mask), cv2.IMREAD_UNCHANGED))
    found = np.zeros(shown.shape, np.uint8)
    for label, bone in ((RIGHT_PELVIS, "left_hip"), (LEFT_PELVIS, "right_hip"), (SACRUM, "sacrum")):
        found[shown & bits[bone] > 0] = label
    np.save(file, found)
    return file


def task(work: Path, threads: int) -> tuple[str, ...]:
    """What every contender is given: threads, radiograph and labels."""
    return (f"--threads={threads}", str(radiograph(work)), f"--labels={labels(work)}")


def measured(work: Path, rounds: int, runs: int, threads: int, tell: Callable[[str], None]) -> list[Row]:
    """Run every contender in turn, ``rounds`` times, PyTorch being the yardstick.

    Args:
        work: folder for bundles and image; what is there already is taken.
        rounds: of all contenders.
        runs: timed assessments of a contender in a round, in one process.
        threads: of every contender.
        tell: is given a line for each step.
    """
    ways = contenders(work, tell)
    given = (f"--runs={runs}", *task(work, threads))
    records: dict[str, list[dict[str, Any]]] = {way.name: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            record = run(way.arguments, given)
            records[way.name].append(record)
            tell(f"round {number + 1}: {way.name}: {statistics.median(record['wall_s']):.2f} s")
    peaks = {precision: _peak(precision, threads) for precision in {way.precision for way in ways}}
    return [_row(way, records[way.name], records[ways[0].name], peaks[way.precision]) for way in ways]


def table_from_rows(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    heads = [
        *("", "wall, s", "processor, s", "times faster", "networks' part", "first answer, s"),
        *("peak, MB", "of PyTorch's", "probability", "of the roofline"),
    ]
    lines = [
        [
            *(row.name, f"{row.wall_s:.2f}", f"{row.cpu_s:.2f}", f"{row.faster:.1f}", f"{row.networks:.0%}"),
            *(f"{row.first_answer_s:.1f}", f"{row.peak_mb:.0f}", f"{row.memory:.0%}", f"{row.probability:.4f}"),
            f"{row.roofline:.0%}",
        ]
        for row in rows
    ]
    return markdown(heads, lines)


def _bundle(place: Path, make: Callable[[Path], Bundle], work: Path, tell: Callable[[str], None]) -> Bundle:
    if not (place / "int8").exists():
        tell(f"{place.name}: export and INT8")
        bundle = load_bundle(place / "fp32") if (place / "fp32").exists() else make(place / "fp32")
        made = with_precisions(bundle, ("int8",), readings(bundle, work, 1), place, tell)
        # The published fallback has served: from here on the labels are given, and gray is as every system sees it.
        corrected = made.manifest.model_copy(update={"numerics": "corrected"})
        (place / "int8" / MANIFEST_NAME).write_text(corrected.model_dump_json(indent=2) + "\n")
    return load_bundle(place / "int8")


def _compiled(bundle: Bundle, precision: Precision, tell: Callable[[str], None]) -> Path:
    """A folder of the bundle's networks as OpenVINO has compiled them here, as a store of engines holds them.

    None is qualified: weights that mean nothing answer noise by noise, and would not pass.
    """
    folder = Path(bundle.path).parent / f"openvino-{precision}"
    folder.mkdir(exist_ok=True)
    for name in bundle.manifest.networks:
        file = folder / f"{name}.blob"
        if not file.exists():
            tell(f"{file.parent.parent.name}: {name} {precision} compiled by OpenVINO")
            file.write_bytes(blob_from_onnx(name, bundle.model(name, precision, "openvino")))
    return folder


def _single_pass(windows: Bundle, folder: Path) -> Bundle:
    single = with_single_pass(windows)
    write_folder(single, json.loads(single.manifest.model_dump_json()), {}, folder)
    return load_bundle(folder)


def run(way: Sequence[str], given: Sequence[str]) -> dict[str, Any]:
    """What a fresh process of ``bench.peer_run`` tells, and after how long it gave its first answer.

    Args:
        way: the contender's own arguments.
        given: those of every contender.
    """
    command = [sys.executable, "-m", "bench.peer_run", *way, *given]
    start = time.time()
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    record: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return {**record, "first_answer_s": record["answered"] - start}


def _peak(precision: Precision, threads: int) -> float:
    """The faster backend's."""
    return max(peak_operations(backend, precision, threads) for backend in ("onnxruntime", "openvino"))


def _row(way: Contender, records: Sequence[dict[str, Any]], yardstick: Sequence[dict[str, Any]], peak: float) -> Row:
    wall, cpu, networks = (
        [value for record in records for value in record[name]] for name in ("wall_s", "cpu_s", "networks_s")
    )
    pairs = zip(yardstick, records, strict=True)
    memory = max(record["peak_mb"] for record in records)
    return Row(
        name=way.name,
        wall_s=statistics.median(wall),
        cpu_s=statistics.median(cpu),
        faster=statistics.median(statistics.median(a["wall_s"]) / statistics.median(b["wall_s"]) for a, b in pairs),
        networks=statistics.median(part / whole for part, whole in zip(networks, wall, strict=True)),
        first_answer_s=statistics.median(record["first_answer_s"] for record in records),
        peak_mb=memory,
        memory=memory / max(record["peak_mb"] for record in yardstick),
        probability=records[0]["probability"],
        roofline=way.operations / peak / statistics.median(wall),
    )
