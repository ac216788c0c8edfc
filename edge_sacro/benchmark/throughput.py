"""Assessments a second: several callers at once, and batches of studies of which the next is read meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge_sacro.benchmark.document import Batch, Stream
from edge_sacro.benchmark.quantiles import quantiles_from_samples, rounded
from edge_sacro.runtime import Runtime

_Times = list[tuple[float, float]]


def stream(runtime: Runtime, files: Sequence[Path], assessments: int, streams: int) -> Stream:
    """Assessments shared by threads that begin at once; two a thread at least.

    Args:
        runtime: that all of them call.
        files: taken in turn.
        assessments: how many, rounded up.
        streams: how many threads.

    Raises:
        EdgeSacroError: of the first call that fails; the others end.
    """
    share = max(-(-assessments // streams), 2)
    barrier = threading.Barrier(streams)

    def assess(offset: int) -> _Times:
        barrier.wait()
        try:
            # callers at once have as many decoding processes started as there may be, before time is taken
            runtime.infer(files[offset % len(files)], name="input")
        except BaseException:
            barrier.abort()  # the others would wait for this caller
            raise
        barrier.wait()
        taken = []
        for index in range(share):
            start = time.monotonic()
            runtime.infer(files[(offset + index) % len(files)], name="input")
            taken.append((start, time.monotonic()))
        return taken

    with ThreadPoolExecutor(streams) as pool:
        futures = [pool.submit(assess, n) for n in range(streams)]
    failures = [each for each in (future.exception() for future in futures) if each is not None]
    for failure in sorted(failures, key=lambda each: isinstance(each, threading.BrokenBarrierError)):
        raise failure
    taken = [each for future in futures for each in future.result()]
    return Stream.model_validate({"streams": streams, **_rate(taken, len(taken))})


def batch(runtime: Runtime, files: Sequence[Path], assessments: int, size: int) -> Batch:
    """Batches one after another, two at least, each given at once as the command line gives several files.

    Args:
        runtime: that assesses them.
        files: taken in turn.
        assessments: how many in all, rounded up.
        size: studies of a batch.
    """
    taken = []
    for _ in range(max(-(-assessments // size), 2)):
        start = time.monotonic()
        for source in runtime.read_ahead([files[index % len(files)] for index in range(size)]):
            runtime.infer(source, name="input")
        taken.append((start, time.monotonic()))
    return Batch.model_validate({"batch": size, **_rate(taken, size * len(taken))})


def _rate(taken: _Times, assessments: int) -> dict[str, object]:
    seconds = max(end for _, end in taken) - min(start for start, _ in taken)
    return {
        "assessments": assessments,
        "seconds": rounded(seconds),
        "per_second": rounded(assessments / seconds),
        "latency_ms": quantiles_from_samples([1e3 * (end - start) for start, end in taken]),
    }
