"""A benchmark as one HTML page: no script, no other file, no address outside itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from edge_sacro.benchmark.document import TOTAL, Batch, Document, Stream
from edge_sacro.benchmark.text import number, quantile_cells, threads_in_words
from edge_sacro.parity.page import page, plotted, section, table
from edge_sacro.parity.svg import Axis, Plot, Series, nice_step

_QUANTILE_HEADS = ("p50", "p90", "p99", "largest", "runs")


def html_from_document(document: Document) -> str:
    """The whole page."""
    bundle, setup = document.bundle, document.setup
    title = f"Benchmark: {bundle.name} {bundle.version}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{escape(bundle.statement)} System {escape(bundle.system)}; edge-sacro '
        f"{escape(document.software.version)} on {escape(setup.backend)} {escape(setup.backend_version)}, "
        f"{setup.precision}, {threads_in_words(setup.threads)}.</p>",
        _warnings(document),
        section("Stages, milliseconds", _stages(document), _quantile_note(document)),
        plotted("Every run, by stage", stage_plot(document), "One mark a run; stages in the order in which they run."),
        plotted("The whole assessment, run by run", drift_plot(document), "A slope tells of heat or of other work."),
        section("Cold start, seconds", _cold(document), "From the start of a fresh process to its first answer."),
        *_streams(document),
        *_batches(document),
        section("Memory, MB of 10^6 bytes", _memory(document), document.memory.reason or ""),
        section("Energy over the warm runs", _energy(document), "Everything on a meter's rails, idle draw included."),
        section("Inputs", _inputs(document), "Told by hashes; no path, no name and no UID is kept."),
        section("Machine and software", _environment(document), ""),
    ]
    return page(title, parts)


def stage_plot(document: Document) -> Plot:
    """Each run's time by stage."""
    names = list(document.warm.samples_ms)
    points, labels = [], []
    for place, name in enumerate(names):
        samples = document.warm.samples_ms[name]
        for index, value in enumerate(samples):
            points.append((place + 0.5 * (index / max(len(samples) - 1, 1) - 0.5), max(value, 1e-3)))
            labels.append(f"{name}, run {index + 1}: {value:g} ms")
    values = [y for _, y in points]
    low, high = (10.0**edge for edge in (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))))
    return Plot(
        title="Time of each stage in each run",
        x=Axis("stage", -0.5, len(names) - 0.5, names=names),
        y=Axis("ms", low, high if high > low else low * 10, log=True),
        series=[Series("runs", points, labels)],
    )


def drift_plot(document: Document) -> Plot:
    """The whole assessment's time over the runs."""
    samples = document.warm.samples_ms[TOTAL]
    labels = [f"run {index + 1}: {value:g} ms" for index, value in enumerate(samples)]
    series = [Series("one run", [(float(index + 1), value) for index, value in enumerate(samples)], labels)]
    median = document.warm.stages[TOTAL].p50
    return Plot(
        title="Time of the whole assessment over the runs",
        x=Axis("run", 0.0, len(samples) + 1.0),
        y=Axis("ms", 0.0, _reach(max(samples))),
        series=series,
        horizontals=[(median, f"median {median:.4g}")],
    )


def stream_plot(document: Document) -> Plot | None:
    """Throughput over the number of streams; None where none was measured."""
    if not document.streams:
        return None
    measured = [(float(each.streams), each.per_second) for each in document.streams]
    return Plot(
        title="Assessments a second over the number of streams",
        x=Axis("streams", 0.0, max(x for x, _ in measured) + 1.0),
        y=Axis("assessments a second", 0.0, _reach(max(y for _, y in measured))),
        series=[Series("measured", measured, [f"{x:.0f} streams: {y:g}/s" for x, y in measured])],
    )


def _reach(largest: float) -> float:
    step = nice_step(largest * 1.2 / 4)
    return math.ceil(largest * 1.2 / step) * step


