"""The evaluation as JSON has it: what was measured, beside what was published and beside another model."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edge_sacro import __version__
from edge_sacro.evaluation.cohorts import Level
from edge_sacro.evaluation.noninferiority import Standing
from edge_sacro.report import Software


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ends(_Strict):
    """A 95 % interval and how it was made."""

    low: float
    high: float
    method: str


class Published(_Strict):
    """The published figure beside a measured one.

    Attributes:
        value: 0 to 1, from the paper's own counts where it has a table of them.
        printed: the digits in the paper.
        interval: the paper's, or the one that its counts give; null where neither is known: then taken for exact.
        difference: measured less published, with its interval; the latter null where nothing was measured it with.
        standing: where that interval lies beside the margin; null where there is none.
        note: what a reader must know.
    """

    value: float
    printed: str
    place: str
    interval: Ends | None
    difference: float
    difference_interval: Ends | None
    standing: Standing | None
    note: str


class Measure(_Strict):
    """One figure.

    Attributes:
        quantity: its name.
        value: 0 to 1, or kappa; null where the cases do not allow it.
        counts: successes and trials of a proportion.
        intervals: at 95 %; the first is the one that comparisons take.
        note: why there is no value or interval, where there is none.
    """

    quantity: str
    value: float | None
    counts: tuple[int, int] | None = None
    intervals: list[Ends] = []
    published: Published | None = None
    note: str = ""


class Curves(_Strict):
    """Points of both curves, from the highest score down.

    Attributes:
        roc: false positive rate and sensitivity.
        precision_recall: recall and precision.
    """

    roc: list[tuple[float, float]]
    precision_recall: list[tuple[float, float]]


class Discordance(_Strict):
    """McNemar's exact test on the cases of one truth, or on all.

    Attributes:
        only_first, only_second: cases that only this model, only the other one has right.
    """

    among: Literal["all", "positive", "negative"]
    only_first: int
    only_second: int
    p: float


class Comparison(_Strict):
    """Another model on the same cases.

    Attributes:
        cases: that both have a score for.
        left_out: that one of both has none for.
        auc, other_auc, difference: this model's, the other's, this less the other.
        intervals: of the difference: DeLong's, and the bootstrap's over patients.
        p: DeLong's, two-sided; null where the difference has no spread.
        mcnemar: empty where one of both has no decisions.
    """

    name: str
    cases: int
    left_out: int
    auc: float | None
    other_auc: float | None
    difference: float | None
    intervals: list[Ends]
    p: float | None
    mcnemar: list[Discordance]
    curves: Curves | None


class Part(_Strict):
    """All images, or all joints.

    Attributes:
        cases, positive: that have a score.
        patients: groups that the bootstrap draws.
        unscored_positive, unscored_negative: cases without a score, which no figure counts.
        rule: what decides, in words.
    """

    level: Level
    cases: int
    positive: int
    patients: int
    unscored_positive: int
    unscored_negative: int
    rule: str
    measures: list[Measure]
    curves: Curves | None
    comparison: Comparison | None

    def measure(self, quantity: str) -> Measure:
        """The measure of this name.

        Raises:
            KeyError: there is none.
        """
        return {each.quantity: each for each in self.measures}[quantity]


class Cohort(_Strict):
    """The published cohort that the figures stand beside."""

    name: str
    citation: str
    level: Level
    note: str


class BundleUsed(_Strict):
    """What made the predictions, where a runtime did."""

    name: str
    version: str
    fingerprint: str
    system: str
    demonstration: bool
    statement: str
    backend: str
    precision: str


class Document(_Strict):
    """One evaluation.

    Attributes:
        source: the file or folder.
        model: its name.
        simulated: why the images or the model can say nothing of patients; null where nothing says that they cannot.
        margin: how far below the published figure is still not inferior.
        resamples, seed: of the bootstrap.
        parts: images and joints, those that have scores.
        boxes: how well joints were found; empty without boxes.
        notes: what was left out and why.
    """

    schema_version: Literal["1.0"] = "1.0"
    software: Software = Software(version=__version__)
    source: str
    model: str
    bundle: BundleUsed | None
    simulated: str | None
    reference: Cohort | None
    margin: float
    resamples: int
    seed: int
    parts: list[Part]
    boxes: list[Measure]
    notes: list[str]

    def primary(self) -> Measure | None:
        """The AUC that stands beside the published one, which alone decides; None where there is none."""
        for part in self.parts:
            if self.reference is not None and part.level == self.reference.level:
                return part.measure("AUC")
        return None


def json_from_document(document: Document) -> str:
    """Canonical JSON: keys sorted, one space, UTF-8 text, one line end at the end."""
    return json.dumps(document.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=False) + "\n"
