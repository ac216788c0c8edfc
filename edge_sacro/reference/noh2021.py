"""Noh SH, An C, Kim D, et al. Automated detection of sacroiliitis on plain radiograph using EfficientDet algorithm.

Research Square preprint rs-272234, March 2021. The text at hand shows no page breaks; places are tables or sections.
"""

from __future__ import annotations

from edge_sacro.reference.types import Derivation, Figure, Interval, Matrix, Paper, by

ABSTRACT, SUBJECTS, TRAINING = "Abstract", "Methods, Subjects", "Methods, Training"
RESULTS, DETECTION = "Results, Subjects", "Results, Accuracy in detecting sacroiliac joint"
TABLE_1, TABLE_2 = "Table 1", "Table 2"
TEXT = {"joint": "Results, Per joint performance", "image": "Results, Per image performance"}
HEADED = "the heading orders the counts TP/FN/FP/TN; the row's other figures need TP/FP/FN/TN"
OF_ACCURACY = "165 of 190; no whole number of 190 is 91.3%, the upper end of the interval that these counts have"
OF_OTHER_ROW = "the interval of the accuracy per joint"

MATRICES = (
    Matrix("per joint", tp=156, fp=29, fn=5, tn=190, place=TABLE_2, note="in the order that the row's figures need"),
    Matrix("per image", tp=87, fp=20, fn=5, tn=78, place=TABLE_2, note="in the order that the row's figures need"),
    Matrix("per joint as headed", tp=156, fn=29, fp=5, tn=190, place=TABLE_2, note="in the heading's order"),
    Matrix("per image as headed", tp=87, fn=20, fp=5, tn=78, place=TABLE_2, note="in the heading's order"),
)


def _count(name: str, printed: str, place: str, *derived: Derivation, note: str = "") -> Figure:
    return Figure(name, printed, place, derived=derived, note=note)


def _uncounted(name: str, counted: str, place: str, *derived: Derivation) -> Figure:
    return Figure(name, counted, place, derived=derived, published=False)


COHORT = (
    _count("patients with AS identified", "232", SUBJECTS),
    _count("images excluded", "502", SUBJECTS, by("sum", "excluded for low quality", "excluded for no findings")),
    _count("excluded for low quality", "32", SUBJECTS),
    _count("excluded for no findings", "470", SUBJECTS),
    Figure(
        "controls for each patient with AS",
        "1.5",
        SUBJECTS,
        derived=(by("share", "patients without AS", "patients with AS identified", note="printed as approximate"),),
    ),
    _count("images with AS", "478", RESULTS),
    _count("images without AS", "468", RESULTS),
    _count("images", "946", RESULTS, by("sum", "images with AS", "images without AS")),
    _count(
        "patients with AS",
        "241",
        RESULTS,
        by("same", "patients with AS identified", note="exclusions can only lower it"),
        by("sum", "men with AS", "women with AS"),
    ),
    _count("patients without AS", "433", RESULTS, by("sum", "men without AS", "women without AS")),
    _count("patients", "674", RESULTS, by("sum", "patients with AS", "patients without AS")),
    _count("men without AS", "323", TABLE_1),
    _count("women without AS", "110", TABLE_1),
    _count("men with AS", "179", TABLE_1),
    _count("women with AS", "62", TABLE_1),
    _count("men", "502", TABLE_1, by("sum", "men without AS", "men with AS")),
    _count("women", "172", TABLE_1, by("sum", "women without AS", "women with AS")),
    Figure("men for each woman", "2.9", RESULTS, derived=(by("share", "men", "women"),)),
    Figure("oldest patient, below", "40", SUBJECTS),
    Figure("age without AS, mean", "32.3", TABLE_1),
    Figure("age without AS, SD", "5.3", TABLE_1),
    Figure("age with AS, mean", "34.1", TABLE_1),
    Figure("age with AS, SD", "5.1", TABLE_1),
    Figure(
        "age, mean",
        "33.3",
        TABLE_1,
        derived=(
            by("weighted mean", "patients without AS", "age without AS, mean", "patients with AS", "age with AS, mean"),
            by(
                "weighted mean",
                "images without AS",
                "age without AS, mean",
                "images with AS",
                "age with AS, mean",
                note="weighted by images, though the table counts patients",
            ),
        ),
    ),
    Figure(
        "age, SD",
        "5.2",
        TABLE_1,
        derived=(
            by(
                "pooled standard deviation",
                "patients without AS",
                "age without AS, mean",
                "age without AS, SD",
                "patients with AS",
                "age with AS, mean",
                "age with AS, SD",
            ),
        ),
    ),
)

