"""The evaluation from predictions to its document, and the files and the exit that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_sacro.bundle_files import write_atomically
from edge_sacro.errors import BudgetBroken, UsageError
from edge_sacro.evaluation.against import beside_published, compared
from edge_sacro.evaluation.boxes import measures_from_boxes
from edge_sacro.evaluation.cohorts import Cohort, Level
from edge_sacro.evaluation.document import BundleUsed, Document, Part, json_from_document
from edge_sacro.evaluation.document import Cohort as CohortRecord
from edge_sacro.evaluation.html import html_from_document
from edge_sacro.evaluation.measures import Draws, curves_from_scored, measures_from_scored, scored_from_cases
from edge_sacro.evaluation.noninferiority import Standing
from edge_sacro.evaluation.predictions import Case, Predictions
from edge_sacro.evaluation.words import verdict_from_document
from edge_sacro.types import OperatingPoint

MARGIN = 0.05
"""How far below the published figure is still not inferior, where nobody says otherwise."""

UNDECIDED = "nothing decides: give a cut-off with --threshold, or the column decision"


@dataclass(frozen=True)
class Settings:
    """How to evaluate.

    Attributes:
        cohort: published, to hold the figures against.
        margin: above 0 and below 1.
        point: decides; where None, the file's own decisions do, else the cohort's cut-off.
        draws: of the bootstrap.
    """

    cohort: Cohort | None = None
    margin: float = MARGIN
    point: OperatingPoint | None = None
    draws: Draws = field(default_factory=Draws)

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise UsageError(f"it is {self.margin}, and must be above 0 and below 1", source="--margin")


@dataclass(frozen=True)
class Origin:
    """What is known of where the predictions come from.

    Attributes:
        used: the bundle that made them.
        simulated: why they can say nothing of patients; None where nothing says that they cannot.
        notes: what was left out.
    """

    used: BundleUsed | None = None
    simulated: str | None = None
    notes: Sequence[str] = ()


def evaluate(
    predictions: Predictions, settings: Settings, origin: Origin | None = None, other: Predictions | None = None
) -> Document:
    """Evaluate images and joints, those that have scores.

    Args:
        predictions: of the model.
        settings: how.
        origin: of the predictions.
        other: another model's predictions of the same cases.

    Raises:
        UsageError: nothing has a score, the cohort counts what the predictions have not, a part of the decisions is
            missing, or the other model is of other cases.
    """
    origin = origin or Origin()
    cohort = settings.cohort
    levels: tuple[Level, Level] = ("image", "joint")
    parts = []
    for level in levels:
        cases = predictions.of_level(level == "joint")
        if any(case.score is not None for case in cases):
            parts.append(_part(level, cases, settings, other))
    if not parts:
        raise UsageError("no case has a score", source=predictions.source, remedy="Give the column score its values.")
    if cohort is not None and all(part.level != cohort.level for part in parts):
        raise UsageError(
            f"{cohort.name} is counted in {cohort.level}s, and no {cohort.level} has a score",
            source=predictions.source,
            remedy="Choose a cohort that counts what the predictions have: the column side makes a case a joint.",
        )
    boxes = measures_from_boxes(predictions.of_level(joints=True))
    if cohort is not None:
        boxes = [beside_published(measure, cohort, settings.margin) for measure in boxes]
    return Document(
        source=predictions.source,
        model=predictions.name,
        bundle=origin.used,
        simulated=origin.simulated,
        reference=None
        if cohort is None
        else CohortRecord(name=cohort.name, citation=cohort.citation, level=cohort.level, note=cohort.note),
        margin=settings.margin,
        resamples=settings.draws.resamples,
        seed=settings.draws.seed,
        parts=parts,
        boxes=boxes,
        notes=list(origin.notes),
    )


def write_outputs(document: Document, json_path: str | None, html_path: str | None) -> list[str]:
    """Write what was asked for.

    Returns:
        the files written.

    Raises:
        OutputNotWritten: a file cannot be written.
    """
    written = []
    for path, content in ((json_path, json_from_document), (html_path, html_from_document)):
        if path is not None:
            write_atomically(Path(path), content(document).encode())
            written.append(path)
    return written


def check_noninferior(document: Document) -> None:
    """Pass where the AUC is shown not to be inferior to the published one, on images of patients.

    Raises:
        BudgetBroken: it is not shown.
    """
    primary = document.primary()
    shown = primary is not None and primary.published is not None and primary.published.standing is Standing.WITHIN
    if not shown or document.simulated is not None:
        remedy = "Read the report: non-inferiority has to be shown on enough cases of patients."
        what = verdict_from_document(document) or "there is no published figure to hold it against"
        raise BudgetBroken(what, source=document.source, remedy=remedy)


def _part(level: Level, cases: Sequence[Case], settings: Settings, other: Predictions | None) -> Part:
    cohort = settings.cohort if settings.cohort is not None and settings.cohort.level == level else None
    point, rule = _rule(cases, settings, cohort)
    scored = scored_from_cases(cases, point)
    measures = measures_from_scored(scored, settings.draws)
    if cohort is not None:
        measures = [beside_published(measure, cohort, settings.margin) for measure in measures]
    unscored = [case.truth for case in cases if case.score is None]
    return Part(
        level=level,
        cases=len(scored.cases),
        positive=int(scored.positive.sum()),
        patients=len(set(scored.groups)),
        unscored_positive=sum(unscored),
        unscored_negative=len(unscored) - sum(unscored),
        rule=rule,
        measures=measures,
        curves=curves_from_scored(scored),
        comparison=None if other is None else compared(scored, other, point, settings.draws),
    )


def _rule(cases: Sequence[Case], settings: Settings, cohort: Cohort | None) -> tuple[OperatingPoint | None, str]:
    """What decides, and in words."""
    if settings.point is not None:
        point = settings.point
        return point, f"positive above {point.threshold:g}, strictly ({point.source})"
    there = [case for case in cases if case.score is not None]
    undecided = sum(case.decision is None for case in there)
    if not undecided:
        return None, "the column decision"
    if undecided < len(there):
        raise UsageError(
            f"{undecided} of {len(there)} {'joints' if there[0].side else 'images'} with a score have no decision",
            source="decision",
            remedy="Fill the column, leave it empty, or give a cut-off with --threshold.",
        )
    if cohort is None or cohort.cut_off is None:
        return None, UNDECIDED
    cut_off = cohort.cut_off
    point = OperatingPoint(cut_off.name, cut_off.value, f"{cohort.citation}, {cut_off.name}")
    return point, f"positive above {point.threshold:g}, strictly ({point.source})"
