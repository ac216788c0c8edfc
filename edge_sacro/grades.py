"""Grades of the sacroiliac joints and the modified New York criterion: the one definition for reports and evaluation.

The radiographic criterion of van der Linden, Valkenburg and Cats, Arthritis Rheum 27(4), 1984, 361-368: grade 2 or more
on both sides, or grade 3 or more on one. Noh 2021 counts single joints instead: grade 2 or more is sacroiliitis.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_sacro.errors import UsageError

MEANINGS = (
    "normal",
    "suspicious changes",
    "minimal sclerosis with some erosion, joint width unchanged",
    "definite: sclerosis, erosions, joint width changed or partial ankylosis",
    "total ankylosis",
)
"""What each grade means, 0 to 4."""

CRITERION = "grade 2 or more on both sides, or grade 3 or more on one"
JOINT_CRITERION = "grade 2 or more"

Pair = tuple[int, int]
"""Grades of the patient's left and right joint."""


@dataclass(frozen=True)
class Verdict:
    """What the grades of both joints come to.

    Attributes:
        left_grade, right_grade: 0 to 4.
        definite: the modified New York criterion is met.
        grounds: which part of the criterion is met, or that none is.
        left_sacroiliitis, right_sacroiliitis: the truth for one joint by Noh 2021.
    """

    left_grade: int
    right_grade: int
    definite: bool
    grounds: str
    left_sacroiliitis: bool
    right_sacroiliitis: bool


def meaning_from_grade(grade: int) -> str:
    """What a grade means.

    Raises:
        UsageError: there is no such grade.
    """
    return MEANINGS[_checked(grade)]


def is_definite(left: int, right: int) -> bool:
    """Whether two grades meet the modified New York criterion.

    Raises:
        UsageError: there is no such grade.
    """
    low, high = sorted((_checked(left), _checked(right)))
    return low >= 2 or high >= 3


def is_sacroiliitis(grade: int) -> bool:
    """Whether one joint counts as positive by Noh 2021.

    Raises:
        UsageError: there is no such grade.
    """
    return _checked(grade) >= 2


def verdict_from_grades(left: int, right: int) -> Verdict:
    """The verdict, with its grounds.

    Raises:
        UsageError: there is no such grade.
    """
    met = []
    if min(_checked(left), _checked(right)) >= 2:
        met.append("grade 2 or more on both sides")
    if max(left, right) >= 3:
        met.append("grade 3 or more on one side")
    grounds = " and ".join(met) or "neither grade 2 or more on both sides nor grade 3 or more on one"
    return Verdict(left, right, is_definite(left, right), grounds, is_sacroiliitis(left), is_sacroiliitis(right))


def pairs_from_verdict(definite: bool) -> tuple[Pair, ...]:
    """Every pair of grades, left and right, that has this verdict: the way back from the criterion."""
    pairs = ((left, right) for left in range(len(MEANINGS)) for right in range(len(MEANINGS)))
    return tuple(pair for pair in pairs if is_definite(*pair) == definite)


def _checked(grade: int) -> int:
    if not 0 <= grade < len(MEANINGS):
        raise UsageError(f"there is no grade {grade}", remedy=f"Grades are 0 to {len(MEANINGS) - 1}.")
    return grade
