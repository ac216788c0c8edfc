"""The cohorts of dorfner2024: sections 2.1, 2.3 and 3, and Table 1."""

from __future__ import annotations

from edge_sacro.reference.types import Derivation, Figure, by

SECTION_2_1, SPLIT, RESULTS, TABLE_1 = "Section 2.1, p. 2", "Section 2.3, p. 3", "Section 3, p. 5", "Table 1, p. 4"
COHORT_NAMES = ("PROOF", "GESPIC", "OptiRef", "DAMACT")


def _count(name: str, printed: str, place: str, *derived: Derivation, published: bool = True) -> Figure:
    return Figure(name, printed, place, derived=derived, published=published)


def _share(name: str, printed: str, place: str, part: str, whole: str) -> Figure:
    return Figure(name, printed, place, percent=True, derived=(by("share", part, whole),))


def _without(data: str, printed: str) -> Figure:
    """Images without radiographic disease, healthy or not; where the paper does not print it, the rest."""
    name, whole = f"{data} without r-axSpA", f"{data} radiographs"
    return _count(name, printed, RESULTS, by("difference", whole, f"{data} r-axSpA"), published=False)


STUDIES = (
    _count("PROOF patients in the registry", "2170", SECTION_2_1),
    _count("GESPIC patients in the study", "525", SECTION_2_1),
    _count("OptiRef patients in the study", "361", SECTION_2_1),
    _count("DAMACT patients in the studies", "178", "Section 2.1, p. 3"),
    _count("PROOF radiographs", "1483", SECTION_2_1, by("sum", "training radiographs", "validation radiographs")),
    _count("GESPIC radiographs", "436", SECTION_2_1, by("sum", "GESPIC r-axSpA", "GESPIC nr-axSpA")),
    _count("OptiRef radiographs", "340", SECTION_2_1, by("sum", "OptiRef axSpA", "OptiRef without SpA")),
    _count("DAMACT radiographs", "163", "Section 2.1, p. 3", by("sum", "DAMACT axSpA", "DAMACT without SpA")),
    _count("OptiRef without SpA", "230", SECTION_2_1),
    _count("DAMACT without SpA", "74", "Section 2.1, p. 3"),
    _count("training radiographs", "1261", SPLIT),
    _count("validation radiographs", "222", SPLIT),
    _share("training share", "85", SPLIT, "training radiographs", "PROOF radiographs"),
    _share("validation share", "15", SPLIT, "validation radiographs", "PROOF radiographs"),
    _count("training r-axSpA", "835", RESULTS, by("difference", "PROOF r-axSpA", "validation r-axSpA")),
    _share("training r-axSpA, share", "66", RESULTS, "training r-axSpA", "training radiographs"),
    _count("validation r-axSpA", "145", RESULTS),
    _share("validation r-axSpA, share, text", "65", RESULTS, "validation r-axSpA", "validation radiographs"),
    _share("GESPIC r-axSpA, share, text", "50", RESULTS, "GESPIC r-axSpA", "GESPIC radiographs"),
    _share("DAMACT r-axSpA, share, text", "29", RESULTS, "DAMACT r-axSpA", "DAMACT radiographs"),
    _share("OptiRef r-axSpA, share, text", "18", RESULTS, "OptiRef r-axSpA", "OptiRef radiographs"),
    _without("validation", "77"),
    _without("GESPIC", "217"),
    _without("OptiRef", "279"),
    _without("DAMACT", "116"),
)

_COUNTS = (
    ("axSpA", "1483 100", "436 100", "110 32.4", "89 54.6"),
    ("r-axSpA", "980 66.1", "219 50.2", "61 17.9", "47 28.8"),
    ("nr-axSpA", "503 33.9", "217 49.8", "49 14.4", "42 25.8"),
    ("male sex", "941 63.5", "235 53.9", "167 49.1", "82 50.3"),
    ("HLA-B27 positivity", "789 53.2", "347/433 80.1", "153/334 45.8", "96/154 62.3"),
    ("family history of SpA", "278 18.7", "137 31.4", "50/302 16.6", "22/109 20.2"),
    ("arthritis", "475 32.0", "57 13.1", "65 19.1", "56 34.4"),
    ("enthesitis", "532 35.9", "91 20.9", "59 17.4", ""),
    ("dactylitis", "82 5.5", "9 2.1", "2 0.6", ""),
    ("uveitis", "145 9.8", "75 17.2", "31 9.1", "29/152 19.1"),
    ("psoriasis", "99 6.7", "42 9.6", "36 10.6", "22/152 14.4"),
    ("IBD", "38 2.6", "12 2.8", "8 2.4", "10/137 7.3"),
    ("elevated CRP", "686 46.3", "188/423 44.4", "55/337 16.3", "20 12.3"),
    ("NSAIDs", "1,155 77.9", "295 67.7", "", ""),
    ("systemic steroids", "114 7.7", "37 8.5", "", ""),
    ("csDMARDs", "464 31.3", "96 22.0", "", ""),
    ("TNF inhibitor", "198 13.4", "11 2.5", "", ""),
)
"""Count, or count/known, and percent, in the order of ``COHORT_NAMES``."""

_MEANS = (
    ("age, years", "34.6 10.6", "35.5 10.2", "38.1 10.7", "38.2 10.6"),
    ("symptom duration, years", "4.7 6.9", "4.1 2.7", "8.4 7.7", ""),
    ("CRP, mg/L", "15.6 23.1", "11.3 18.0", "3.1 5.9", "5.4 9.6"),
    ("ASDAS-CRP", "2.9 1.1", "2.5 1.0", "2.4 0.8", ""),
    ("BASDAI", "4.5 2.3", "3.9 2.1", "4.4 1.9", "4.5 1.8"),
    ("BASFI", "3.3 2.5", "2.7 2.3", "2.6 2.1", ""),
)
"""Mean and standard deviation, in the order of ``COHORT_NAMES``."""


def _counted(cohort: str, name: str, cell: str) -> list[Figure]:
    """A count, how many were known of where that is printed, and its share."""
    full = f"{cohort} {name}"
    counts, share = cell.split()
    part, _, whole = counts.partition("/")
    found = [_count(full, part, TABLE_1)]
    if name == "axSpA":
        found = [_count(full, part, TABLE_1, by("sum", f"{cohort} r-axSpA", f"{cohort} nr-axSpA"))]
    if whole:
        found.append(_count(f"{full}, known", whole, TABLE_1))
    found.append(_share(f"{full}, share", share, TABLE_1, full, f"{full}, known" if whole else f"{cohort} radiographs"))
    return found


def _table_1() -> tuple[Figure, ...]:
    rows: list[Figure] = []
    for column, cohort in enumerate(COHORT_NAMES):
        for name, *cells in _COUNTS:
            if cells[column]:
                rows += _counted(cohort, name, cells[column])
        for name, *cells in _MEANS:
            if cells[column]:
                mean, deviation = cells[column].split()
                rows.append(Figure(f"{cohort} {name}, mean", mean, TABLE_1))
                rows.append(Figure(f"{cohort} {name}, SD", deviation, TABLE_1))
    return tuple(rows)


COHORTS = (*STUDIES, *_table_1())
