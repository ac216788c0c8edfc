"""Bressem KK, Vahldiek JL, Adams L, et al. Deep learning for detection of radiographic sacroiliitis.

Arthritis Research & Therapy 2021;23:106. The text at hand shows no page breaks; places are tables and sections.
Figures printed without their trailing zeros (0.3, 0.7) are read with the two digits of their neighbours.
"""

from __future__ import annotations

from edge_sacro.reference.types import Derivation, Figure, Interval, Matrix, Paper, by

ABSTRACT, METHODS, RESULTS, TABLE_1 = "Abstract", "Methods, Image selection and pre-processing", "Results", "Table 1"
IN_VALIDATION = "Results, Model performance in the validation dataset"
IN_TEST = "Results, Model performance on the independent dataset"
TABLE = {"validation": "Table 2", "test": "Table 3"}
TEXT = {"validation": IN_VALIDATION, "test": IN_TEST}

MATRICES = (
    Matrix("validation cut-off 1", tp=149, fp=64, fn=1, tn=15, place="Table 2"),
    Matrix("validation cut-off 2", tp=112, fp=1, fn=38, tn=78, place="Table 2"),
    Matrix("validation cut-off 3", tp=131, fp=4, fn=19, tn=75, place="Table 2"),
    Matrix("test cut-off 1", tp=219, fp=93, fn=4, tn=36, place="Table 3"),
    Matrix("test cut-off 2", tp=182, fp=9, fn=41, tn=120, place="Table 3"),
    Matrix("test cut-off 3", tp=204, fp=25, fn=19, tn=104, place="Table 3"),
)


def _count(name: str, printed: str, place: str, *derived: Derivation) -> Figure:
    return Figure(name, printed, place, derived=derived)


def _share(name: str, printed: str, place: str, part: str, whole: str, note: str = "") -> Figure:
    return Figure(name, printed, place, percent=True, derived=(by("share", part, whole),), note=note)


COHORT = (
    _count("PROOF radiographs", "1553", METHODS, by("sum", "training radiographs", "validation radiographs")),
    _count("training radiographs", "1324", METHODS),
    _count("validation radiographs", "229", METHODS),
    _share("training share", "85", METHODS, "training radiographs", "PROOF radiographs"),
    _share("validation share", "15", METHODS, "validation radiographs", "PROOF radiographs"),
    _count("PROOF patients in the registry", "2170", "Methods, Cohort description"),
    _count("GESPIC patients in the study", "525", "Methods, Cohort description"),
    _count("GESPIC radiographs", "458", "Methods, Cohort description", by("sum", "test radiographs", "test apart")),
    _count("test radiographs", "352", METHODS, by("sum", "test both positive", "test both negative")),
    _count("training positive", "873", RESULTS),
    _share("training positive, share", "65.9", RESULTS, "training positive", "training radiographs"),
    _count("validation positive", "150", RESULTS, by("positives", "validation cut-off 1")),
    _share("validation positive, share", "65.5", RESULTS, "validation positive", "validation radiographs"),
    _count("training discrepancies", "369", RESULTS),
    _share("training discrepancies, share", "27.9", RESULTS, "training discrepancies", "training radiographs"),
    _count("validation discrepancies", "63", RESULTS),
    _share("validation discrepancies, share", "27.5", RESULTS, "validation discrepancies", "validation radiographs"),
    _count("training re-classified", "146", RESULTS),
    _share("training re-classified, share", "11.0", RESULTS, "training re-classified", "training radiographs"),
    _count("validation re-classified", "37", RESULTS),
    _share("validation re-classified, share", "16.2", RESULTS, "validation re-classified", "validation radiographs"),
    _count("test both positive", "223", RESULTS, by("positives", "test cut-off 1")),
    _share("test both positive, share", "48.7", RESULTS, "test both positive", "GESPIC radiographs"),
    _count("test both negative", "129", RESULTS, by("negatives", "test cut-off 1")),
    _share("test both negative, share", "28.2", RESULTS, "test both negative", "GESPIC radiographs"),
    _count("test apart", "106", RESULTS),
    _share("test apart, share", "23.1", RESULTS, "test apart", "GESPIC radiographs"),
)

