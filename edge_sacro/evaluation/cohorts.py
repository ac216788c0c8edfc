"""Published cohorts that an evaluation is held against: which figures of which paper, in images or in joints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from edge_sacro.errors import UsageError
from edge_sacro.reference import Figure, Matrix, Paper, bressem2021, dorfner2024, fu2024, noh2021, poddubnyy2020
from edge_sacro.reference.statistics import TRIALS

Level = Literal["image", "joint"]

ANY_JOINT = (
    "the paper's image is positive with any joint of grade 2 or more; the modified New York criterion asks for both, "
    "or for grade 3"
)


@dataclass(frozen=True)
class Cohort:
    """One set of images that a system was published on, at one cut-off.

    Attributes:
        name: ``SYSTEM/COHORT``.
        citation: of the paper.
        level: what was counted.
        cut_off: of the decisions.
        figures: printed figures by quantity.
        matrix: the published 2 x 2 table, where there is one.
        sizes: positives and negatives, where the paper gives them.
        note: what a reader must know.
    """

    name: str
    citation: str
    level: Level
    cut_off: Figure | None
    figures: dict[str, Figure]
    matrix: Matrix | None = None
    sizes: tuple[int, int] | None = None
    note: str = field(default="")


def cohort_from_name(name: str) -> Cohort:
    """A cohort of :data:`COHORTS`.

    Raises:
        UsageError: there is none of this name.
    """
    try:
        return COHORTS[name]
    except KeyError:
        raise UsageError(
            f"no published cohort is called {name!r}", source="--reference", remedy=f"Cohorts: {', '.join(COHORTS)}."
        ) from None


def _figures(paper: Paper, row: str, names: dict[str, str]) -> dict[str, Figure]:
    """Figures by quantity; each is called ``row`` and a word."""
    return {quantity: paper.figure(f"{row} {word}") for quantity, word in names.items()}


def _noh() -> Iterator[Cohort]:
    paper = noh2021.PAPER
    words = {name: name for name in ("AUC", *TRIALS, "F1")}
    levels: tuple[Level, ...] = ("joint", "image")
    for level in levels:
        (matrix,) = (each for each in paper.matrices if each.name == f"per {level}")
        figures = _figures(paper, f"per {level}", words)
        if level == "joint":
            figures["mAP at IoU 0.5"] = paper.figure("mAP at IoU 0.5")
        yield Cohort(
            f"noh2021/{level}",
            paper.citation,
            level,
            paper.figure("score cut-off"),
            figures,
            matrix,
            (matrix.tp + matrix.fn, matrix.fp + matrix.tn),
            "" if level == "joint" else ANY_JOINT,
        )


def _of_three_cut_offs(paper: Paper, cut_offs: dict[str, str], words: dict[str, str]) -> Iterator[Cohort]:
    """Validation and test sets of bressem2021 and its preprint, at the balanced cut-off and the two others."""
    for data in ("validation", "test"):
        for number, (suffix, word) in ((3, ("", "balanced")), (1, ("-sensitivity",) * 2), (2, ("-specificity",) * 2)):
            row = f"{data} cut-off {number}"
            (matrix,) = (each for each in paper.matrices if each.name == row)
            favouring = word if number == 3 else f"favouring {word.removeprefix('-')}"
            areas = _figures(paper, data, {"AUC": "AUC", "average precision": words["average precision"]})
            agreeing = {name: words.get(name, name) for name in ("sensitivity", "specificity", "kappa", "accuracy")}
            yield Cohort(
                f"{paper.name}/{data}{suffix}",
                paper.citation,
                "image",
                paper.figure(f"{cut_offs[data]}cut-off {number}, {favouring}"),
                {**areas, **_figures(paper, row, agreeing)},
                matrix,
                (matrix.tp + matrix.fn, matrix.fp + matrix.tn),
            )


def _dorfner() -> Iterator[Cohort]:
    paper = dorfner2024.PAPER
    for model, system in (("anatomy-aware", "dorfner2024"), ("standard", "dorfner2024-standard")):
        for data in ("validation", "GESPIC", "DAMACT", "OptiRef"):
            balanced = "accuracy" if data == "validation" else "balanced accuracy"
            words = {"AUC": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}
            counts = (paper.figure(f"{data} {of}").value for of in ("r-axSpA", "without r-axSpA"))
            yield Cohort(
                f"{system}/{data.lower()}",
                paper.citation,
                "image",
                paper.figure(f"{model} cut-off"),
                _figures(paper, f"{data} {model}", {**words, "balanced accuracy": balanced}),
                sizes=(round(next(counts)), round(next(counts))),
            )


def _fu() -> Iterator[Cohort]:
    paper = fu2024.PAPER
    words = {"AUC": "AUC", "sensitivity": "recall", "accuracy": "accuracy", "F1": "F1"}
    for network in ("ResNeXt-50", "Inception-v4", "DenseNet", "ResNet101", "VGG16"):
        yield Cohort(
            f"fu2024/{network.lower()}",
            paper.citation,
            "image",
            None,
            _figures(paper, network, words),
            note="the paper says neither how many images its figures are of nor their cut-off",
        )


COHORTS: dict[str, Cohort] = {
    cohort.name: cohort
    for cohorts in (
        _noh(),
        _of_three_cut_offs(
            bressem2021.PAPER, {"validation": "", "test": ""}, {"average precision": "average precision"}
        ),
        _of_three_cut_offs(
            poddubnyy2020.PAPER,
            {"validation": "validation ", "test": "test "},
            {"average precision": "precision-recall area", "accuracy": "agreement"},
        ),
        _dorfner(),
        _fu(),
    )
    for cohort in cohorts
}
"""Every published cohort by its name."""
