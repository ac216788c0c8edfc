"""What each stage may cost on each kind of device: a table of ratios to yardsticks, and a run held to it."""

from __future__ import annotations

import importlib
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.yardsticks import NAMES, Yardsticks
from edge_sacro.dicom import read
from edge_sacro.engine import Opener, open_engine
from edge_sacro.engine.profiles import PROFILES, profile_from_name
from edge_sacro.errors import BudgetBroken, InputNotFound, UsageError
from edge_sacro.runtime import Runtime

FILE = Path(__file__).with_name("budgets.toml")
STAGES = ("read", "select", "normalise", "segment", "locate", "crop", "detect", "classify", "total")
"""Every stage of every system, and the whole."""

Verdict = Literal["held", "broken", "not judged"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measured(_Strict):
    """A row that was measured.

    Attributes:
        profile: of ``edge_sacro.engine.profiles``.
        stage: its name.
        yardstick: what it is measured against.
        most: largest ratio of the stage to its yardstick that is allowed.
        seen: the ratio when the row was written.
    """

    profile: str
    stage: str
    yardstick: str
    measured: Literal[True]
    most: float = Field(gt=0)
    seen: float = Field(gt=0)


class Unmeasured(_Strict):
    """Rows of stages on devices that nobody measured, and why; they judge nothing."""

    profiles: list[str] = Field(min_length=1)
    stages: list[str] = Field(min_length=1)
    measured: Literal[False]
    reason: str = Field(min_length=1)


class _Table(_Strict):
    budget: list[Measured]
    without: list[Unmeasured] = []


Row = Measured | str
"""A measured row, or the reason why there is none."""

Budgets = dict[tuple[str, str], Row]
"""By profile and stage."""


@dataclass(frozen=True)
class Line:
    """What one stage cost beside its row.

    Attributes:
        stage: its name.
        verdict: ``"held"``, ``"broken"`` or ``"not judged"``.
        why: the limit, what is wrong, or why nothing is judged.
        stage_ms, yardstick_ms: medians; None where the stage did not run.
        ratio: the median of the ratios of each round.
    """

    stage: str
    verdict: Verdict
    why: str
    stage_ms: float | None = None
    yardstick: str | None = None
    yardstick_ms: float | None = None
    ratio: float | None = None


def budgets_from_file(path: Path = FILE) -> Budgets:
    """Read the table.

    Raises:
        InputNotFound: it cannot be read.
        UsageError: it is no such table: another key, an unknown profile, stage or yardstick, or a row twice.
    """
    try:
        content = path.read_text()
    except OSError as error:
        raise InputNotFound(f"{error.strerror}", source=str(path)) from error
    toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")  # pytest brings tomli
    try:
        table = _Table.model_validate(toml.loads(content))
    except (toml.TOMLDecodeError, ValidationError) as error:
        raise UsageError(f"it is no table of budgets: {error}", source=str(path)) from error
    found: Budgets = {}
    rows: list[tuple[str, str, Row]] = [(each.profile, each.stage, each) for each in table.budget]
    for group in table.without:
        rows += [(profile, stage, group.reason) for profile in group.profiles for stage in group.stages]
    for profile, stage, row in rows:
        if profile not in PROFILES or stage not in STAGES:
            raise UsageError(f"there is no stage {stage!r} of a profile {profile!r}", source=str(path))
        if isinstance(row, Measured) and row.yardstick not in NAMES:
            raise UsageError(f"there is no yardstick {row.yardstick!r}", source=str(path))
        if (profile, stage) in found:
            raise UsageError(f"{profile} has two rows for {stage}", source=str(path))
        found[profile, stage] = row
    return found


def samples(
    file: Path, runs: int, threads: int, opener: Opener = open_engine
) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Rounds of the bundle that ships, each beside the yardsticks: milliseconds by stage and by yardstick.

    Args:
        file: a DICOM file that it takes.
        runs: rounds, after one that is not counted.
        threads: inside a network.
        opener: the seam at which the negative control slows a stage down.
    """
    with (
        Runtime(threads=threads, opener=opener) as runtime,
        Yardsticks(file, read(file).stored, threads) as yardsticks,
    ):
        rounds = [(runtime.infer(file).timings_ms, yardsticks.measure()) for _ in range(runs + 1)]
    return rounds[1:]


def judged(budgets: Budgets, profile: str, rounds: Sequence[tuple[dict[str, float], dict[str, float]]]) -> list[Line]:
    """Every stage that ran, and every stage that has a row, beside the table.

    A stage without a row is broken, and so is a measured row whose stage did not run.

    Raises:
        UsageError: there is no such profile, or none of its rows is measured, so that there is nothing to hold.
    """
    profile_from_name(profile)
    rows = {stage: row for (owner, stage), row in budgets.items() if owner == profile}
    reasons = {row for row in rows.values() if isinstance(row, str)}
    if not any(isinstance(row, Measured) for row in rows.values()):
        raise UsageError(
            f"no row of {profile} is measured, so that nothing can be judged: {'; '.join(sorted(reasons)) or 'no row'}",
            source="budgets",
            remedy="Measure on the device, and write the rows.",
        )
    ran = {stage for stages, _ in rounds for stage in stages}
    return [_line(stage, rows.get(stage), rounds) for stage in sorted(ran | set(rows), key=_place)]


def _place(stage: str) -> tuple[int, str]:
    return (STAGES.index(stage) if stage in STAGES else len(STAGES), stage)


def _line(stage: str, row: Row | None, rounds: Sequence[tuple[dict[str, float], dict[str, float]]]) -> Line:
    times = [stages[stage] for stages, _ in rounds if stage in stages]
    cost = round(statistics.median(times), 3) if times else None
    if row is None:
        return Line(stage, "broken", "no row: a stage without a budget is not passed", cost)
    if isinstance(row, str):
        return Line(stage, "not judged", row, cost)
    if cost is None:
        return Line(stage, "broken", "it has a row and did not run, so that nothing was measured")
    beside = [
        (stages[stage] / yardsticks[row.yardstick], yardsticks[row.yardstick])
        for stages, yardsticks in rounds
        if stage in stages
    ]
    ratio = statistics.median(ratio for ratio, _ in beside)
    verdict: Verdict = "held" if ratio <= row.most else "broken"
    yardstick_ms = round(statistics.median(each for _, each in beside), 3)
    why = f"{row.most:g} allowed, {row.seen:g} when it was written"
    return Line(stage, verdict, why, cost, row.yardstick, yardstick_ms, round(ratio, 3))


def check(lines: Sequence[Line], profile: str) -> None:
    """Pass where no line is broken.

    Raises:
        BudgetBroken: it names each stage.
    """
    broken = [
        f"{line.stage}: {line.why}"
        if line.ratio is None
        else f"{line.stage}: {line.ratio:g} times {line.yardstick}, {line.why}"
        for line in lines
        if line.verdict == "broken"
    ]
    if broken:
        raise BudgetBroken("; ".join(broken), source=profile, remedy="Look for what made the stage slower.")


def unjudged(budgets: Budgets) -> dict[str, list[str]]:
    """By reason, the profiles of which no row is measured."""
    found: dict[str, list[str]] = {}
    for profile in PROFILES:
        rows = [row for (owner, _), row in budgets.items() if owner == profile]
        if not any(isinstance(row, Measured) for row in rows):
            reason = "; ".join(sorted({row for row in rows if isinstance(row, str)})) or "it has no row"
            found.setdefault(reason, []).append(profile)
    return found