_OF_GROUP = {"No AS": "patients without AS", "AS": "images with AS"}
_GRADES = (
    ("No AS", "0", "67", "15.5", "10.0"),
    ("No AS", "1", "366", "84.5", "57.4"),
    ("AS", "2", "211", "44.1", "31.3"),
    ("AS", "3", "106", "22.2", "15.7"),
    ("AS", "4", "161", "33.7", "23.9"),
)
"""Group, worse grade of both joints, count, percent of the group, percent in the column of totals."""


def _grade_rows() -> tuple[Figure, ...]:
    rows: list[Figure] = []
    for group, grade, count, share, total in _GRADES:
        name = f"grade {grade}"
        whole = _OF_GROUP[group]
        rows.append(_count(name, count, TABLE_1))
        rows.append(Figure(f"{name}, share", share, TABLE_1, percent=True, derived=(by("share", name, whole),)))
        of_all = by("share", name, "patients")
        rows.append(Figure(f"{name}, share of all", total, TABLE_1, percent=True, derived=(of_all,)))
    return tuple(rows)


GRADE_SUMS = (
    _count(
        "patients, by their grades",
        "674",
        TABLE_1,
        by("sum", *(f"grade {grade}" for grade in range(5))),
        note="grades of 433 patients without AS and of 478 images with AS stand in one column",
    ),
)

TRAINED = (
    _count("batch size", "4", TRAINING),
    _count("iterations", "70,000", TRAINING),
    _uncounted("test images", "190", TABLE_2, by("all", "per image")),
    _uncounted("training images", "756", RESULTS, by("difference", "images", "test images")),
    _count(
        "epochs",
        "17,500",
        TRAINING,
        by("passes over the images", "iterations", "batch size", "training images", note="iterations over batch size"),
    ),
    Figure("test share", "8:2", SUBJECTS, derived=(by("share", "test images", "images"),), decimals=1, meant=0.2),
)

BOXES = (
    _count("joints in the test set", "380", DETECTION, by("all", "per joint"), by("product", "test images", 2)),
    _count("boxes drawn correctly", "366", DETECTION, by("difference", "joints in the test set", "boxes wrong")),
    Figure("patients with one box wrong", "ten", DETECTION, meant=10, decimals=0),
    Figure("patients with both boxes wrong", "two", DETECTION, meant=2, decimals=0),
    _uncounted("boxes of patients with both wrong", "4", DETECTION, by("product", "patients with both boxes wrong", 2)),
    _uncounted(
        "boxes wrong",
        "14",
        DETECTION,
        by("sum", "patients with one box wrong", "boxes of patients with both wrong"),
    ),
    Figure(
        "boxes drawn correctly, share",
        "96.3",
        DETECTION,
        percent=True,
        derived=(by("share", "boxes drawn correctly", "joints in the test set"),),
    ),
    Figure("mAP at IoU 0.5", "0.918", DETECTION),
    Figure("mAP at IoU 0.5, abstract", "0.918", ABSTRACT, derived=(by("same", "mAP at IoU 0.5"),)),
    Figure("score cut-off", "0.5", "Methods, Evaluation"),
)

