"""One contender in a process of its own: ``python -m bench.peer_run OURS|PYTORCH …`` prints one line of JSON.

A process for each, so that start, memory and threads are its own. What takes time to import is imported where it is
needed, since the start is measured too.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

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
@click.option("--labels", type=click.Path(path_type=Path), help="None where the segmenter finds joints itself.")
@click.option("--threads", default=2)
@click.option("--runs", default=3)
@click.option("--numpy", "by_numpy", is_flag=True, help="NumPy's functions in the place of the compiled ones.")
@click.option("--given-back", is_flag=True, help="Freed memory goes back to the system.")
@click.argument("file", type=click.Path(path_type=Path))
def main(
    kind: Literal["ours", "pytorch"], file: Path, labels: Path | None, threads: int, runs: int, **ours: Any
) -> None:
    """Assess FILE once, then RUNS times; what the segmenter finds gives way to LABELS."""
    infer = _pytorch(threads, labels) if kind == "pytorch" else _ours(threads, labels, **ours)
    first = infer(file)
    answered = time.time()
    from edge_sacro.benchmark.processes import children, children_peak_mb, own_processor_s, resident_mb

    wall, cpu, done, resident = [], [], [], []
    for _ in range(runs):
        start, used = time.perf_counter(), own_processor_s()
        done.append(infer(file))
        wall.append(time.perf_counter() - start)
        cpu.append(own_processor_s() - used)
        resident.append(sum(resident_mb(pid=pid) or 0 for pid in (None, *children())))
        if done[-1].probability != first.probability:
            raise SystemExit(f"{done[-1].probability} is not the first run's {first.probability}")
    # getrusage's peak would have the parent's before this process began
    peak = (resident_mb("VmHWM") or 0) + (children_peak_mb() or 0)
    record = {
        "answered": answered,
        "wall_s": wall,
        "cpu_s": cpu,
        "networks_s": [each.networks_s for each in done],
        "stages_ms": [each.stages_ms for each in done],
        "resident_mb": resident,
        "peak_mb": peak,
        "probability": first.probability,
    }
    click.echo(json.dumps(record))


class Done(NamedTuple):
    """One assessment: its answer, seconds of its networks, and milliseconds by stage where they are told."""

    probability: float | None
    networks_s: float
    stages_ms: dict[str, float]


def _pytorch(threads: int, labels: Path | None) -> Any:
    import numpy as np

    from bench.published_shape import PublishedShape

    if labels is None:
        raise click.UsageError("generated weights find no joints: give --labels")
    pipeline = PublishedShape(threads, np.load(labels))

    def infer(file: Path) -> Done:
        probability, _ = pipeline.infer(file)
        return Done(probability, pipeline.network_s, {})

    return infer


def _ours(  # noqa: PLR0913, PLR0917 - the command's options
    threads: int,
    labels: Path | None,
    bundle: Path,
    backend: str,
    precision: str,
    compiled: Path | None,
    by_numpy: bool,
    given_back: bool,
) -> Any:
    from edge_sacro import native
    from edge_sacro.dicom import warm_up
    from edge_sacro.memory import keep_freed_memory

    if by_numpy:
        native.fastest = lambda: None
    if not given_back:
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

    stopwatch = Stopwatch(opened)
    segmenters = None if labels is None else LabelledSegmenters(bundle, np.load(labels))

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        engine = stopwatch.open(backend, spec, model, threads)
        return engine if segmenters is None or spec.name != "segmenter" else segmenters.around(engine)

    setattr(opener, SIDE_BY_SIDE, {backend})
    setattr(opener, TAKES_MODELS, compiled is None)
    runtime = Runtime(bundle, backend=backend, precision=cast("Precision", precision), threads=threads, opener=opener)

    def infer(file: Path) -> Done:
        result, _, explanation = runtime.infer_explained(file)
        if explanation is None:
            raise SystemExit(f"no explanation: {result.reason_code}")
        networks_s = sum(sum(each) for each in stopwatch.taken().values())
        return Done(result.probability, networks_s, result.timings_ms)

    return infer


if __name__ == "__main__":
    main()
