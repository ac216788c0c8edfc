"""How far a tensor is from its reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_sacro.evaluation import curves

Array = npt.NDArray[np.floating]

FAINT = 1e-3
"""Part of the strongest channel's range up to which another channel of an explanation says nothing."""


class Difference:
    """Differences of one tensor, pooled over the calls of a network.

    Attributes:
        max_abs: largest absolute difference.
    """

    def __init__(self) -> None:
        self.max_abs = 0.0
        self._count = 0
        self._squares = {"difference": 0.0, "reference": 0.0, "contender": 0.0, "product": 0.0}

    def add(self, reference: Array, contender: Array) -> None:
        """Take one more pair of arrays of one shape.

        Raises:
            ValueError: their shapes differ.
        """
        if reference.shape != contender.shape:
            raise ValueError(f"no difference of {reference.shape} and {contender.shape}")
        a, b = (array.astype(np.float64).ravel() for array in (reference, contender))
        difference = b - a
        self.max_abs = max(self.max_abs, float(np.abs(difference).max(initial=0.0)))
        self._count += a.size
        for name, value in (
            ("difference", difference @ difference),
            ("reference", a @ a),
            ("contender", b @ b),
            ("product", a @ b),
        ):
            self._squares[name] += float(value)

    @property
    def rms(self) -> float:
        """Root of the mean squared difference."""
        return float(np.sqrt(self._squares["difference"] / max(self._count, 1)))

    @property
    def relative_rms(self) -> float:
        """The same as a part of the reference's root mean square; where that is 0, 1 for any difference."""
        if self._squares["difference"] == 0:
            return 0.0
        reference = self._squares["reference"]
        return float(np.sqrt(self._squares["difference"] / reference)) if reference > 0 else 1.0

    @property
    def cosine(self) -> float:
        """Cosine of the angle between both, -1 to 1; 1 where both are zero, 0 where one is."""
        norms = self._squares["reference"] * self._squares["contender"]
        if norms == 0:
            return 1.0 if self._squares["difference"] == 0 else 0.0
        return float(np.clip(self._squares["product"] / np.sqrt(norms), -1.0, 1.0))


def map_agreement(reference: Array, contender: Array) -> tuple[float, float]:
    """How well explanations agree: the worst over their channels.

    Args:
        reference: (..., rows, columns).
        contender: of the same shape.

    Returns:
        Pearson's correlation, -1 to 1, where a map that is flat on one side alone counts as 0; and the distance
        between both maps' highest values, in cells. A channel that is ``FAINT`` on both sides says nothing and is left
        out: that of the class which a network is certain to be absent holds rounding alone.
    """
    rows, columns = reference.shape[-2:]
    pairs = list(zip(reference.reshape(-1, rows, columns), contender.reshape(-1, rows, columns), strict=True))
    faint = FAINT * max(float(np.ptp(a)) for a, _ in pairs)
    correlation, distance = 1.0, 0.0
    for a, b in pairs:
        ranges = [float(np.ptp(each)) for each in (a, b)]
        if max(ranges) <= faint:
            continue
        if min(ranges) == 0:
            correlation = 0.0
            continue
        correlation = min(correlation, float(np.corrcoef(a.ravel(), b.ravel())[0, 1]))
        peaks = [np.array(np.unravel_index(int(np.argmax(each)), each.shape)) for each in (a, b)]
        distance = max(distance, float(np.hypot(*(peaks[0] - peaks[1]))))
    return correlation, distance


def auc(scores: Array, truth: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve, by ranks: how often a positive scores above a negative, ties counting half.

    Args:
        scores: n probabilities.
        truth: n; at least one of each.

    Raises:
        ValueError: one class is absent.
    """
    area = curves.auc(np.asarray(scores, np.float64), truth)
    if area is None:
        raise ValueError("no area without positives and negatives")
    return area