_PERFORMANCE = {
    "joint": (
        ("sensitivity", "96.9", "92.9", "99.0"),
        ("specificity", "86.8", "81.5", "90.9"),
        ("accuracy", "91.1", "87.7", "93.7"),
        ("precision", "84.3", "78.3", "89.2"),
        ("negative predictive value", "97.4", "94.1", "99.2"),
        ("F1", "90.2", "85.0", "93.9"),
    ),
    "image": (
        ("sensitivity", "94.6", "87.8", "98.2"),
        ("specificity", "79.6", "70.3", "87.1"),
        ("accuracy", "91.3", "87.7", "93.7"),
        ("precision", "81.3", "72.6", "88.2"),
        ("negative predictive value", "94.0", "86.5", "98.0"),
        ("F1", "87.4", "79.5", "92.9"),
    ),
}
_AUC = {"joint": ("0.932", "0.903", "0.961"), "image": ("0.876", "0.831", "0.922")}


def _of_f1(row: str) -> tuple[Derivation, ...]:
    how = "F1 of the lower and of the upper ends of precision and sensitivity: no 95% interval"
    return by("F1 of ends", f"{row} precision", f"{row} sensitivity"), by("bootstrap", row, "F1", note=how)


def _performance(per: str) -> tuple[Figure, ...]:
    """One row of Table 2; its text repeats every figure."""
    row = f"per {per}"
    printed, low, high = _AUC[per]
    furthest = by("largest AUC error", f"positive {per}s", f"negative {per}s")
    auc = Interval(low, high, (furthest,))
    found = [
        _uncounted(f"positive {per}s", {"joint": "161", "image": "92"}[per], TABLE_2, by("positives", row)),
        _uncounted(f"negative {per}s", {"joint": "219", "image": "98"}[per], TABLE_2, by("negatives", row)),
        Figure(f"{row} AUC", printed, TABLE_2, derived=(by("AUC bounds", row),), interval=auc),
        Figure(
            f"{row} AUC, text",
            printed,
            TEXT[per],
            derived=(by("same", f"{row} AUC"),),
            interval=Interval(low, high, (by("same", f"{row} AUC"),)),
        ),
    ]
    for quantity, value, lower, upper in _PERFORMANCE[per]:
        name = f"{row} {quantity}"
        derived = [by(quantity, row, note=OF_ACCURACY if name == "per image accuracy" else "")]
        if quantity in {"sensitivity", "specificity"}:
            derived.append(by(quantity, f"{row} as headed", note=HEADED))
        exact = by("Clopper-Pearson", row, quantity, note=OF_OTHER_ROW if name == "per image accuracy" else "")
        interval = Interval(lower, upper, _of_f1(row) if quantity == "F1" else (exact,))
        found.append(Figure(name, value, TABLE_2, True, tuple(derived), interval))
        repeated = Interval(lower, upper, (by("same", name),))
        found.append(Figure(f"{name}, text", value, TEXT[per], True, (by("same", name),), repeated))
    return tuple(found)


IN_ABSTRACT = tuple(
    Figure(
        f"{name}, abstract",
        printed,
        ABSTRACT,
        percent=name != "per joint AUC",
        derived=(by("same", name),),
        interval=Interval(low, high, (by("same", name),)),
    )
    for name, printed, low, high in (
        ("per joint AUC", "0.932", "0.903", "0.961"),
        ("per joint sensitivity", "96.9", "92.9", "99.0"),
        ("per joint specificity", "86.8", "81.5", "90.9"),
        ("per joint accuracy", "91.1", "87.7", "93.7"),
        ("per joint F1", "90.2", "85.0", "93.9"),
    )
)

PAPER = Paper(
    name="noh2021",
    citation="Noh SH et al., Research Square preprint rs-272234, 2021",
    figures=(
        *(*COHORT, *_grade_rows(), *GRADE_SUMS, *TRAINED, *BOXES),
        *(*_performance("joint"), *_performance("image"), *IN_ABSTRACT),
    ),
    matrices=MATRICES,
)
