"""Recompute every published figure that others determine, and say where the paper agrees with itself.

Both values are always given; nothing is mended. A figure is held to the digits that the paper printed:

- agreement: the recomputed value, rounded, is the printed one; or the printed one lies within its bounds.
- rounding: the rounding of what it was recomputed from, or a last digit cut or raised, explains the difference.
- contradiction: neither does.
- not determined: no other figure of the paper determines it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from edge_sacro.reference.intervals import INTERVAL_RULES, Ends
from edge_sacro.reference.rules import RULES, Known, Recomputed
from edge_sacro.reference.types import Derivation, Figure, Interval, Paper

_EPSILON = 1e-9


class Verdict(str, Enum):
    """What a recomputation says of a printed figure."""

    AGREEMENT = "agreement"
    ROUNDING = "rounding"
    CONTRADICTION = "contradiction"
    NOT_DETERMINED = "not determined"


@dataclass(frozen=True)
class Finding:
    """One figure, or its interval, beside what the rest of its paper makes of it.

    Attributes:
        paper, figure, place: which figure, and where it stands.
        printed: the digits as printed.
        recomputed: the value in the figure's unit, a range, or empty where nothing determines it.
        rule: from what it was recomputed.
        verdict: what that says.
        note: what a reader must know.
    """

    paper: str
    figure: str
    place: str
    printed: str
    recomputed: str
    rule: str
    verdict: Verdict
    note: str = ""


def verify(paper: Paper) -> list[Finding]:
    """Every finding of a paper, in the order of its figures.

    A number that was only counted on the way is no finding, but it must be right.

    Raises:
        KeyError: the data name a figure, a matrix or a rule that does not exist.
        ValueError: a number that was counted on the way is wrong.
    """
    known = Known(paper)
    found: list[Finding] = []
    for figure in paper.figures:
        each = list(_findings(known, figure))
        if figure.published:
            found += each
        elif any(finding.verdict in {Verdict.ROUNDING, Verdict.CONTRADICTION} for finding in each):
            raise ValueError(f"{paper.name}: {figure.name} is not {figure.printed}")
    return found


def _findings(known: Known, figure: Figure) -> Iterator[Finding]:
    name, sign = known.paper.name, "%" if figure.percent else ""
    printed = figure.printed + sign
    for derivation in figure.derived:
        rule = RULES[derivation.rule]
        recomputed = rule.compute(known, figure, derivation.given)
        yield Finding(
            name,
            figure.name,
            figure.place,
            printed,
            _as_text(figure, recomputed) + sign,
            _in_words(rule.text, derivation),
            verdict := verdict_of_value(figure, recomputed),
            _notes(
                figure.note, derivation.note, _count_behind(figure, recomputed, verdict) if not derivation.note else ""
            ),
        )
    if not figure.derived:
        yield Finding(name, figure.name, figure.place, printed, "", "", Verdict.NOT_DETERMINED, figure.note)
    if figure.interval is not None:
        yield from _interval_findings(known, figure, figure.interval, sign)


def _interval_findings(known: Known, figure: Figure, interval: Interval, sign: str) -> Iterator[Finding]:
    name = f"{figure.name}, 95% CI"
    printed = f"{interval.low} to {interval.high}{sign}"
    for derivation in interval.derived:
        rule = INTERVAL_RULES[derivation.rule]
        ends = rule.compute(known, figure, interval, derivation.given)
        recomputed = " to ".join(figure.as_printed(end) for end in (ends.low, ends.high)) + sign
        yield Finding(
            known.paper.name,
            name,
            figure.place,
            printed,
            f"within {recomputed}" if ends.outermost else recomputed,
            _in_words(rule.text, derivation),
            verdict_of_interval(figure, interval, ends),
            derivation.note,
        )
    if not interval.derived:
        yield Finding(known.paper.name, name, figure.place, printed, "", "", Verdict.NOT_DETERMINED)


def verdict_of_value(figure: Figure, recomputed: Recomputed) -> Verdict:
    """Hold a printed figure to its recomputed value, or to its bounds."""
    half = figure.unit / 2 + _EPSILON
    if recomputed.value is None:
        inside = recomputed.low - half <= figure.value <= recomputed.high + half
        return Verdict.AGREEMENT if inside else Verdict.CONTRADICTION
    if abs(figure.value - recomputed.value) <= half:
        return Verdict.AGREEMENT
    unit = figure.unit - _EPSILON
    reached = recomputed.low - unit < figure.value < recomputed.high + unit
    return Verdict.ROUNDING if reached else Verdict.CONTRADICTION


def verdict_of_interval(figure: Figure, interval: Interval, ends: Ends) -> Verdict:
    """Hold both printed ends to the recomputed ones; the figure itself must lie between them."""
    low, high = figure.from_digits(interval.low), figure.from_digits(interval.high)
    half = figure.unit / 2 + _EPSILON
    if not low <= figure.value <= high:
        return Verdict.CONTRADICTION
    if ends.outermost:
        inside = low >= ends.low - half and high <= ends.high + half
        return Verdict.AGREEMENT if inside else Verdict.CONTRADICTION
    furthest = max(abs(low - ends.low), abs(high - ends.high)) - ends.tolerance
    if furthest <= half:
        return Verdict.AGREEMENT
    return Verdict.ROUNDING if furthest < figure.unit - _EPSILON else Verdict.CONTRADICTION


def _as_text(figure: Figure, recomputed: Recomputed) -> str:
    if recomputed.value is not None:
        return figure.as_printed(recomputed.value)
    return f"{figure.as_printed(recomputed.low)} to {figure.as_printed(recomputed.high)}"


def _in_words(text: str, derivation: Derivation) -> str:
    return text.format(*derivation.given, all=", ".join(str(each) for each in derivation.given))


def _count_behind(figure: Figure, recomputed: Recomputed, verdict: Verdict) -> str:
    """By how many cases a contradicted proportion is off; a proportion cannot be any number."""
    if verdict is not Verdict.CONTRADICTION or recomputed.trials is None or recomputed.value is None:
        return ""
    printed, counted = (round(value * recomputed.trials) for value in (figure.value, recomputed.value))
    if abs(printed / recomputed.trials - figure.value) > figure.unit / 2 + _EPSILON:
        return f"{counted} of {recomputed.trials}; no whole number of {recomputed.trials} is the printed value"
    return f"{counted} of {recomputed.trials}; the printed value is {printed} of {recomputed.trials}"


def _notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
