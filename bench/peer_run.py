"""One contender in a process of its own: ``python -m bench.peer_run OURS|PYTORCH …`` prints one line of JSON.

A process for each, so that start, memory and threads are its own.
"""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Any, Literal, cast

import click


@click.command()
@click.argument("kind", type=click.Choice(["ours", "pytorch"]))
@click.option("--bundle", type=click.Path(path_type=Path))
@click.option("--backend", default="onnxruntime")
@click.option("--precision", default="fp32")
@click.option("--threads", default=2)
@click.option("--runs", default=3)
@click.argument("file", type=click.Path(path_type=Path))
def main(kind: Literal["ours", "pytorch"], file: Path, threads: int, runs: int, **ours: Any) -> None:
    """Assess FILE once, then RUNS times."""
    infer = _pytorch(threads) if kind == "pytorch" else _ours(threads, **ours)
    probability, _ = infer(file)
    answered = time.time()
    wall, cpu, networks = [], [], []
    for _ in range(runs):
        start, used = time.perf_counter(), _processor_s()
        again, network = infer(file)
        wall.append(time.perf_counter() - start)
        cpu.append(_processor_s() - used)
        networks.append(network)
        if again != probability:
            raise SystemExit(f"{again} is not the first run's {probability}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    record = {"answered": answered, "wall_s": wall, "cpu_s": cpu, "networks_s": networks, "peak_mb": peak}
    click.echo(json.dumps({**record, "probability": probability}))


def _processor_s() -> float:
    return sum(
        each.ru_utime + each.ru_stime
        for each in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _pytorch(threads: int) -> Any:
    from bench.published_shape import PublishedShape

    pipeline = PublishedShape(threads)

    def infer(file: Path) -> tuple[float, float]:
        probability, _ = pipeline.infer(file)
        return probability, pipeline.network_s

    return infer


def _ours(threads: int, bundle: Path, backend: str, precision: str) -> Any:
    from bench.stopwatch import Stopwatch
    from edge_sacro.manifest import Precision
    from edge_sacro.runtime import Runtime

    stopwatch = Stopwatch()
    runtime = Runtime(
        bundle, backend=backend, precision=cast(Precision, precision), threads=threads, opener=stopwatch.open
    )

    def infer(file: Path) -> tuple[float | None, float]:
        result, _, explanation = runtime.infer_explained(file)
        if explanation is None:
            raise SystemExit(f"no explanation: {result.reason_code}")
        return result.probability, sum(sum(each) for each in stopwatch.taken().values())

    return infer


if __name__ == "__main__":
    main()