_TABLE_1_MEANS = (
    ("age, years", "34.7", "10.5", "35.7", "10.3"),
    ("duration of symptoms, years", "4.7", "6.8", "4.0", "2.7"),
    ("CRP, mg/l", "15.6", "23.0", "11.5", "18.2"),
    ("ASDAS-CRP", "2.9", "1.1", "2.6", "1.0"),
    ("BASDAI", "4.5", "2.3", "3.9", "2.1"),
    ("BASFI", "3.3", "2.5", "2.8", "2.3"),
)
_TABLE_1_COUNTS = (
    ("male sex", "983", "63.3", "243", "53.1"),
    ("HLA-B27 positive", "836", "64.6", "359", "78.4"),
    ("peripheral arthritis", "503", "32.4", "65", "14.2"),
    ("uveitis", "151", "9.7", "79", "17.3"),
    ("psoriasis", "106", "6.8", "49", "10.7"),
    ("IBD", "40", "2.6", "12", "2.6"),
    ("family history of SpA", "291", "18.7", "147", "32.1"),
    ("NSAIDs", "1204", "77.5", "305", "66.6"),
    ("csDMARDs", "539", "34.7", "107", "23.4"),
    ("systemic steroids", "119", "7.7", "40", "8.7"),
    ("TNF inhibitor", "234", "15.1", "11", "2.4"),
)
OF_KNOWN = {"PROOF HLA-B27 positive": "64.6% would be of about 1,294 patients; the heading says 1,553"}


def _characteristics() -> tuple[Figure, ...]:
    """Table 1, one cohort after the other."""
    rows: list[Figure] = []
    for column, cohort in enumerate(("PROOF", "GESPIC")):
        for name, *cells in _TABLE_1_MEANS:
            mean, deviation = cells[2 * column : 2 * column + 2]
            rows.append(Figure(f"{cohort} {name}, mean", mean, TABLE_1))
            rows.append(Figure(f"{cohort} {name}, SD", deviation, TABLE_1))
        for name, *cells in _TABLE_1_COUNTS:
            count, share = cells[2 * column : 2 * column + 2]
            whole, full = f"{cohort} radiographs", f"{cohort} {name}"
            rows.append(_count(full, count, TABLE_1))
            rows.append(_share(f"{full}, share", share, TABLE_1, full, whole, OF_KNOWN.get(full, "")))
    return tuple(rows)


CUT_OFFS = (
    Figure("cut-off 1, favouring sensitivity", "0.475", IN_VALIDATION),
    Figure("cut-off 2, favouring specificity", "0.787", IN_VALIDATION),
    Figure("cut-off 3, balanced", "0.724", IN_VALIDATION),
)

COLUMN_TOTALS = {
    "validation": {"negatives": "79", "positives": "150", "all": "229"},
    "test": {"negatives": "129", "positives": "223", "all": "352"},
}
_BY_CUT_OFF = (
    # data, cut-off, sensitivity, specificity, row totals, kappa and its interval, right answers, share
    ("validation", 1, "0.993", "0.177", ("16", "227"), ("0.22", "0.11", "0.33"), ("164", "71.6")),
    ("validation", 2, "0.753", "0.987", ("116", "113"), ("0.66", "0.57", "0.76"), ("190", "83.0")),
    ("validation", 3, "0.880", "0.949", ("94", "135"), ("0.79", "0.7", "0.87"), ("206", "90.0")),
    ("test", 1, "0.982", "0.264", ("40", "312"), ("0.3", "0.21", "0.4"), ("255", "72.4")),
    ("test", 2, "0.816", "0.930", ("161", "191"), ("0.7", "0.63", "0.77"), ("302", "85.8")),
    ("test", 3, "0.915", "0.806", ("123", "229"), ("0.72", "0.65", "0.8"), ("308", "87.5")),
)


def _by_cut_off() -> tuple[Figure, ...]:
    """Tables 2 and 3, and the sensitivity and specificity that the text gives for each of their matrices."""
    rows: list[Figure] = []
    for data, number, sensitivity, specificity, totals, kappa, right in _BY_CUT_OFF:
        matrix, table, text = f"{data} cut-off {number}", TABLE[data], TEXT[data]
        interval = Interval(kappa[1], kappa[2], (by("bootstrap", matrix, "kappa"),))
        share = (by("accuracy", matrix), by("share", f"{matrix} right answers", f"{data} radiographs"))
        rows += [
            Figure(f"{matrix} sensitivity", sensitivity, text, derived=(by("sensitivity", matrix),)),
            Figure(f"{matrix} specificity", specificity, text, derived=(by("specificity", matrix),)),
            _count(f"{matrix} called negative", totals[0], table, by("called negative", matrix)),
            _count(f"{matrix} called positive", totals[1], table, by("called positive", matrix)),
            *(_count(f"{matrix} {of}", total, table, by(of, matrix)) for of, total in COLUMN_TOTALS[data].items()),
            Figure(
                f"{matrix} kappa",
                kappa[0],
                table,
                derived=(by("kappa", matrix),),
                interval=interval,
                decimals=2,
                note="" if len(kappa[0]) == len("0.00") else f"{kappa[0]}0 without its last zero",
            ),
            _count(f"{matrix} right answers", right[0], table, by("right answers", matrix)),
            Figure(f"{matrix} accuracy", right[1], table, percent=True, derived=share),
        ]
    return tuple(rows)


