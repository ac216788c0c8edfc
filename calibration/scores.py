"""Probabilities of a network beside the truth, from a CSV file, rounded as the runtime does before it decides."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_sacro.decide import PROBABILITY_DECIMALS, rounded
from edge_sacro.errors import CalibrationRefused, UsageError

STEPS: int = 10**PROBABILITY_DECIMALS
"""Steps between the probabilities 0 and 1."""

LEAST = 20
"""Images of each class below which no cut-off is chosen."""


@dataclass(frozen=True)
class Scores:
    """One row an image.

    Attributes:
        positive: n booleans, the truth.
        steps: n integers, the probability times ``STEPS``.
        patients: n integers from 0, equal where images are of one patient.
        sha256: of the file; empty where there is none.
    """

    positive: npt.NDArray[np.bool_]
    steps: npt.NDArray[np.int64]
    patients: npt.NDArray[np.int64]
    sha256: str = ""

    def __post_init__(self) -> None:
        for name, count in (("positive", self.positive.sum()), ("negative", (~self.positive).sum())):
            if count < LEAST:
                raise CalibrationRefused(
                    f"{count} images are {name}, and {LEAST} of each class are needed",
                    remedy="Give the scores of more images.",
                )

    @property
    def patient_count(self) -> int:
        """How many patients the images are of."""
        return len(np.unique(self.patients))


def scores_from_arrays(
    positive: Sequence[bool] | npt.NDArray[np.bool_],
    probabilities: Sequence[float] | npt.NDArray[np.float64],
    patients: Sequence[str] | None = None,
) -> Scores:
    """Scores of images in memory.

    Args:
        positive: n booleans, the truth.
        probabilities: n numbers of 0 to 1; rounded as the runtime does.
        patients: n names; where None, each image is of another patient.

    Raises:
        CalibrationRefused: fewer than ``LEAST`` images of a class.
    """
    steps = np.array([round(rounded(float(each)) * STEPS) for each in probabilities], np.int64)
    names = np.arange(len(steps)) if patients is None else np.unique(list(patients), return_inverse=True)[1]
    return Scores(np.array(positive, np.bool_), steps, names.astype(np.int64))


def scores_from_csv(path: Path) -> Scores:
    """Read a CSV file with a heading: ``truth`` (0 or 1), ``score`` (0 to 1), and ``group`` or ``id`` of the patient.

    Other columns are left alone. Where both ``group`` and ``id`` are there, ``group`` tells patients apart.

    Raises:
        UsageError: a column is missing or twice there, or a value is none; the message has the line.
        CalibrationRefused: fewer than ``LEAST`` images of a class.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", source=str(path)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"it is no UTF-8 text: {error.reason} at byte {error.start}", source=str(path)) from error
    rows = csv.DictReader(io.StringIO(text), strict=True)
    names = [name.strip() for name in rows.fieldnames or []]
    rows.fieldnames = names
    for name in ("truth", "score", "group", "id"):
        if names.count(name) > 1 or (name in {"truth", "score"} and name not in names):
            remedy = "Begin the file with a line of headings: truth,score or truth,score,group."
            what = "is there twice" if name in names else "is missing"
            raise UsageError(f"the column {name!r} {what}; it has {names}", source=str(path), remedy=remedy)
    grouped = next((name for name in ("group", "id") if name in names), None)
    truths, steps, patients = [], [], []
    try:
        for row in rows:
            place = f"{path}: line {rows.line_num}"
            if None in row or None in row.values():
                raise UsageError(f"it has not the {len(names)} fields of the heading", source=place)
            truths.append(_truth(row["truth"], place))
            steps.append(_steps(row["score"], place))
            patients.append(_patient(row[grouped], place) if grouped else str(rows.line_num))
    except csv.Error as error:
        raise UsageError(f"it is no CSV: {error}", source=f"{path}: line {rows.line_num}") from error
    try:
        return Scores(
            np.array(truths, np.bool_),
            np.array(steps, np.int64),
            np.unique(patients, return_inverse=True)[1].astype(np.int64) if patients else np.empty(0, np.int64),
            hashlib.sha256(content).hexdigest(),
        )
    except CalibrationRefused as error:
        raise error.with_source(str(path)) from error


def _truth(text: str, place: str) -> bool:
    if text.strip() not in {"0", "1"}:
        raise UsageError(f"truth is {text!r}, and must be 0 or 1", source=place, remedy="Mend the line.")
    return text.strip() == "1"


def _steps(text: str, place: str) -> int:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        value = Decimal("NaN")
    if value.is_nan() or not 0 <= value <= 1:
        raise UsageError(f"score is {text!r}, and must be a number of 0 to 1", source=place, remedy="Mend the line.")
    return round(rounded(float(value)) * STEPS)


def _patient(text: str, place: str) -> str:
    if not text.strip():
        raise UsageError("the patient's name is empty", source=place, remedy="Mend the line.")
    return text.strip()
