"""Predictions beside truth, case by case, and how they are read from a CSV file.

A case is an image, or one joint of it where a row names the side. Truth is ``0`` or ``1``, or grades, which
:mod:`edge_sacro.grades` judges: both joints' for an image, one for a joint.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_sacro.errors import UsageError
from edge_sacro.grades import is_definite, is_sacroiliitis
from edge_sacro.types import SIDES, Box, Side

COLUMNS = (
    *("id", "truth", "score", "decision", "group", "model", "side"),
    *("grade", "left_grade", "right_grade", "box", "truth_box", "box_score"),
)
"""Headings that mean something; other columns are left alone."""

_REMEDY = "Mend the line; docs/evaluation.md lists what each column holds."

Key = tuple[str, Side | None]
"""A case: the image's name and, for a joint, its side of the patient."""


@dataclass(frozen=True)
class Case:
    """One image, or one joint of it.

    Attributes:
        id: the image's name.
        side: of the patient; None for an image.
        group: the patient, or what else is drawn together by the bootstrap.
        truth: whether it has the disease.
        score: the prediction, the higher the more likely; None where there is none.
        decision: what was decided, where the predictions say so.
        box: where the joint was found, in stored pixels.
        truth_box: where it is.
        box_score: how sure the detector was of the box.
    """

    id: str
    side: Side | None
    group: str
    truth: bool
    score: float | None
    decision: bool | None = None
    box: Box | None = None
    truth_box: Box | None = None
    box_score: float = 1.0

    @property
    def key(self) -> Key:
        """What no other case of the same model has."""
        return self.id, self.side


@dataclass(frozen=True)
class Predictions:
    """The cases of one model.

    Attributes:
        name: of the model.
        source: the file or folder.
        cases: each once.
    """

    name: str
    source: str
    cases: tuple[Case, ...]

    def of_level(self, joints: bool) -> tuple[Case, ...]:
        """The cases that are joints, or those that are images."""
        return tuple(case for case in self.cases if (case.side is not None) == joints)


def predictions_from_csv(path: Path) -> list[Predictions]:
    """Read a CSV file with a line of headings: ``id``, ``score``, and ``truth`` or grades; see ``docs/evaluation.md``.

    Returns:
        one for each name in the column ``model``, in the order of the file; a single one where there is no such column.

    Raises:
        UsageError: a column is missing or twice there, a value is none, a case is twice there; it names the line.
    """
    models: dict[str, dict[Key, Case]] = {}
    for place, row in _rows(path):
        case = _case(row, place)
        cases = models.setdefault(row.get("model") or path.stem, {})
        if case.key in cases:
            named = " ".join(filter(None, case.key))
            raise UsageError(
                f"the case {named!r} is there twice",
                source=place,
                remedy="id names the image; name the patient in the column group.",
            )
        cases[case.key] = case
    if not models:
        raise UsageError("it holds no case", source=str(path), remedy="Give a line for each image or joint.")
    return [Predictions(name, str(path), tuple(cases.values())) for name, cases in models.items()]


def csv_from_predictions(predictions: Predictions) -> str:
    """The cases as :func:`predictions_from_csv` reads them, grades left out: truth says what they came to."""
    text = io.StringIO(newline="")
    names = ("model", "id", "side", "group", "truth", "score", "decision", "box", "truth_box", "box_score")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for case in predictions.cases:
        boxes = (" ".join(map(str, box.as_list())) if box else "" for box in (case.box, case.truth_box))
        decision = "" if case.decision is None else int(case.decision)
        score = "" if case.score is None else repr(case.score)
        known = [predictions.name, case.id, case.side or "", case.group, int(case.truth), score, decision]
        writer.writerow([*known, *boxes, repr(case.box_score)])
    return text.getvalue()


