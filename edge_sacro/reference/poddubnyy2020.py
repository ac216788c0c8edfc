"""Poddubnyy D, Bressem KK, et al. Preprint of bressem2021 on other cohorts, medRxiv 2020.05.19.20105304, 22 May 2020.

Pages are given where the printed page numbers of the text at hand fix them. Sensitivity and specificity are printed
without trailing zeros (0.9, 1, 0.87); they are read with the three digits of their neighbours.
"""

from __future__ import annotations

from edge_sacro.reference.types import Derivation, Figure, Interval, Matrix, Paper, by

ABSTRACT, COHORTS, METHODS, RESULTS = "Abstract", "Cohort description", "Image selection and pre-processing", "Results"
TABLE = {"validation": "Table 1, p. 26", "test": "Table 2, p. 27"}
TEXT = {
    "validation": "Results, Model performance in the validation data set",
    "test": "Results, Model performance in the independent data set",
}
DROPPED = "printed without trailing zeros, read with three digits as its neighbours"

MATRICES = (
    Matrix("validation cut-off 1", tp=158, fp=29, fn=2, tn=58, place="Table 1, p. 26"),
    Matrix("validation cut-off 2", tp=104, fp=0, fn=56, tn=87, place="Table 1, p. 26"),
    Matrix("validation cut-off 3", tp=143, fp=6, fn=17, tn=81, place="Table 1, p. 26"),
    Matrix("test cut-off 1", tp=53, fp=22, fn=1, tn=24, place="Table 2, p. 27"),
    Matrix("test cut-off 2", tp=30, fp=0, fn=24, tn=46, place="Table 2, p. 27"),
    Matrix("test cut-off 3", tp=46, fp=2, fn=8, tn=44, place="Table 2, p. 27"),
)


def _count(name: str, printed: str, place: str, *derived: Derivation) -> Figure:
    return Figure(name, printed, place, derived=derived)


def _share(name: str, printed: str, part: str, whole: str, place: str = RESULTS) -> Figure:
    return Figure(name, printed, place, percent=True, derived=(by("share", part, whole),))


COHORT = (
    _count("PROOF patients in the registry", "2170", COHORTS),
    _count("PROOF radiographs", "1669", METHODS),
    _count("PROOF radiographs, abstract", "1669", ABSTRACT, by("same", "PROOF radiographs")),
    _count("excluded for quality", "18", METHODS),
    _count("radiographs used", "1651", METHODS, by("difference", "PROOF radiographs", "excluded for quality")),
    _count("training radiographs", "1404", METHODS, by("difference", "radiographs used", "validation radiographs")),
    _count("validation radiographs", "247", METHODS, by("all", "validation cut-off 1")),
    _share("training share", "85", "training radiographs", "radiographs used", METHODS),
    _share("validation share", "15", "validation radiographs", "radiographs used", METHODS),
    _count("GESPIC patients in the study", "646", COHORTS),
    _count("GESPIC radiographs", "525", COHORTS),
    _count("test radiographs", "100", METHODS, by("all", "test cut-off 1")),
    _count("training positive", "911", RESULTS),
    _share("training positive, share", "64.9", "training positive", "training radiographs"),
    _count("validation positive", "160", RESULTS, by("positives", "validation cut-off 1")),
    _share("validation positive, share", "64.8", "validation positive", "validation radiographs"),
    _count("validation negative", "87", TABLE["validation"], by("negatives", "validation cut-off 1")),
    _count("test positive", "54", RESULTS, by("positives", "test cut-off 1")),
    _share("test positive, share", "54", "test positive", "test radiographs"),
    _count("test negative", "46", TABLE["test"], by("negatives", "test cut-off 1")),
    _count("training discrepancies", "392", RESULTS),
    _share("training discrepancies, share", "27.9", "training discrepancies", "training radiographs"),
    _count(
        "validation discrepancies",
        "67",
        RESULTS,
        by(
            "readers apart",
            "local reader sensitivity",
            "local reader specificity",
            "central reader sensitivity",
            "central reader specificity",
            "validation positive",
            "validation negative",
            note="two of three readings decide, so that just one of two who differ is wrong",
        ),
    ),
    _share("validation discrepancies, share", "27.1", "validation discrepancies", "validation radiographs"),
    _count("training re-classified", "160", RESULTS),
    _share("training re-classified, share", "11.4", "training re-classified", "training radiographs"),
    _count(
        "validation re-classified",
        "39",
        RESULTS,
        by(
            "restored errors",
            "local reader sensitivity",
            "local reader specificity",
            "validation positive",
            "validation negative",
        ),
    ),
    _share("validation re-classified, share", "15.8", "validation re-classified", "validation radiographs"),
)

