"""From a probability to a state, in decimal arithmetic, so that a threshold is exactly what its source prints."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from edge_sacro.types import OperatingPoint, State

PROBABILITY_DECIMALS = 4
"""Decimals that are kept. Float32 networks agree far below it between thread counts; see docs/determinism.md."""

HIGH_RISK = OperatingPoint("high_risk", 0.7, "Dorfner 2024, 2.5 Follow-up analysis: confident above 0.7")


@dataclass(frozen=True)
class Rule:
    """How one runtime decides.

    Attributes:
        point: positive above its threshold, strictly.
        guard_band: half-width of the ``borderline`` range around the threshold; 0 for none.
        high_risk: above it the system's publication calls a prediction confident; None where it has no such rule.
    """

    point: OperatingPoint
    guard_band: float
    high_risk: OperatingPoint | None = None

    def state(self, probability: float) -> State:
        """The state of an image or a joint."""
        return state_from_probability(probability, self.point, self.guard_band)

    def is_high_risk(self, probability: float) -> bool | None:
        """Whether the prediction is confident, None where the publication has no such rule."""
        return None if self.high_risk is None else is_high_risk(probability, self.high_risk)

    def sentence(self, probability: float) -> str:
        """The decision in words."""
        cut_off = f"the cut-off {self.point.threshold:g} ({self.point.name})"
        state = self.state(probability)
        if state is State.BORDERLINE:
            within = f"probability {probability:.4f} is within {self.guard_band:g} of {cut_off}"
            return f"{within}: no decision can be relied on"
        return f"probability {probability:.4f} is {'above' if state is State.POSITIVE else 'not above'} {cut_off}"


def rounded(probability: float) -> float:
    """The probability as it is reported and decided on: half-even to ``PROBABILITY_DECIMALS`` decimals."""
    return float(_decimal(probability))


def state_from_probability(probability: float, operating_point: OperatingPoint, guard_band: float) -> State:
    """Decide.

    Args:
        probability: of radiographic sacroiliitis, 0 to 1.
        operating_point: positive above its threshold, strictly.
        guard_band: half-width of the ``borderline`` range around the threshold, ends included; 0 for none.
    """
    distance = _decimal(probability) - Decimal(str(operating_point.threshold))
    if guard_band > 0 and abs(distance) <= Decimal(str(guard_band)):
        return State.BORDERLINE
    return State.POSITIVE if distance > 0 else State.NEGATIVE


def is_high_risk(probability: float, high_risk: OperatingPoint = HIGH_RISK) -> bool:
    """Whether the publication would call the prediction confident. It is no part of the state."""
    return _decimal(probability) > Decimal(str(high_risk.threshold))


def _decimal(probability: float) -> Decimal:
    return Decimal(probability).quantize(Decimal(1).scaleb(-PROBABILITY_DECIMALS), ROUND_HALF_EVEN)