def _warnings(document: Document) -> str:
    if not document.warnings:
        return (
            '<div class="verdict good"><strong>Nothing makes these figures doubtful that was looked at.</strong></div>'
        )
    items = "".join(f"<li>{escape(warning)}</li>" for warning in document.warnings)
    return f'<div class="verdict bad"><strong>Read with care.</strong><ul>{items}</ul></div>'


def _stages(document: Document) -> str:
    rows = [(name, *quantile_cells(each)) for name, each in document.warm.stages.items()]
    return table(("stage", *_QUANTILE_HEADS), rows)


def _quantile_note(document: Document) -> str:
    reasons = sorted({reason for each in document.warm.stages.values() for reason in each.reasons.values()})
    return " ".join([document.quantiles, *(f"{reason}." for reason in reasons)])


def _cold(document: Document) -> str:
    cold = document.cold
    if cold is None:
        return "<p>Not measured.</p>"
    rows = [
        ("median", f"{cold.median_s:.3f}"),
        ("each process", ", ".join(f"{seconds:.3f}" for seconds in cold.first_answer_s)),
        *((f"of it {name}, median", f"{seconds:.3f}") for name, seconds in cold.phases_s.items()),
        ("largest resident memory, MB", number(cold.peak_mb, ".0f")),
    ]
    return table(("", ""), rows)


def _streams(document: Document) -> Sequence[str]:
    if not document.streams:
        return []
    rows = [_throughput(each.streams, each) for each in document.streams]
    heads = ("streams", "assessments a second", "assessments", "latency p50, ms", "p90", "p99", "largest")
    note = "Several threads call one runtime at once. Latency is what each caller waited."
    return [plotted("Throughput", stream_plot(document), note), table(heads, rows)]


def _batches(document: Document) -> Sequence[str]:
    if not document.batches:
        return []
    rows = [_throughput(each.batch, each) for each in document.batches]
    heads = ("studies", "assessments a second", "assessments", "whole batch p50, ms", "p90", "p99", "largest")
    return [section("Batches", table(heads, rows), "Studies given at once: each is read while another is assessed.")]


def _throughput(number: int, row: Stream | Batch) -> Sequence[str]:
    return (str(number), f"{row.per_second:.2f}", str(row.assessments), *quantile_cells(row.latency_ms)[:4])


def _memory(document: Document) -> str:
    memory = document.memory
    rows = [
        ("at the start, before the bundle", number(memory.start_mb, ".1f")),
        ("after the warm-up", number(memory.warm_mb, ".1f")),
        ("growth over the warm runs", number(memory.growth_mb, "+.1f")),
        ("at the end, after several streams", number(memory.end_mb, ".1f")),
        ("largest", number(memory.peak_mb, ".1f")),
        ("largest of the decoding processes", number(memory.children_peak_mb, ".1f")),
    ]
    return table(("", "MB"), rows)


def _energy(document: Document) -> str:
    rows = [
        (
            f"{each.meter}\n{each.covers}",
            f"{each.joules_per_assessment:g} J",
            f"{each.watts:g} W",
            f"{each.joules:g} J in {each.seconds:g} s",
            ", ".join(f"{name} {joules:g} J" for name, joules in each.rails.items()),
        )
        for each in document.energy
    ]
    missing = [(f"{name}\n{reason}", "–", "–", "–", "–") for name, reason in document.no_energy.items()]
    return table(("meter", "an assessment", "mean power", "in all", "rails"), [*rows, *missing])


def _inputs(document: Document) -> str:
    rows = [
        (
            f"{each.rows} x {each.columns}{', simulated' if each.simulated else ''}",
            each.transfer_syntax_uid,
            each.sha256,
            each.state if each.reason_code is None else f"{each.state} ({each.reason_code})",
        )
        for each in document.inputs
    ]
    return table(("size", "transfer syntax", "SHA-256 of the file", "answer"), rows)


def _environment(document: Document) -> str:
    rows = []
    for name, value in document.environment.model_dump().items():
        rows.append((name.replace("_", " "), _told(value)))
    rows.append(("bundle fingerprint", document.bundle.fingerprint))
    return table(("", ""), rows)


def _told(value: Any) -> str:
    """A value of the environment in words."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_told(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value))
    return "not told" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