def _rows(path: Path) -> Iterable[tuple[str, dict[str, str]]]:
    """Each line's place and its fields by heading, blanks cut off."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", source=str(path)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"it is no UTF-8 text: {error.reason} at byte {error.start}", source=str(path)) from error
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip() for name in rows.fieldnames or []]
        rows.fieldnames = names
        _check_headings(names, str(path))
        for row in rows:
            place = f"{path}: line {rows.line_num}"
            if None in row or None in row.values():
                raise UsageError(f"it has not the {len(names)} fields of the heading", source=place, remedy=_REMEDY)
            yield place, {name: value.strip() for name, value in row.items()}
    except csv.Error as error:
        raise UsageError(f"it is no CSV: {error}", source=f"{path}: line {rows.line_num}", remedy=_REMEDY) from error


def _check_headings(names: list[str], source: str) -> None:
    remedy = "Begin the file with a line of headings, as id,truth,score."
    for name in COLUMNS:
        if names.count(name) > 1:
            raise UsageError(f"the column {name!r} is there twice", source=source, remedy=remedy)
    graded = "grade" in names or {"left_grade", "right_grade"} <= set(names)
    lacking = [name for name in ("id", "score") if name not in names]
    if lacking or not ("truth" in names or graded):
        what = lacking[0] if lacking else "truth"
        raise UsageError(f"the column {what!r} is missing; it has {names}", source=source, remedy=remedy)


def _case(row: Mapping[str, str], place: str) -> Case:
    if not row["id"]:
        raise UsageError("the id is empty", source=place, remedy=_REMEDY)
    side = next((each for each in SIDES if each == row.get("side")), None)
    if row.get("side") and side is None:
        raise UsageError(f"side is {row['side']!r}, and must be left, right or empty", source=place, remedy=_REMEDY)
    box_score = _number(row, "box_score", place)
    return Case(
        id=row["id"],
        side=side,
        group=row.get("group") or row["id"],
        truth=_truth(row, side, place),
        score=_number(row, "score", place),
        decision=_flag(row, "decision", place),
        box=_box(row, "box", place),
        truth_box=_box(row, "truth_box", place),
        box_score=1.0 if box_score is None else box_score,
    )


def _truth(row: Mapping[str, str], side: Side | None, place: str) -> bool:
    """The column ``truth``, or what the grades come to; both have to agree."""
    said = _flag(row, "truth", place)
    names = ("left_grade", "right_grade") if side is None else ("grade",)
    grades = [_grade(row, name, place) for name in names]
    known = [grade for grade in grades if grade is not None]
    judged: bool | None = None
    if len(known) == len(names):
        judged = is_definite(*known) if side is None else is_sacroiliitis(*known)
    if said is None and judged is None:
        raise UsageError(f"there is neither a truth nor {' and '.join(names)}", source=place, remedy=_REMEDY)
    if said is not None and judged is not None and said != judged:
        raise UsageError(
            f"truth is {int(said)}, and the grades {known} make it {int(judged)}",
            source=place,
            remedy="Leave the truth empty where the grades are to decide, or the grades.",
        )
    return bool(judged if said is None else said)


def _flag(row: Mapping[str, str], name: str, place: str) -> bool | None:
    text = row.get(name, "")
    if text not in {"", "0", "1"}:
        raise UsageError(f"{name} is {text!r}, and must be 0 or 1", source=place, remedy=_REMEDY)
    return None if text == "" else text == "1"


def _grade(row: Mapping[str, str], name: str, place: str) -> int | None:
    text = row.get(name, "")
    if text and text not in {"0", "1", "2", "3", "4"}:
        raise UsageError(f"{name} is {text!r}, and must be 0 to 4", source=place, remedy=_REMEDY)
    return int(text) if text else None


def _number(row: Mapping[str, str], name: str, place: str) -> float | None:
    """A probability; None where the field is empty: a case that was not assessed."""
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise UsageError(f"{name} is {text!r}, and must be a number of 0 to 1", source=place, remedy=_REMEDY)
    return value


def _box(row: Mapping[str, str], name: str, place: str) -> Box | None:
    """``x0 y0 x1 y1`` in stored pixels, with or without commas and brackets."""
    text = row.get(name, "")
    if not text:
        return None
    try:
        x0, y0, x1, y1 = (int(part) for part in text.strip("[]").replace(",", " ").split())
        return Box(x0, y0, x1, y1)
    except ValueError:
        raise UsageError(
            f"{name} is {text!r}, and must be x0 y0 x1 y1 in whole pixels, x1 and y1 beyond the box",
            source=place,
            remedy=_REMEDY,
        ) from None
