"""Checks of the assessment: the phantoms' answers beside the golden ones, and how long they took."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_sacro.kit.installer.steps import sha256_of
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from edge_sacro.selftest.document import Check, Measured
from edge_sacro.selftest.golden import Golden, Latency, Study
from edge_sacro.selftest.yardstick import Yardstick

ROUNDS = 3
"""Counted assessments of each study, after one that is not counted."""

_SLOW = "Look for other programs, heat, a lower power mode or fewer processors."
_KEPT = "Take it out of service: it does not answer as it was accepted."


@dataclass
class Answers:
    """What was answered, and how long it took.

    Attributes:
        results: the first answer to each study.
        assessment_ms, yardstick_ms: of each counted round.
        steady: whether every round gave the same answers; None where there was none.
        backend, precision: what computed.
    """

    results: list[Result]
    assessment_ms: list[float] = field(default_factory=list)
    yardstick_ms: list[float] = field(default_factory=list)
    steady: bool | None = None
    backend: str = ""
    precision: str = ""

    @property
    def ratio(self) -> float | None:
        """Median over the rounds of an assessment's time by the yardstick's beside it; None where none was counted."""
        pairs = zip(self.assessment_ms, self.yardstick_ms, strict=True)
        return statistics.median(ours / stick for ours, stick in pairs) if self.assessment_ms else None


def answers_of(runtime: Runtime, files: Sequence[Path], yardstick: Yardstick, rounds: int = ROUNDS) -> Answers:
    """Assess every file, each round beside the yardstick.

    Raises:
        BackendError: the backend failed.
    """
    results = [runtime.infer(path, name=path.name) for path in files]
    found = Answers(results, backend=results[0].backend.name, precision=runtime.precision)
    if rounds:
        yardstick.measure()
        found.steady = True
    for _ in range(rounds):
        for path, first in zip(files, results, strict=True):
            again = runtime.infer(path, name=path.name)
            found.assessment_ms.append(again.timings_ms["total"])
            found.yardstick_ms.append(yardstick.measure())
            found.steady = found.steady and (again.state, again.probability) == (first.state, first.probability)
    return found


def study_checks(golden: Golden, files: Sequence[Path], answers: Answers, drawn: bool = False) -> Iterator[Check]:
    """Each study's file, decision, probability and boxes beside the golden ones.

    Args:
        golden: the answers.
        files: of its studies.
        answers: of this run.
        drawn: the files were drawn here and now.
    """
    for study, path, result in zip(golden.studies, files, answers.results, strict=True):
        yield _image(study, sha256_of(path), drawn)
        yield _decision(study, result)
        yield _probability(study, result, golden.half_width)
        yield _boxes(study, result, golden.box_px)
    if answers.steady is None:
        yield Check(name="repeated answers", status="not judged", found="each study was assessed once")
        return
    yield Check(
        name="repeated answers",
        status="passed" if answers.steady else "failed",
        found="the same in every round" if answers.steady else "another state or probability in another round",
        allowed="the same",
        remedy="" if answers.steady else "Look for memory errors and heat; " + _KEPT,
    )


def latency_checks(golden: Golden, before: Measured | None, answers: Answers) -> Iterator[Check]:
    """How long an assessment takes, beside the yardstick and beside the installation's own time.

    Args:
        golden: with the latency of the machine that recorded it.
        before: what this installation measured when it was installed; None where that is not known.
        answers: of this run.
    """
    ratio, budget = answers.ratio, golden.latency
    if ratio is None:
        yield Check(name="latency", status="not judged", found="each study was assessed once")
        return
    found = f"{ratio:.2f} times the yardstick beside it"
    if before is not None and before.ratio is not None and budget is not None:
        place = before.model_dump(include={"machine", "cores", "backend", "precision", "ratio"})
        budget = Latency(**place, factor=budget.factor)
    if budget is None or _place(budget) != (
        platform.machine(),
        os.cpu_count() or 1,
        answers.backend,
        answers.precision,
    ):
        yield Check(name="latency", status="not judged", found=f"{found}; the next selftest here is held to it")
        return
    held = ratio <= budget.factor * budget.ratio
    yield Check(
        name="latency",
        status="passed" if held else "failed",
        found=found,
        allowed=f"{budget.factor * budget.ratio:.2f} times: {budget.factor:g} x {budget.ratio:.2f}, as measured before",
        remedy="" if held else _SLOW,
    )
    if before is not None and before.assessment_ms is not None:
        yield _time(before.assessment_ms, budget.factor, statistics.median(answers.assessment_ms))


def _time(before_ms: float, factor: float, now_ms: float) -> Check:
    """The time itself: it tells of heat and power modes, which a ratio hides, and of other work, hence a warning."""
    held = now_ms <= factor * before_ms
    return Check(
        name="time of an assessment",
        status="passed" if held else "warned",
        found=f"{now_ms:.0f} ms",
        allowed=f"{factor * before_ms:.0f} ms: {factor:g} x {before_ms:.0f}, when it was installed",
        remedy="" if held else _SLOW,
    )


def measured(golden: Golden, answers: Answers) -> Measured:
    """The run's figures."""
    pairs = list(zip(golden.studies, answers.results, strict=True))
    deviations = [
        abs(study.probability - result.probability)
        for study, result in pairs
        if study.probability is not None and result.probability is not None
    ]
    apart = [each for study, result in pairs if (each := _apart(study, result)) is not None]
    return Measured(
        machine=platform.machine(),
        cores=os.cpu_count() or 1,
        backend=answers.backend,
        precision=answers.precision,
        ratio=None if answers.ratio is None else round(answers.ratio, 4),
        assessment_ms=round(statistics.median(answers.assessment_ms), 3) if answers.assessment_ms else None,
        yardstick_ms=round(statistics.median(answers.yardstick_ms), 3) if answers.yardstick_ms else None,
        largest_deviation=round(max(deviations), 6) if deviations else None,
        largest_box_px=max(apart) if apart else None,
    )


