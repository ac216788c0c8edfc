"""Whether the latest answers are still like the first ones.

The first lines of a bundle are its reference, the latest ones are held against them, measure by measure: distributions
by the two-sample Kolmogorov-Smirnov test, rates by Fisher's exact test. A warning needs both: an effect that matters
and a probability below ``ALPHA`` over the number of measures (Bonferroni), so that a quiet ledger stays quiet. A
warning says that something changed, not that an answer is wrong; silence does not say that answers are right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_sacro.ledger.entry import Entry

REFERENCE, RECENT, LEAST = 200, 100, 30
"""Lines of the reference, latest lines held against it, and the fewest of the latter that say anything."""

ALPHA = 0.01
LEAST_DISTANCE, LEAST_DIFFERENCE = 0.25, 0.08
"""Effects below these do not matter: of distributions the distance of their curves, of rates the difference."""

SHADOW_MEAN = 0.02
"""Mean distance of the probabilities of two precisions, above which they are not the same model any more."""


@dataclass(frozen=True)
class Trend:
    """One measure, then and now.

    Attributes:
        name: of the measure.
        kind: a distribution's ``reference`` and ``recent`` are medians, a rate's parts of 1.
        unit: of a median.
        lines: how many lines have the measure, in the reference and of the latest.
        effect: largest distance of the two cumulative curves, or difference of the rates.
        p: probability of such an effect where nothing changed.
        warns: whether it does.
    """

    name: str
    kind: Literal["distribution", "rate"]
    unit: str
    lines: tuple[int, int]
    reference: float
    recent: float
    effect: float
    p: float
    warns: bool


@dataclass(frozen=True)
class Shadow:
    """What fp32 said of the images that were drawn for comparison, over all lines of the bundle.

    Attributes:
        images: how many.
        mean, largest: distance of the probabilities.
        turned: images that the two put on different sides of the cut-off.
        warns: whether one turned, or the mean is above ``SHADOW_MEAN``.
    """

    images: int
    mean: float
    largest: float
    turned: int
    warns: bool


@dataclass(frozen=True)
class Trends:
    """The ledger's state.

    Attributes:
        bundle: of the latest line, and the only one that is looked at.
        lines: of this bundle.
        measures: none where there are too few lines.
        shadow: None where no image was drawn.
        strangers: part of the latest images from equipment that the reference does not know.
        warnings: in words; empty where nothing changed.
    """

    bundle: str | None
    lines: int
    measures: tuple[Trend, ...]
    shadow: Shadow | None
    strangers: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Measure:
    name: str
    unit: str
    value: Callable[[Entry], float | None]
    rate: bool = False


def _state_is(state: str, among: Callable[[Entry], bool] = lambda _: True) -> Callable[[Entry], float | None]:
    return lambda entry: float(entry.state == state) if among(entry) else None


def _read(entry: Entry) -> bool:
    return entry.state != "refused"


def _decided(entry: Entry) -> bool:
    return entry.state in ("positive", "negative", "borderline")


MEASURES = (
    _Measure("probability", "", lambda entry: entry.probability),
    _Measure("positive, of those decided", "", _state_is("positive", _decided), rate=True),
    _Measure("borderline, of those decided", "", _state_is("borderline", _decided), rate=True),
    _Measure("not assessable, of those read", "", _state_is("not_assessable", _read), rate=True),
    _Measure("refused", "", _state_is("refused"), rate=True),
    _Measure("height of the left joint", "mm", lambda entry: entry.left_mm),
    _Measure("height of the right joint", "mm", lambda entry: entry.right_mm),
    _Measure("crop, part of the image", "", lambda entry: entry.crop_part),
    _Measure("dark gray, 10th percentile", "", lambda entry: entry.gray_low),
    _Measure("gray, median", "", lambda entry: entry.gray_middle),
    _Measure("bright gray, 90th percentile", "", lambda entry: entry.gray_high),
    _Measure("tube voltage", "kV", lambda entry: entry.kvp),
    _Measure("exposure index", "", lambda entry: entry.exposure_index),
    _Measure("deviation index", "", lambda entry: entry.deviation_index),
    _Measure("time", "ms", lambda entry: entry.total_ms),
)


def trends_from_entries(entries: Sequence[Entry], reference: int = REFERENCE, recent: int = RECENT) -> Trends:
    """Hold the latest lines against the first ones of the same bundle and precision.

    Args:
        entries: of a ledger, the first first.
        reference: how many of the first lines are the reference.
        recent: how many of the latest ones are held against them; never one of the reference.
    """
    if not entries:
        return Trends(None, 0, (), None, 0.0, ())
    last = entries[-1]
    own = [each for each in entries if (each.bundle, each.precision) == (last.bundle, last.precision)]
    first, latest = own[:reference], own[reference:][-recent:]
    shadow = _shadow(own)
    warnings = [] if shadow is None or not shadow.warns else [_told_shadow(shadow)]
    if len(latest) < LEAST:
        return Trends(last.bundle, len(own), (), shadow, 0.0, tuple(warnings))
    measured = (_trend(measure, first, latest) for measure in MEASURES)
    found = tuple(each for each in measured if each is not None)
    known = {each.equipment for each in first}
    strangers = sum(each.equipment is not None and each.equipment not in known for each in latest) / len(latest)
    warnings += [_told(each) for each in found if each.warns]
    if strangers >= LEAST_DIFFERENCE:
        warnings.append(f"{strangers:.0%} of the latest images come from equipment that the reference does not know")
    return Trends(last.bundle, len(own), found, shadow, strangers, tuple(warnings))


def kolmogorov_smirnov(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """The two-sample test: largest distance of the empirical curves, and its asymptotic probability (two-sided)."""
    a, b = np.sort(first), np.sort(second)
    values = np.concatenate([a, b])
    curves = (np.searchsorted(each, values, side="right") / each.size for each in (a, b))
    distance = float(np.abs(np.subtract(*curves)).max())
    scaled = distance * math.sqrt(a.size * b.size / (a.size + b.size))
    if scaled < 0.2:
        return distance, 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return distance, min(max(sum(terms), 0.0), 1.0)


def fisher_exact(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Fisher's exact test, two-sided: how probable tables are that are no likelier than this one.

    Args:
        first: how many are so, of how many.
        second: the same of the other group.
    """
    (a, n), (c, m) = first, second
    hits, total = a + c, n + m

    def log_probability(k: int) -> float:
        return _log_choose(n, k) + _log_choose(m, hits - k) - _log_choose(total, hits)

    seen = log_probability(a)
    possible = (log_probability(k) for k in range(max(0, hits - m), min(n, hits) + 1))
    return min(sum(math.exp(each) for each in possible if each <= seen + 1e-7), 1.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _trend(measure: _Measure, first: Sequence[Entry], latest: Sequence[Entry]) -> Trend | None:
    """None where either has too few lines with the measure."""
    then, now = ([value for each in lines if (value := measure.value(each)) is not None] for lines in (first, latest))
    if min(len(then), len(now)) < LEAST:
        return None
    if measure.rate:
        before, after = sum(then) / len(then), sum(now) / len(now)
        p, effect = fisher_exact((int(sum(then)), len(then)), (int(sum(now)), len(now))), after - before
        least = LEAST_DIFFERENCE
    else:
        before, after = float(np.median(then)), float(np.median(now))
        effect, p = kolmogorov_smirnov(then, now)
        least = LEAST_DISTANCE
    warns = p < ALPHA / len(MEASURES) and abs(effect) >= least
    kind: Literal["distribution", "rate"] = "rate" if measure.rate else "distribution"
    return Trend(measure.name, kind, measure.unit, (len(then), len(now)), before, after, effect, p, warns)


def _shadow(entries: Sequence[Entry]) -> Shadow | None:
    pairs = [
        (each.probability, each.shadow, each.cutoff)
        for each in entries
        if each.probability is not None and each.shadow is not None and each.cutoff is not None
    ]
    if not pairs:
        return None
    distances = [abs(served - compared) for served, compared, _ in pairs]
    turned = sum((served > cutoff) != (compared > cutoff) for served, compared, cutoff in pairs)
    mean = sum(distances) / len(distances)
    return Shadow(len(pairs), mean, max(distances), turned, turned > 0 or mean > SHADOW_MEAN)


def _told(trend: Trend) -> str:
    if trend.kind == "rate":
        return f"{trend.name}: {trend.reference:.0%} before, {trend.recent:.0%} now (p = {trend.p:.1g})"
    unit = f" {trend.unit}" if trend.unit else ""
    return f"{trend.name}: median {trend.reference:.3g}{unit} before, {trend.recent:.3g}{unit} now (p = {trend.p:.1g})"


def _told_shadow(shadow: Shadow) -> str:
    turned = f", {shadow.turned} on the other side of the cut-off" if shadow.turned else ""
    return f"fp32 differs by {shadow.mean:.3f} on average and {shadow.largest:.3f} at most{turned}"