_CUT_OFFS_OF = {data: tuple(f"{data} cut-off {number}" for number in (1, 2, 3)) for data in ("validation", "test")}
AREAS = (
    Figure("validation AUC", "0.969", IN_VALIDATION, derived=(by("AUC bounds", *_CUT_OFFS_OF["validation"]),)),
    Figure("validation average precision", "0.989", IN_VALIDATION),
    Figure("test AUC", "0.936", IN_TEST, derived=(by("AUC bounds", *_CUT_OFFS_OF["test"]),)),
    Figure("test average precision", "0.962", IN_TEST),
)

_APART = (("1", "8", "98"), ("2", "73", "33"), ("3", "53", "53"))
DISCORDANT = tuple(
    figure
    for number, negative, positive in _APART
    for figure in (
        Figure(f"apart, cut-off {number}, called negative", negative, IN_TEST),
        Figure(
            f"apart, cut-off {number}, called positive",
            positive,
            IN_TEST,
            derived=(by("difference", "test apart", f"apart, cut-off {number}, called negative"),),
        ),
    )
)

_BOTH = ("test both positive", "test both negative", "test apart")
_NETWORK = ("test cut-off 3", "apart, cut-off 3, called positive", "apart, cut-off 3, called negative")
READERS = (
    Figure("readers kappa", "0.53", IN_TEST, False, (by("kappa of two readers", *_BOTH),), Interval("0.46", "0.61")),
    Figure(
        "readers agreement",
        "76.9",
        IN_TEST,
        True,
        (by("share", "test radiographs", "GESPIC radiographs"), by("nearest share", "GESPIC radiographs")),
    ),
    Figure(
        "reader 1 and network kappa",
        "0.54",
        IN_TEST,
        False,
        (by("kappa beside the network", *_NETWORK, "reader 1 and network agreement", "GESPIC radiographs"),),
        Interval("0.46", "0.62"),
    ),
    Figure("reader 1 and network agreement", "77.3", IN_TEST, True, (by("nearest share", "GESPIC radiographs"),)),
    Figure(
        "reader 2 and network kappa",
        "0.57",
        IN_TEST,
        False,
        (by("kappa beside the network", *_NETWORK, "reader 2 and network agreement", "GESPIC radiographs"),),
        Interval("0.49", "0.65"),
    ),
    Figure(
        "reader 2 and network agreement",
        "80.3",
        IN_TEST,
        True,
        (
            by("nearest share", "GESPIC radiographs"),
            by(
                "agreement of the other reader",
                "test cut-off 3",
                "test apart",
                "reader 1 and network agreement",
                "GESPIC radiographs",
                note="at cut-off 3",
            ),
        ),
    ),
)

_REPEATED = (
    ("validation AUC", "0.97", False),
    ("test AUC", "0.94", False),
    ("validation cut-off 3 sensitivity", "88", True),
    ("validation cut-off 3 specificity", "95", True),
    ("test cut-off 3 sensitivity", "92", True),
    ("test cut-off 3 specificity", "81", True),
    ("validation cut-off 3 kappa", "0.79", False),
    ("test cut-off 3 kappa", "0.72", False),
    ("validation cut-off 3 accuracy", "90", True),
    ("test cut-off 3 accuracy", "88", True),
)
IN_ABSTRACT = tuple(
    Figure(f"{name}, abstract", printed, ABSTRACT, percent=percent, derived=(by("same", name),))
    for name, printed, percent in _REPEATED
)

PAPER = Paper(
    name="bressem2021",
    citation="Bressem KK et al., Arthritis Res Ther 2021;23:106",
    figures=(*COHORT, *_characteristics(), *CUT_OFFS, *AREAS, *_by_cut_off(), *DISCORDANT, *READERS, *IN_ABSTRACT),
    matrices=MATRICES,
)
