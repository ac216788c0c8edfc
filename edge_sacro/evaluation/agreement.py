"""Decisions beside truth: counts, exact intervals, and McNemar's test of two models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_sacro.evaluation.curves import Booleans, Floats


def cells_of_cases(called: Booleans, positive: Booleans) -> Floats:
    """4 x n: whether each case is a true positive, false positive, false negative or true negative."""
    return np.stack([called & positive, called & ~positive, ~called & positive, ~called & ~positive]).astype(np.float64)


@dataclass(frozen=True)
class McNemar:
    """Cases on which one of two models is right, and the exact test of whether both are so as often.

    McNemar, Psychometrika 12, 1947, 153-157; exact by the binomial distribution of the discordant cases.

    Attributes:
        first, second: cases on which only the first, only the second model is right.
        p: two-sided; 1 where there is none.
    """

    first: int
    second: int
    p: float


def mcnemar_from_decisions(first: Booleans, second: Booleans, positive: Booleans) -> McNemar:
    """The test, from both models' decisions on n cases."""
    a, b = first == positive, second == positive
    only_first, only_second = int((a & ~b).sum()), int((~a & b).sum())
    return McNemar(only_first, only_second, _even_odds(only_first, only_second))


def _even_odds(first: int, second: int) -> float:
    """Two-sided chance of so uneven a split, or a worse one, where each case falls to either side alike."""
    total, fewer = first + second, min(first, second)
    tail, ways = 0, 1
    for successes in range(fewer + 1):
        tail += ways
        ways = ways * (total - successes) // (successes + 1)
    return min(1.0, float(2 * tail / 2**total))
