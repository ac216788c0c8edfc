"""A benchmark as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from edge_sacro.benchmark.compare import Comparison
from edge_sacro.benchmark.document import Document, Quantiles


def text_from_document(document: Document) -> str:
    """Every figure, and what makes it doubtful."""
    setup, bundle = document.setup, document.bundle
    threads = threads_in_words(setup.threads)
    lines = [
        f"{bundle.name} {bundle.version} ({bundle.system}) on {setup.backend} {setup.backend_version}, "
        f"{setup.precision}, {threads}; {setup.runs} runs after {setup.warmup}",
        bundle.statement,
        *(
            f"input {number}: {each.rows} x {each.columns}{', simulated' if each.simulated else ''}: {each.state}"
            for number, each in enumerate(document.inputs, 1)
        ),
        "",
        *columns([("stage", "p50, ms", "p90", "p99", "max", "runs"), *(_stage(document))]),
        *_reasons(document),
        "",
    ]
    lines += [*_cold(document), *_streams(document), *_memory(document), *_energy(document)]
    lines += [f"warning: {warning}" for warning in document.warnings]
    return "\n".join(lines) + "\n"


def text_from_comparison(comparison: Comparison) -> str:
    """Ratios by stage, what they say, and what differs between both."""
    rows = [("stage", "A, ms", "B, ms", "B / A", "95 % interval", "B is")]
    for each in comparison.stages:
        interval = "–" if each.interval is None else f"{each.interval[0]:.3f} to {each.interval[1]:.3f}"
        rows.append((each.stage, f"{each.a_ms:.3f}", f"{each.b_ms:.3f}", f"{each.ratio:.3f}", interval, each.verdict))
    notes = [f"note: {note}" for note in comparison.notes]
    return "\n".join([*columns(rows), *notes]) + "\n"


def threads_in_words(threads: int | None) -> str:
    """Threads inside one inference."""
    return "all processors" if threads is None else "1 thread" if threads == 1 else f"{threads} threads"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their cells below one another: the first to the left, the others to the right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def number(value: float | None, shape: str = ".2f") -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else f"{value:{shape}}"


def quantile_cells(found: Quantiles) -> tuple[str, str, str, str, str]:
    """p50, p90, p99, the largest and how many."""
    return (number(found.p50), number(found.p90), number(found.p99), number(found.max), str(found.n))


def _stage(document: Document) -> list[tuple[str, ...]]:
    return [(name, *quantile_cells(each)) for name, each in document.warm.stages.items()]


def _reasons(document: Document) -> list[str]:
    return sorted({reason for each in document.warm.stages.values() for reason in each.reasons.values()})


def _cold(document: Document) -> list[str]:
    if document.cold is None:
        return ["cold start: not measured"]
    phases = ", ".join(f"{name} {seconds:.2f}" for name, seconds in document.cold.phases_s.items())
    count = len(document.cold.first_answer_s)
    return [f"cold start to first answer: {document.cold.median_s:.2f} s, median of {count} processes ({phases})"]


def _streams(document: Document) -> list[str]:
    return [
        f"{each.streams} stream{'s' if each.streams > 1 else ''}: {each.per_second:.2f} assessments/s, "
        f"each {each.latency_ms.p50:.1f} ms (median)"
        for each in document.streams
    ] + [
        f"batches of {each.batch}: {each.per_second:.2f} assessments/s, "
        f"each batch {each.latency_ms.p50:.1f} ms (median)"
        for each in document.batches
    ]


def _memory(document: Document) -> list[str]:
    memory = document.memory
    if memory.reason is not None:
        return [f"memory: not measured: {memory.reason}"]
    return [
        f"memory, MB: {number(memory.start_mb, '.0f')} at the start, {number(memory.warm_mb, '.0f')} after warm-up, "
        f"{number(memory.growth_mb, '+.1f')} by the runs, {number(memory.end_mb, '.0f')} after the streams; peak "
        f"{number(memory.peak_mb, '.0f')}, decoding processes {number(memory.children_peak_mb, '.0f')}"
    ]


def _energy(document: Document) -> list[str]:
    told = [
        f"energy, {each.meter} ({each.covers}): {each.joules_per_assessment:g} J an assessment, {each.watts:g} W"
        for each in document.energy
    ]
    if told:
        return told
    return ["energy: not measured", *(f"  {name}: {reason}" for name, reason in document.no_energy.items())]
