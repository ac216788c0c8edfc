"""How cost grows: with the image's size, with the number of studies and with threads; a power of each, fitted."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_sacro.phantom import PhantomOptions, write_study
from edge_sacro.runtime import Runtime

SEED = 977_000
SPACINGS_MM = (0.6, 0.42, 0.3, 0.21, 0.15)
"""Of the detector; each step has about twice the pixels of the one before. The field stays the same."""

FIELD_MM = (350.0, 420.0)
STUDIES = (1, 2, 4, 8, 16)
THREADS = (1, 2, 4)


@dataclass(frozen=True)
class Point:
    """One place on an axis.

    Attributes:
        x: pixels, studies or threads.
        told: the same for a reader, such as ``"700 x 583"``.
        ms: median by stage, with ``total``.
        spread: of ``total``, the largest by the smallest run.
    """

    x: float
    told: str
    ms: dict[str, float]
    spread: float


@dataclass(frozen=True)
class Fit:
    """``ms = scale * x ** exponent``, by least squares of the logarithms.

    Attributes:
        stage: whose cost.
        exponent: 1 is in proportion, 0 is constant.
        error: standard error of the exponent; None of two points.
        residuals: measured by fitted, at each point; 1 is on the line.
    """

    stage: str
    exponent: float
    error: float | None
    residuals: list[float]


@dataclass(frozen=True)
class Axis:
    """One way to grow, its points and a fit for each stage that every point has."""

    name: str
    points: Sequence[Point]
    fits: Sequence[Fit]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def fitted(stage: str, x: Sequence[float], ms: Sequence[float]) -> Fit:
    """The power that fits best.

    Args:
        stage: its name.
        x: two different values or more, above 0.
        ms: as many, above 0.

    Raises:
        ValueError: there is nothing to fit.
    """
    if len(set(x)) < 2 or min(*x, *ms) <= 0:
        raise ValueError("a power is fitted to two different sizes or more, above 0")
    logs, costs = np.log(x), np.log(ms)
    exponent, offset = np.polyfit(logs, costs, 1)
    rest = costs - (exponent * logs + offset)
    error = None
    if len(x) > 2:
        error = float(np.sqrt(np.sum(rest**2) / (len(x) - 2) / np.sum((logs - logs.mean()) ** 2)))
    residuals = [round(float(value), 4) for value in np.exp(rest)]
    return Fit(stage, round(float(exponent), 4), None if error is None else round(error, 4), residuals)


def axis(name: str, points: Sequence[Point], largest: float = math.inf) -> Axis:
    """The points with a fit of each stage that all of them have.

    Args:
        name: of what grows.
        points: two or more.
        largest: places beyond it are no part of the fits.
    """
    stages = [stage for stage in points[0].ms if all(point.ms.get(stage, 0) > 0 for point in points)]
    within = [point for point in points if point.x <= largest]
    x = [point.x for point in within]
    fits = [] if len(set(x)) < 2 else [fitted(stage, x, [point.ms[stage] for point in within]) for stage in stages]
    return Axis(name, points, fits)


def by_size(work: Path, runs: int, threads: int, tell: Callable[[str], None]) -> Axis:
    """One radiograph of the same field at several detector spacings."""
    files: list[Path] = []
    sizes = []
    for spacing in SPACINGS_MM:
        folder = work / f"{spacing}"
        write_study(folder, 1, SEED, PhantomOptions(spacing_mm=spacing, field_mm=FIELD_MM))
        files += folder.glob("*.dcm")
    with Runtime(threads=threads) as runtime:
        for file in files:
            _, radiograph = runtime.infer_with_radiograph(file)
            if radiograph is None:
                raise AssertionError("the phantom is read")
            sizes.append((radiograph.rows, radiograph.columns))
        measured = _in_turn([partial(_timings, runtime, file) for file in files], runs, "sizes", tell)
    points = [
        _point(rows * columns, f"{rows} x {columns}", each)
        for (rows, columns), each in zip(sizes, measured, strict=True)
    ]
    return axis("image size, pixels", points)


def by_studies(file: Path, runs: int, threads: int, tell: Callable[[str], None]) -> Axis:
    """So many radiographs one after another, from opening the bundle to the last answer.

    The decoding process is there already; ``edge-sacro bench`` tells the cold start.
    """
    _studies(file, 1, threads)
    measured = _in_turn([partial(_studies, file, count, threads) for count in STUDIES], runs, "studies", tell)
    return axis(
        "studies, opening included",
        [_point(count, str(count), each) for count, each in zip(STUDIES, measured, strict=True)],
    )


def by_threads(file: Path, runs: int, cores: int, tell: Callable[[str], None]) -> Axis:
    """One radiograph with so many threads inside each network; fits go as far as there are processors."""
    with ExitStack() as stack:
        runtimes = [stack.enter_context(Runtime(threads=count)) for count in THREADS]
        for runtime in runtimes:
            runtime.infer(file)
        measured = _in_turn([partial(_timings, runtime, file) for runtime in runtimes], runs, "threads", tell)
    points = [_point(count, str(count), each) for count, each in zip(THREADS, measured, strict=True)]
    return axis("threads inside a network", points, cores)


def _in_turn(
    work: Sequence[Callable[[], dict[str, float]]], runs: int, name: str, tell: Callable[[str], None]
) -> list[list[dict[str, float]]]:
    """The times of each piece of work, measured in turn, so that the machine's other work falls on all alike."""
    rounds = []
    for index in range(runs):
        tell(f"{name}: round {index + 1} of {runs}")
        rounds.append([each() for each in work])
    return [list(each) for each in zip(*rounds, strict=True)]


def _timings(runtime: Runtime, file: Path) -> dict[str, float]:
    return runtime.infer(file).timings_ms


def _studies(file: Path, count: int, threads: int) -> dict[str, float]:
    start = time.perf_counter()
    with Runtime(threads=threads) as runtime:
        for _ in range(count):
            runtime.infer(file)
    return {"total": 1e3 * (time.perf_counter() - start)}


def _point(x: float, told: str, rows: Sequence[dict[str, float]]) -> Point:
    totals = [row["total"] for row in rows]
    medians = {stage: round(statistics.median(row[stage] for row in rows), 3) for stage in rows[0]}
    return Point(float(x), told, medians, round(max(totals) / min(totals), 3))
