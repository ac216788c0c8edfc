"""One contender in a process of its own: ``python -m bench.peer_run OURS|PYTORCH …`` prints one line of JSON.

A process for each, so that start, memory and threads are its own. What takes time to import is imported where it is
needed, since the start is measured too.
"""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

if TYPE_CHECKING:
    from edge_sacro.engine import Engine, NetworkSpec
    from edge_sacro.manifest import Precision


@click.command()
@click.argument("kind", type=click.Choice(["ours", "pytorch"]))
@click.option("--bundle", type=click.Path(path_type=Path))
@click.option("--backend", default="onnxruntime")
@click.option("--precision", default="fp32")
@click.option("--compiled", type=click.Path(path_type=Path), help="Folder of networks that OpenVINO has compiled here.")
@click.option("--labels", required=True, type=click.Path(path_type=Path))
@click.option("--threads", default=2)
@click.option("--runs", default=3)
@click.argument("file", type=click.Path(path_type=Path))
def main(kind: Literal["ours", "pytorch"], file: Path, labels: Path, threads: int, runs: int, **ours: Any) -> None:
    """Assess FILE once, then RUNS times; what the segmenter finds gives way to LABELS."""
    infer = _pytorch(threads, labels) if kind == "pytorch" else _ours(threads, labels, **ours)
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
    from edge_sacro.benchmark.processes import resident_mb

    peak = resident_mb("VmHWM")  # getrusage's would have the parent's before this one began
    record = {"answered": answered, "wall_s": wall, "cpu_s": cpu, "networks_s": networks, "peak_mb": peak}
    click.echo(json.dumps({**record, "probability": probability}))


def _processor_s() -> float:
    return sum(
        each.ru_utime + each.ru_stime
        for each in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _pytorch(threads: int, labels: Path) -> Any:
    import numpy as np

    from bench.published_shape import PublishedShape

    pipeline = PublishedShape(threads, np.load(labels))

    def infer(file: Path) -> tuple[float, float]:
        probability, _ = pipeline.infer(file)
        return probability, pipeline.network_s

    return infer


def _ours(threads: int, labels: Path, bundle: Path, backend: str, precision: str, compiled: Path | None) -> Any:
    from edge_sacro.dicom import warm_up
    from edge_sacro.memory import keep_freed_memory

    keep_freed_memory()  # as the command line does, and in its order
    warm_up()

    import numpy as np

    from bench.labelled import LabelledSegmenters
    from bench.stopwatch import Stopwatch
    from edge_sacro.engine import open_engine
    from edge_sacro.engine.compiled import open_compiled
    from edge_sacro.engine.opening import SIDE_BY_SIDE, TAKES_MODELS, preload
    from edge_sacro.runtime import Runtime

    preload([backend])

    def opened(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        if compiled is None:
            return open_engine(backend, spec, model, threads)
        return open_compiled("openvino", spec, (compiled / f"{spec.name}.blob").read_bytes(), threads)

    stopwatch, segmenters = Stopwatch(opened), LabelledSegmenters(bundle, np.load(labels))

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        engine = stopwatch.open(backend, spec, model, threads)
        return segmenters.around(engine) if spec.name == "segmenter" else engine

    setattr(opener, SIDE_BY_SIDE, {backend})
    setattr(opener, TAKES_MODELS, compiled is None)
    runtime = Runtime(bundle, backend=backend, precision=cast("Precision", precision), threads=threads, opener=opener)

    def infer(file: Path) -> tuple[float | None, float]:
        result, _, explanation = runtime.infer_explained(file)
        if explanation is None:
            raise SystemExit(f"no explanation: {result.reason_code}")
        return result.probability, sum(sum(each) for each in stopwatch.taken().values())

    return infer


if __name__ == "__main__":
    main()
