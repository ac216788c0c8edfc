"""Measuring one bundle on one backend: cold, warm, with several callers at once; its memory and its energy."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from edge_sacro.benchmark import child, energy, throughput
from edge_sacro.benchmark.document import (
    TOTAL,
    BundleName,
    Cold,
    Document,
    Energy,
    Input,
    Memory,
    Setup,
    Warm,
)
from edge_sacro.benchmark.environment import Usage, environment, load, warnings
from edge_sacro.benchmark.meter import Meter, NotMeasured, Reading
from edge_sacro.benchmark.order import Order, answered, open_runtime
from edge_sacro.benchmark.processes import children_peak_mb, resident_mb
from edge_sacro.benchmark.quantiles import METHOD, quantiles_from_samples, rounded
from edge_sacro.bundle import Bundle
from edge_sacro.engine import Opener
from edge_sacro.errors import UsageError
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from edge_sacro.types import Radiograph


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        runs: counted assessments of each input.
        warmup: assessments of each input before.
        streams: how many threads call at once, for each row of the throughput.
        batches: how many studies are given at once, for each further row.
        cold: fresh processes.
        opener: opens each network in this process; the seam at which the tests slow one down.
        meters: of energy, by name.
        tell: is given a line for each step.
    """

    runs: int = 100
    warmup: int = 5
    streams: Sequence[int] = (1, 2, 4)
    batches: Sequence[int] = ()
    cold: int = 3
    opener: Opener | None = None
    meters: dict[str, Callable[[], Meter]] | None = None
    tell: Callable[[str], None] = field(default=lambda _: None)


def measure(order: Order, plan: Plan, files: Sequence[Path], simulated: bool = False) -> Document:
    """Measure on some files.

    Args:
        order: what to open.
        plan: how to measure.
        files: DICOM files, each of one image that the bundle's system takes.
        simulated: they were drawn for it.

    Raises:
        UsageError: nothing is to be measured.
        InputRefused: a file was refused, so that its time says nothing of an assessment.
        EdgeSacroError: as :func:`open_runtime`.
    """
    if min(plan.runs, plan.warmup, *plan.streams, *plan.batches) < 1 or not files:
        raise UsageError("runs, warm-up, streams and batches are 1 or more, and there is a file", source="bench")
    load_before = load()
    cold = _cold(order, plan, files[0])
    start_mb = resident_mb()
    with open_runtime(order, plan.opener) as runtime:
        inputs, first = _warm_up(runtime, plan, files, simulated)
        warm_mb, usage = resident_mb(), Usage()
        rows, energies, missing, changed = _warm(runtime, plan, files)
        others, runs_mb = usage.others_share(), resident_mb()
        streams, batches = [], []
        for count in plan.streams:
            plan.tell(f"throughput: {count} stream{'s' if count > 1 else ''}")
            streams.append(throughput.stream(runtime, files, plan.runs * len(files), count))
        for size in plan.batches:
            plan.tell(f"throughput: batches of {size}")
            batches.append(throughput.batch(runtime, files, plan.runs * len(files), size))
        memory = _memory(start_mb, warm_mb, runs_mb)
        setup = Setup(
            backend=first.backend.name,
            backend_version=first.backend.version,
            precision=runtime.precision,
            threads=order.threads,
            engines=order.engines is not None,
            warmup=plan.warmup,
            runs=plan.runs,
        )
        named = _named(runtime.bundle)
    found = environment(load_before, others)
    doubts = [*warnings(found), *_doubts(inputs), *changed]
    return Document(
        bundle=named,
        setup=setup,
        inputs=inputs,
        quantiles=METHOD,
        cold=cold,
        warm=_summary(rows),
        streams=streams,
        batches=batches,
        memory=memory,
        energy=energies,
        no_energy=missing,
        environment=found,
        warnings=doubts,
    )


def _cold(order: Order, plan: Plan, file: Path) -> Cold | None:
    """First answers of fresh processes; None where none was asked for."""
    if plan.cold == 0:
        return None
    told = []
    for index in range(plan.cold):
        plan.tell(f"cold start {index + 1} of {plan.cold}")
        told.append(child.first_answer({**asdict(order), "path": str(file.absolute())}))
    moments = ("started", "began", "imported", "opened", "answered")
    phases = {
        name: round(statistics.median(each[end] - each[start] for each in told), 3)
        for name, start, end in zip(("interpreter", "import", "open", "assess"), moments, moments[1:], strict=False)
    }
    seconds = [round(each["answered"] - each["started"], 3) for each in told]
    peaks = [each["peak_mb"] for each in told if each["peak_mb"] is not None]
    return Cold(
        first_answer_s=seconds,
        median_s=round(statistics.median(seconds), 3),
        phases_s=phases,
        peak_mb=max(peaks) if peaks else None,
    )