CUT_OFFS = (
    Figure("validation cut-off 1, favouring sensitivity", "0.606", TEXT["validation"]),
    Figure("validation cut-off 2, favouring specificity", "0.814", TEXT["validation"]),
    Figure("validation cut-off 3, balanced", "0.706", TEXT["validation"]),
    Figure("test cut-off 1, favouring sensitivity", "0.58", TEXT["test"]),
    Figure("test cut-off 2, favouring specificity", "0.834", TEXT["test"]),
    Figure("test cut-off 3, balanced", "0.791", TEXT["test"]),
)

COLUMN_TOTALS = {
    "validation": {"negatives": "87", "positives": "160", "all": "247"},
    "test": {"negatives": "46", "positives": "54", "all": "100"},
}
_BY_CUT_OFF = (
    # data, cut-off, sensitivity, specificity, row totals, kappa and its interval, right answers, share
    ("validation", 1, "0.994", "0.667", ("60", "187"), ("0.704", "0.611", "0.794"), ("216", "87.4")),
    ("validation", 2, "0.656", "1", ("143", "104"), ("0.567", "0.475", "0.657"), ("191", "77.3")),
    ("validation", 3, "0.9", "0.931", ("98", "149"), ("0.802", "0.731", "0.875"), ("224", "90.7")),
    ("test", 1, "1", "0.478", ("25", "75"), ("0.521", "0.372", "0.672"), ("77", "77")),
    ("test", 2, "0.574", "1", ("70", "30"), ("0.535", "0.389", "0.680"), ("76", "76")),
    ("test", 3, "0.87", "0.966", ("52", "48"), ("0.801", "0.688", "0.919"), ("90", "90")),
)


def _three_digits(name: str, printed: str, place: str, *derived: Derivation) -> Figure:
    note = "" if len(printed) == len("0.000") else DROPPED
    return Figure(name, printed, place, derived=derived, decimals=3, note=note)


def _by_cut_off() -> tuple[Figure, ...]:
    """Tables 1 and 2, and the sensitivity and specificity that the text gives for each of their matrices."""
    rows: list[Figure] = []
    for data, number, sensitivity, specificity, totals, kappa, right in _BY_CUT_OFF:
        matrix, table = f"{data} cut-off {number}", TABLE[data]
        interval = Interval(kappa[1], kappa[2], (by("bootstrap", matrix, "kappa"),))
        rows += [
            _three_digits(f"{matrix} sensitivity", sensitivity, TEXT[data], by("sensitivity", matrix)),
            _three_digits(f"{matrix} specificity", specificity, TEXT[data], by("specificity", matrix)),
            _count(f"{matrix} called negative", totals[0], table, by("called negative", matrix)),
            _count(f"{matrix} called positive", totals[1], table, by("called positive", matrix)),
            *(_count(f"{matrix} {of}", total, table, by(of, matrix)) for of, total in COLUMN_TOTALS[data].items()),
            Figure(f"{matrix} kappa", kappa[0], table, derived=(by("kappa", matrix),), interval=interval),
            _count(f"{matrix} right answers", right[0], table, by("right answers", matrix)),
            Figure(f"{matrix} agreement", right[1], table, percent=True, derived=(by("accuracy", matrix),)),
        ]
    return tuple(rows)


