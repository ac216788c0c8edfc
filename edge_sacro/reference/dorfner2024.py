"""Dorfner FJ, Vahldiek JL, Donle L, et al. Incorporating anatomical awareness, preprint (arXiv 2405.07369), 2024.

Pages are counted along the page breaks of the text at hand; where figures hide a break, only the section is given. The
confusion matrices stand in pictures alone (Figures 8 and 9); counts are those that the shares and the cohorts fix.
"""

from __future__ import annotations

from edge_sacro.reference.dorfner2024_cohorts import COHORTS
from edge_sacro.reference.types import Derivation, Figure, Interval, Paper, by

ABSTRACT, VALIDATION, TABLE_2 = "Abstract, p. 1", "Section 3.1, p. 5", "Table 2, p. 6"
TESTS, FOLLOW_UP, METHODS = "Section 3.2, p. 5", "Section 3.5", "Section 2.5, p. 5"
BALANCED = "the paper's accuracy is the balanced accuracy, the mean of sensitivity and specificity"

CUT_OFFS = (
    Figure("standard cut-off", "0.69", VALIDATION),
    Figure("anatomy-aware cut-off", "0.59", VALIDATION),
    Figure("confident above", "0.7", METHODS),
    *(
        Figure(f"{model} cut-off, {place}", printed, place, derived=(by("same", f"{model} cut-off"),))
        for place in ("Figure 10", "Figure 11")
        for model, printed in (("standard", "0.69"), ("anatomy-aware", "0.59"))
    ),
)

_VALIDATION = (
    # model, AUC, accuracy, specificity, sensitivity
    ("standard", "0.888", "0.826", "0.844", "0.807"),
    ("anatomy-aware", "0.9", "0.836", "0.844", "0.828"),
)
_TABLE_2 = (
    # data, model, AUC, balanced accuracy, sensitivity, specificity, each with its interval
    (
        "GESPIC",
        "standard",
        ("0.853", "0.817", "0.887"),
        ("0.770", "0.731", "0.808"),
        ("0.886", "0.847", "0.927"),
        ("0.654", "0.587", "0.716"),
    ),
    (
        "GESPIC",
        "anatomy-aware",
        ("0.899", "0.866", "0.928"),
        ("0.821", "0.786", "0.853"),
        ("0.941", "0.908", "0.969"),
        ("0.700", "0.642", "0.760"),
    ),
    (
        "DAMACT",
        "standard",
        ("0.817", "0.740", "0.884"),
        ("0.724", "0.647", "0.801"),
        ("0.681", "0.550", "0.818"),
        ("0.767", "0.687", "0.841"),
    ),
    (
        "DAMACT",
        "anatomy-aware",
        ("0.846", "0.779", "0.997"),
        ("0.744", "0.670", "0.805"),
        ("0.851", "0.739", "0.945"),
        ("0.638", "0.548", "0.721"),
    ),
    (
        "OptiRef",
        "standard",
        ("0.947", "0.921", "0.968"),
        ("0.850", "0.793", "0.903"),
        ("0.754", "0.638", "0.860"),
        ("0.946", "0.918", "0.971"),
    ),
    (
        "OptiRef",
        "anatomy-aware",
        ("0.957", "0.926", "0.979"),
        ("0.906", "0.868", "0.942"),
        ("0.934", "0.870", "0.986"),
        ("0.878", "0.839", "0.910"),
    ),
)


_FURTHEST = "the upper end lies further out than the largest standard error of any such AUC allows"


def _shares(row: str) -> tuple[str, str]:
    return f"{row} sensitivity", f"{row} specificity"


def _accuracy(row: str, data: str) -> tuple[Derivation, ...]:
    """What the paper calls accuracy, by what it is and by what it is called."""
    counts = f"{data} r-axSpA", f"{data} without r-axSpA"
    right = by("share of right answers", *_shares(row), *counts, note=BALANCED)
    return by("balanced accuracy", *_shares(row)), right


def _on_validation() -> tuple[Figure, ...]:
    rows: list[Figure] = []
    for model, auc, accuracy, specificity, sensitivity in _VALIDATION:
        row = f"validation {model}"
        positive = by("nearest share", "validation r-axSpA")
        negative = by("nearest share", "validation without r-axSpA")
        bounds = by("AUC bounds of shares", *_shares(row))
        dropped = "" if len(auc) == len("0.000") else "printed without trailing zeros"
        rows += [
            Figure(f"{row} AUC", auc, VALIDATION, derived=(bounds,), decimals=3, note=dropped),
            Figure(f"{row} accuracy", accuracy, VALIDATION, derived=_accuracy(row, "validation")),
            Figure(f"{row} specificity", specificity, VALIDATION, derived=(negative,)),
            Figure(f"{row} sensitivity", sensitivity, VALIDATION, derived=(positive,)),
        ]
    return tuple(rows)