def _warm_up(runtime: Runtime, plan: Plan, files: Sequence[Path], simulated: bool) -> tuple[list[Input], Result]:
    plan.tell(f"warm-up: {plan.warmup} of each input")
    inputs, results = [], []
    for index, file in enumerate(files):
        result, radiograph = answered(runtime, file, f"input {index + 1}")
        inputs.append(_input(result, radiograph, simulated))
        results.append(result)
        for _ in range(plan.warmup - 1):
            runtime.infer(file, name="input")
    return inputs, results[0]


def _input(result: Result, radiograph: Radiograph, simulated: bool) -> Input:
    pixels = np.ascontiguousarray(radiograph.stored)
    kind = f"{pixels.dtype.str} {pixels.shape}".encode()
    return Input(
        rows=radiograph.rows,
        columns=radiograph.columns,
        transfer_syntax_uid=radiograph.transfer_syntax_uid,
        sha256=radiograph.sha256,
        pixels_sha256=hashlib.sha256(kind + pixels.tobytes()).hexdigest(),
        simulated=simulated,
        state=result.state.value,
        reason_code=result.reason_code,
    )


def _warm(
    runtime: Runtime, plan: Plan, files: Sequence[Path]
) -> tuple[list[dict[str, float]], list[Energy], dict[str, str], list[str]]:
    """The counted runs with their meters: times by stage, energy, meters that told nothing, and what was odd."""
    plan.tell(f"warm: {plan.runs} of each input")
    found, missing = energy.meters(plan.meters)
    answers: dict[Path, set[float | None]] = {file: set() for file in files}
    rows = []
    started: list[Meter] = []
    try:
        for meter in found:
            try:
                meter.start()
            except NotMeasured as error:  # noqa: PERF203 - a meter that fails leaves the others
                missing[meter.name] = str(error)
            else:
                started.append(meter)
        for _ in range(plan.runs):
            for file in files:
                result = runtime.infer(file, name="input")
                rows.append(result.timings_ms)
                answers[file].add(result.probability)
    finally:
        readings = {meter.name: _stopped(meter) for meter in started}
    told = [_energy(name, each, len(rows)) for name, each in readings.items() if isinstance(each, Reading)]
    missing |= {name: str(each) for name, each in readings.items() if isinstance(each, NotMeasured)}
    changed = sum(len(values) > 1 for values in answers.values())
    odd = [f"{changed} of {len(files)} inputs were answered with different probabilities in different runs"]
    return rows, told, missing, odd if changed else []


def _stopped(meter: Meter) -> Reading | NotMeasured:
    """What a meter told, or why it told nothing."""
    try:
        return meter.stop()
    except NotMeasured as error:
        return error


def _energy(meter: str, reading: Reading, assessments: int) -> Energy:
    return Energy(
        meter=meter,
        covers=reading.covers,
        joules=rounded(reading.joules),
        seconds=rounded(reading.seconds),
        watts=rounded(reading.joules / reading.seconds),
        joules_per_assessment=rounded(reading.joules / assessments),
        rails={name: rounded(value) for name, value in reading.rails.items()},
    )


def _summary(rows: Sequence[dict[str, float]]) -> Warm:
    names = list(dict.fromkeys(name for row in rows for name in row if name != TOTAL))
    samples: dict[str, Sequence[float]] = {name: [row[name] for row in rows if name in row] for name in [*names, TOTAL]}
    return Warm(stages={name: quantiles_from_samples(each) for name, each in samples.items()}, samples_ms=samples)


def _memory(start_mb: float | None, warm_mb: float | None, runs_mb: float | None) -> Memory:
    end_mb = resident_mb()
    # the kernel adds its counters up in batches, by processor, and may tell a peak below what it told before
    seen = [each for each in (start_mb, warm_mb, runs_mb, end_mb, resident_mb("VmHWM")) if each is not None]
    growth = None if runs_mb is None or warm_mb is None else round(runs_mb - warm_mb, 1)
    return Memory(
        start_mb=start_mb,
        warm_mb=warm_mb,
        runs_mb=runs_mb,
        end_mb=end_mb,
        growth_mb=growth,
        peak_mb=max(seen, default=None),
        children_peak_mb=children_peak_mb(),
        reason=None if end_mb is not None else "this system has no /proc/self/status",
    )


def _named(bundle: Bundle) -> BundleName:
    manifest = bundle.manifest
    return BundleName(
        name=manifest.name,
        version=manifest.version,
        fingerprint=bundle.fingerprint,
        system=manifest.system,
        statement=manifest.statement,
    )


def _doubts(inputs: Sequence[Input]) -> list[str]:
    halfway = [each for each in inputs if each.state == "not_assessable"]
    if not halfway:
        return []
    codes = ", ".join(sorted({str(each.reason_code) for each in halfway}))
    return [
        f"{len(halfway)} of {len(inputs)} inputs were not assessable ({codes}), so that later stages may be missing"
    ]
