"""Decisions: decimal thresholds, strict, with a guard band."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sacro.decide import HIGH_RISK, Rule, is_high_risk, rounded, state_from_probability
from edge_sacro.systems import SYSTEMS
from edge_sacro.systems.dorfner2024 import ACCURACY_CUT_OFF, STANDARD_CUT_OFF
from edge_sacro.types import OperatingPoint, State

POINT = OperatingPoint("accuracy", 0.59, "Dorfner 2024")


@pytest.mark.parametrize(
    ("probability", "state"),
    [
        (0.0, State.NEGATIVE),
        (0.5899, State.NEGATIVE),
        (0.59, State.NEGATIVE),
        (0.59004, State.NEGATIVE),
        (0.59006, State.POSITIVE),
        (0.5901, State.POSITIVE),
        (1.0, State.POSITIVE),
    ],
)
def test_positive_is_strictly_above_the_cut_off_at_four_decimals(probability: float, state: State) -> None:
    assert state_from_probability(probability, POINT, 0.0) is state


@pytest.mark.parametrize(
    ("probability", "state"),
    [
        (0.5699, State.NEGATIVE),
        (0.57, State.BORDERLINE),
        (0.59, State.BORDERLINE),
        (0.61, State.BORDERLINE),
        (0.6101, State.POSITIVE),
    ],
)
def test_the_guard_band_holds_its_ends(probability: float, state: State) -> None:
    assert state_from_probability(probability, POINT, 0.02) is state


def test_a_float_of_another_precision_decides_alike() -> None:
    point = OperatingPoint("specificity", 0.787, "Bressem 2021")
    single = float(np.float32(0.787))
    assert single > 0.787, "the case is one in which binary floats would flip the decision"
    assert state_from_probability(single, point, 0.0) is State.NEGATIVE


def test_reported_probability_is_what_was_decided_on() -> None:
    assert rounded(0.590049) == 0.59
    assert rounded(0.59006) == 0.5901


def test_high_risk_is_above_seven_tenths_and_apart_from_the_state() -> None:
    assert not is_high_risk(0.7)
    assert is_high_risk(0.7001)
    assert state_from_probability(0.65, POINT, 0.0) is State.POSITIVE
    assert not is_high_risk(0.65)


def test_a_system_without_the_rule_of_the_follow_up_analysis_has_no_flag() -> None:
    assert Rule(POINT, 0.0).is_high_risk(0.9) is None
    assert Rule(POINT, 0.0, HIGH_RISK).is_high_risk(0.9) is True
    assert [name for name, system in SYSTEMS.items() if system.high_risk] == ["dorfner2024", "dorfner2024-standard"]


def test_the_sentence_says_what_the_state_says() -> None:
    rule = Rule(POINT, 0.02)
    assert rule.sentence(0.7) == "probability 0.7000 is above the cut-off 0.59 (accuracy)"
    assert "not above" in rule.sentence(0.5)
    assert "no decision can be relied on" in rule.sentence(0.6)


def test_published_cut_offs() -> None:
    assert ACCURACY_CUT_OFF.threshold == 0.59
    assert STANDARD_CUT_OFF.threshold == 0.69
