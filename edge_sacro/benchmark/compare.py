"""Two benchmarks beside each other: ratios of medians with intervals, and what may be said from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge_sacro.benchmark.document import TOTAL, Document
from edge_sacro.benchmark.environment import busy
from edge_sacro.errors import BudgetBroken, UsageError

DRAWS = 2000
SEED = 0
NOT_IDLE = "cannot tell: a machine was not idle"
LEAST_RUNS = 10
"""Of each side; with fewer, resampling cannot show how far a median moves."""


@dataclass(frozen=True)
class Ratio:
    """One stage.

    Attributes:
        stage: its name.
        a_ms, b_ms: medians.
        ratio: of the medians, B by A.
        interval: where the ratio lies with 95 % confidence; None where there are too few runs.
        verdict: ``"faster"``, ``"slower"`` or ``"cannot tell"``, with the reason where it is not the interval.
    """

    stage: str
    a_ms: float
    b_ms: float
    ratio: float
    interval: tuple[float, float] | None
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """All stages that both have, ``total`` last, and what a reader must know of how both were made."""

    stages: Sequence[Ratio]
    notes: Sequence[str]

    @property
    def total(self) -> Ratio:
        """The whole assessment."""
        return next(each for each in self.stages if each.stage == TOTAL)


def compare(a: Document, b: Document, *, force: bool = False) -> Comparison:
    """Set B against A.

    Args:
        a: what to set it against.
        b: of the same inputs and the same bundle.
        force: compare others too, and say so in the notes; judge machines that were not idle.

    Raises:
        UsageError: inputs or bundles differ and nobody forces it.
    """
    notes = _unlike(a, b)
    if notes and not force:
        raise UsageError(
            "; ".join(notes),
            source="bench compare",
            remedy="Measure both on the same files with the same bundle, or give --force.",
        )
    notes += _differences(a, b)
    names = [name for name in a.warm.samples_ms if name in b.warm.samples_ms]
    notes += [f"stage {name!r} is in A alone" for name in a.warm.samples_ms if name not in names]
    notes += [f"stage {name!r} is in B alone" for name in b.warm.samples_ms if name not in names]
    notes += [f"{side}: {warning}" for side, each in (("A", a), ("B", b)) for warning in each.warnings]
    ratios = [_ratio(name, a.warm.samples_ms[name], b.warm.samples_ms[name]) for name in names]
    if not force and any(busy(each.environment) for each in (a, b)):
        ratios = [replace(each, verdict=NOT_IDLE) if each.interval else each for each in ratios]
    return Comparison(ratios, notes)


def check_ratio(comparison: Comparison, allowed: float) -> None:
    """Pass where the whole assessment has not become slower by more than is allowed.

    Raises:
        BudgetBroken: its interval lies above ``allowed`` altogether.
        UsageError: there is no interval to hold against it, or one of a machine that was not idle.
    """
    total = comparison.total
    if total.interval is None or total.verdict == NOT_IDLE:
        raise UsageError(
            f"{total.verdict}, so that no limit can be held against it",
            source="--fail-above",
            remedy=f"Measure {LEAST_RUNS} runs or more of each on an idle machine; --force judges a busy one.",
        )
    if total.interval[0] > allowed:
        raise BudgetBroken(
            f"B takes {total.ratio:.3f} times as long as A, {total.interval[0]:.3f} at least; {allowed:g} is allowed",
            source=TOTAL,
            remedy="Look at the stages above for the one that grew.",
        )


def _ratio(stage: str, a: Sequence[float], b: Sequence[float]) -> Ratio:
    medians = (float(np.median(a)), float(np.median(b)))
    if min(*a, *b) <= 0:
        return Ratio(stage, *medians, float("nan"), None, "cannot tell: it is too short for the clock")
    ratio = medians[1] / medians[0]
    fewest = min(len(a), len(b))
    interval, verdict = None, f"cannot tell: {LEAST_RUNS} runs of each are needed, and there are {fewest}"
    if fewest >= LEAST_RUNS:
        interval = ratio_interval(a, b)
        verdict = "faster" if interval[1] < 1 else "slower" if interval[0] > 1 else "cannot tell"
    return Ratio(stage, *medians, ratio, interval, verdict)


def ratio_interval(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of the ratio of both medians, B by A, over runs drawn again with replacement.

    Runs that follow one another are drawn together, in blocks as long as the square root of their number: a machine's
    other work lasts longer than a run, and runs drawn one by one would pass for more evidence than they are.

    Args:
        a: times in the order in which they were measured.
        b: the same of the other.
    """
    random = np.random.default_rng(SEED)
    drawn = _medians(np.asarray(b, np.float64), random) / _medians(np.asarray(a, np.float64), random)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _medians(values: npt.NDArray[np.float64], random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Medians of ``DRAWS`` samples of as many values, of blocks that go on from the end at the beginning."""
    length = round(len(values) ** 0.5)
    starts = random.integers(0, len(values), (DRAWS, -(-len(values) // length)))
    places = (starts[:, :, None] + np.arange(length)) % len(values)
    sampled = values[places.reshape(DRAWS, -1)[:, : len(values)]]
    found: npt.NDArray[np.float64] = np.median(sampled, axis=1)
    return found


def _unlike(a: Document, b: Document) -> list[str]:
    """What makes a comparison meaningless."""
    told = []
    if a.bundle.fingerprint != b.bundle.fingerprint:
        told.append(
            f"the bundles differ: {a.bundle.name} {a.bundle.version} ({a.bundle.fingerprint[:12]}) and "
            f"{b.bundle.name} {b.bundle.version} ({b.bundle.fingerprint[:12]})"
        )
    files = [sorted(each.sha256 for each in document.inputs) for document in (a, b)]
    if files[0] != files[1]:
        pixels = [sorted(each.pixels_sha256 for each in document.inputs) for document in (a, b)]
        told.append(f"the input files differ{', though not their pixels' if pixels[0] == pixels[1] else ''}")
    return told


def _differences(a: Document, b: Document) -> list[str]:
    """What else differs: that may be what the comparison is about."""
    return [
        f"{name}: A has {one}, B has {other}"
        for (name, one), other in zip(_facts(a).items(), _facts(b).values(), strict=True)
        if one != other
    ]


def _facts(document: Document) -> dict[str, str]:
    setup, environment = document.setup, document.environment
    return {
        "backend": f"{setup.backend} {setup.backend_version}",
        "precision": setup.precision,
        "threads": str(setup.threads or "all"),
        "edge-sacro": document.software.version,
        "processor": f"{environment.processor_name} {environment.processor}",
        "power mode": str(environment.power_mode),
    }