_CUT_OFFS_OF = {data: tuple(f"{data} cut-off {number}" for number in (1, 2, 3)) for data in ("validation", "test")}
AREAS = (
    Figure("validation AUC", "0.971", TEXT["validation"], derived=(by("AUC bounds", *_CUT_OFFS_OF["validation"]),)),
    Figure("validation precision-recall area", "0.989", TEXT["validation"]),
    Figure("test AUC", "0.961", TEXT["test"], derived=(by("AUC bounds", *_CUT_OFFS_OF["test"]),)),
    Figure("test precision-recall area", "0.979", TEXT["test"]),
)

_READERS = (
    # reader, sensitivity, specificity, kappa and its interval, agreement
    ("local", "0.844", "0.839", ("0.66", "0.57", "0.76"), "84"),
    ("central", "0.975", "0.724", ("0.74", "0.65", "0.83"), "89"),
)


def _readers() -> tuple[Figure, ...]:
    """The readers beside the final classification of the validation set."""
    rows: list[Figure] = []
    for reader, sensitivity, specificity, kappa, agreement in _READERS:
        name = f"{reader} reader"
        counts = (f"{name} sensitivity", f"{name} specificity", "validation positive", "validation negative")
        interval = Interval(kappa[1], kappa[2], (by("bootstrap of shares", *counts, "kappa"),))
        place = TEXT["validation"]
        nearest = {each: (by("nearest share", f"validation {each}"),) for each in ("positive", "negative")}
        rows += [
            Figure(counts[0], sensitivity, place, derived=nearest["positive"]),
            Figure(counts[1], specificity, place, derived=nearest["negative"]),
            Figure(f"{name} kappa", kappa[0], place, False, (by("restored kappa", *counts),), interval),
            Figure(f"{name} agreement", agreement, place, True, (by("restored agreement", *counts),)),
        ]
    return tuple(rows)


_REPEATED = (
    ("validation AUC", "0.97", False, ABSTRACT),
    ("test AUC", "0.96", False, ABSTRACT),
    ("validation cut-off 3 sensitivity", "0.90", False, ABSTRACT),
    ("validation cut-off 3 specificity", "0.93", False, ABSTRACT),
    ("test cut-off 3 sensitivity", "0.87", False, ABSTRACT),
    ("test cut-off 3 specificity", "0.97", False, ABSTRACT),
    ("validation cut-off 3 kappa", "0.80", False, ABSTRACT),
    ("test cut-off 3 kappa", "0.80", False, ABSTRACT),
    ("validation cut-off 3 agreement", "91", True, ABSTRACT),
    ("test cut-off 3 agreement", "90", True, ABSTRACT),
    ("validation cut-off 3 agreement", "91", True, TEXT["validation"]),
    ("test cut-off 3 kappa", "0.80", False, TEXT["test"]),
    ("test cut-off 3 agreement", "90", True, TEXT["test"]),
)
REPEATED = (
    *(
        Figure(f"{name}, {'abstract' if place == ABSTRACT else 'text'}", printed, place, percent, (by("same", name),))
        for name, printed, percent, place in _REPEATED
    ),
    Figure(
        "validation cut-off 3 kappa, text",
        "0.80",
        TEXT["validation"],
        derived=(by("same", "validation cut-off 3 kappa"),),
        interval=Interval("0.73", "0.88", (by("same", "validation cut-off 3 kappa"),)),
    ),
)

_EXAMPLES = (
    ("true positive", ("0.885", "0.890", "0.842", "0.880", "0.899", "0.895", "0.859", "0.864")),
    ("true negative", ("0.332", "0.369", "0.396", "0.362")),
    ("false negative", ("0.680", "0.674")),
    ("false positive", ("0.717", "0.735")),
)
EXAMPLES = tuple(
    Figure(f"example {number} of a {kind}", printed, "Figure 5, p. 25")
    for kind, probabilities in _EXAMPLES
    for number, printed in enumerate(probabilities, 1)
)

PAPER = Paper(
    name="poddubnyy2020",
    citation="Poddubnyy D et al., medRxiv 2020.05.19.20105304",
    figures=(*COHORT, *CUT_OFFS, *AREAS, *_by_cut_off(), *_readers(), *REPEATED, *EXAMPLES),
    matrices=MATRICES,
)