def boxes_of(result: Result) -> tuple[list[int] | None, list[int] | None, list[int] | None]:
    """Crop, left and right joint."""
    return result.crop_px, result.joints.left.box_px, result.joints.right.box_px


def _place(budget: Latency) -> tuple[str, int, str, str]:
    return budget.machine, budget.cores, budget.backend, budget.precision


def _image(study: Study, found: str, drawn: bool) -> Check:
    """Another version of NumPy draws a few pixels one level apart, which the guard band is for: told, not judged."""
    same = found == study.sha256
    other = "drawn here, by another NumPy: not byte for byte the same; " if drawn and not same else ""
    return Check(
        name=f"{study.file}: image",
        status="passed" if same else "not judged" if drawn else "failed",
        found=f"{other}SHA-256 {found[:16]}…",
        allowed=f"SHA-256 {study.sha256[:16]}…",
        remedy="" if same or drawn else "The phantom is another one: install the kit again.",
    )


def _decision(study: Study, result: Result) -> Check:
    same = (result.state, result.reason_code) == (study.state, study.reason_code)
    code, golden = result.reason_code or "", study.reason_code or ""
    return Check(
        name=f"{study.file}: decision",
        status="passed" if same else "failed",
        found=f"{result.state.value} {code}".strip(),
        allowed=f"{study.state} {golden}".strip(),
        remedy="" if same else _KEPT,
    )


def _probability(study: Study, result: Result, half_width: float) -> Check:
    name, p, golden = f"{study.file}: probability", result.probability, study.probability
    if p is None or golden is None:
        same = p is golden
        return Check(name=name, status="passed" if same else "failed", found=str(p), allowed=str(golden))
    held = abs(p - golden) <= half_width
    return Check(
        name=name,
        status="passed" if held else "failed",
        found=f"{p:.4f}, {p - golden:+.6f} from the golden one",
        allowed=f"{golden:.4f} within the guard band's {half_width:g}",
        remedy="" if held else _KEPT,
    )


def _boxes(study: Study, result: Result, most: int) -> Check:
    golden = (study.crop_px, study.left_px, study.right_px)
    same = [box is None for box in boxes_of(result)] == [box is None for box in golden]
    apart = _apart(study, result)
    held = same and (apart is None or apart <= most)
    found = "none" if apart is None else f"edges {apart} pixels apart at most"
    return Check(
        name=f"{study.file}: boxes",
        status="passed" if held else "failed",
        found=found if same else "a box is there or absent, other than in the golden answer",
        allowed=f"{most} pixels, the same boxes",
        remedy="" if held else _KEPT,
    )


def _apart(study: Study, result: Result) -> int | None:
    """Largest distance of a box's edge from the golden one's, pixels; None where not both have any."""
    pairs = zip(boxes_of(result), (study.crop_px, study.left_px, study.right_px), strict=True)
    edges = [abs(a - b) for ours, golden in pairs if ours and golden for a, b in zip(ours, golden, strict=True)]
    return max(edges) if edges else None