def _on_tests() -> tuple[Figure, ...]:
    rows: list[Figure] = []
    for data, model, auc, balanced, sensitivity, specificity in _TABLE_2:
        row, counts = f"{data} {model}", (f"{data} r-axSpA", f"{data} without r-axSpA")
        given = (*_shares(row), *counts)

        def interval(cells: tuple[str, str, str], quantity: str, given: tuple[str, ...] = given) -> Interval:
            return Interval(cells[1], cells[2], (by("bootstrap of shares", *given, quantity),))

        furthest = by("largest AUC error", *counts, note=_FURTHEST if row == "DAMACT anatomy-aware" else "")
        rows += [
            Figure(
                f"{row} AUC",
                auc[0],
                TABLE_2,
                derived=(by("AUC bounds of shares", *_shares(row)),),
                interval=Interval(auc[1], auc[2], (furthest,)),
            ),
            Figure(
                f"{row} balanced accuracy",
                balanced[0],
                TABLE_2,
                derived=(by("balanced accuracy", *_shares(row)),),
                interval=interval(balanced, "balanced accuracy"),
            ),
            Figure(
                f"{row} sensitivity",
                sensitivity[0],
                TABLE_2,
                derived=(by("nearest share", counts[0]),),
                interval=interval(sensitivity, "sensitivity"),
            ),
            Figure(
                f"{row} specificity",
                specificity[0],
                TABLE_2,
                derived=(by("nearest share", counts[1]),),
                interval=interval(specificity, "specificity"),
            ),
            Figure(f"{row} AUC, abstract", auc[0], ABSTRACT, derived=(by("same", f"{row} AUC"),)),
            Figure(f"{row} AUC, text", auc[0], TESTS, derived=(by("same", f"{row} AUC"),)),
            Figure(f"{row} accuracy, abstract", balanced[0], ABSTRACT, derived=_accuracy(row, data)),
        ]
    return tuple(rows)


COMPARISON = (
    Figure("GESPIC, p of the AUC's difference", "0.0047", TESTS),
    Figure("DAMACT, p of the AUC's difference", "0.18", "Section 3.2, p. 6"),
    Figure("OptiRef, p of the AUC's difference", "0.22", "Section 3.2, p. 6"),
    Figure("follow-up, p of the models' difference", "0.0002", FOLLOW_UP),
)

_AT_START = ("progressed", "without r-axSpA at start")
_CALLED = {name: (f"{name} progressed", f"{name} confident false positives") for name in ("anatomy-aware", "standard")}
_OF_METHODS = "the odds ratio of the counts that section 2.5 compares; the printed value is a ratio of two proportions"

_AS_APART = "both groups resampled as independent, though the first is part of the second"


def _ratio(model: str, place: str, printed: str, low: str, high: str) -> Figure:
    counts = (*_CALLED[model], *_AT_START)
    return Figure(
        f"{model} odds ratio{', abstract' if place != FOLLOW_UP else ''}",
        printed,
        place,
        derived=(by("ratio of proportions", *counts), by("odds ratio", *counts, note=_OF_METHODS)),
        interval=Interval(low, high, (by("bootstrap of a ratio", *counts, note=_AS_APART),)),
    )


PROGRESSION = (
    Figure("followed up", "311", METHODS),
    Figure("followed up for 2 years", "251", METHODS),
    Figure("followed up for 2 years, text", "251", FOLLOW_UP, derived=(by("same", "followed up for 2 years"),)),
    Figure("without r-axSpA at start", "135", METHODS),
    Figure("without r-axSpA at start, text", "135", FOLLOW_UP, derived=(by("same", "without r-axSpA at start"),)),
    Figure("progressed", "25", FOLLOW_UP),
    Figure("progressed, share", "18.5", FOLLOW_UP, percent=True, derived=(by("share", *_AT_START),)),
    Figure("anatomy-aware confident false positives", "30", FOLLOW_UP),
    Figure("anatomy-aware progressed", "12", FOLLOW_UP),
    Figure("anatomy-aware progressed, share", "40", FOLLOW_UP, True, (by("share", *_CALLED["anatomy-aware"]),)),
    _ratio("anatomy-aware", FOLLOW_UP, "2.16", "1.19", "3.86"),
    _ratio("anatomy-aware", "Abstract, p. 2", "2.16", "1.19", "3.86"),
    Figure("standard confident false positives", "48", FOLLOW_UP),
    Figure("standard progressed", "11", FOLLOW_UP),
    Figure("standard progressed, share", "22.9", FOLLOW_UP, True, (by("share", *_CALLED["standard"]),)),
    _ratio("standard", FOLLOW_UP, "1.24", "0.60", "2.34"),
)

PAPER = Paper(
    name="dorfner2024",
    citation="Dorfner FJ et al., preprint 2024",
    figures=(*COHORTS, *CUT_OFFS, *_on_validation(), *_on_tests(), *COMPARISON, *PROGRESSION),
)
