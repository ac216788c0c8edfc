"""The ledger's tests of change: SciPy as an oracle, silence where nothing changed, a warning where something did."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy import special, stats

from edge_sacro.ledger.entry import Entry
from edge_sacro.ledger.trend import (
    LEAST,
    MEASURES,
    SHADOW_MEAN,
    fisher_exact,
    kolmogorov_smirnov,
    trends_from_entries,
)

Change = Callable[[Entry], Entry]


def drawn(random: np.random.Generator, count: int, change: Change | None = None) -> list[Entry]:
    """Answers of one clinic; ``change`` is what happened to it."""
    found = []
    for _ in range(count):
        probability = round(float(random.beta(0.6, 1.2)), 4)
        lost = random.random() < 0.04
        entry = Entry(
            day="2026-01-01",
            bundle="b",
            backend="onnxruntime",
            precision="int8",
            equipment=str(random.integers(2)),
            state="not_assessable" if lost else "positive" if probability > 0.59 else "negative",
            reason_code="no_contact" if lost else None,
            probability=None if lost else probability,
            left_mm=float(random.normal(66, 5)),
            right_mm=float(random.normal(66, 5)),
            crop_part=float(random.normal(0.07, 0.004)),
            gray_low=float(random.normal(10, 4)),
            gray_middle=float(random.normal(100, 15)),
            gray_high=float(random.normal(190, 20)),
            kvp=float(random.choice([70, 73, 77, 80])),
            exposure_index=float(random.lognormal(6, 0.3)),
            total_ms=float(random.normal(200, 20)),
            cutoff=0.59,
        )
        found.append(entry if change is None else change(entry))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_kolmogorov_smirnov_agrees_with_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.normal(size=120).round(1), random.normal(0.1 * seed, size=75).round(1)
    distance, p = kolmogorov_smirnov(list(first), list(second))
    known = stats.ks_2samp(first, second)
    assert distance == pytest.approx(known.statistic, abs=1e-12)
    assert p == pytest.approx(special.kolmogorov(distance * np.sqrt(120 * 75 / 195)), abs=1e-9)
    assert p != pytest.approx(special.kolmogorov(distance * np.sqrt(120)), abs=1e-9), "another size is noticed"


def test_two_samples_that_are_the_same_are_certainly_so() -> None:
    assert kolmogorov_smirnov([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "table", [((3, 200), (12, 100)), ((0, 200), (0, 100)), ((7, 50), (7, 50)), ((200, 200), (90, 100))]
)
def test_fisher_agrees_with_scipy(table: tuple[tuple[int, int], tuple[int, int]]) -> None:
    (a, n), (c, m) = table
    assert fisher_exact(*table) == pytest.approx(stats.fisher_exact([[a, n - a], [c, m - c]]).pvalue, rel=1e-9)


def test_a_clinic_that_does_not_change_is_seldom_warned() -> None:
    random = np.random.default_rng(1)
    warned = sum(bool(trends_from_entries(drawn(random, 300)).warnings) for _ in range(100))
    assert warned <= 3, "one in a hundred is what the tests allow"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("probability", lambda each: dataclasses.replace(each, probability=each.probability and each.probability**0.4)),
        ("gray, median", lambda each: dataclasses.replace(each, gray_middle=each.gray_middle + 20)),
        ("height of the left joint", lambda each: dataclasses.replace(each, left_mm=each.left_mm * 1.12)),
        ("exposure index", lambda each: dataclasses.replace(each, exposure_index=each.exposure_index * 1.6)),
        ("time", lambda each: dataclasses.replace(each, total_ms=each.total_ms * 1.5)),
        ("refused", lambda each: dataclasses.replace(each, state="refused") if each.gray_low > 13 else each),
    ],
)
def test_a_change_is_warned_of_by_its_name(name: str, change: Change) -> None:
    random = np.random.default_rng(2)
    entries = drawn(random, 200) + drawn(random, 100, change)
    warned = {each.name for each in trends_from_entries(entries).measures if each.warns}
    assert name in warned
    assert any(each.startswith(name) for each in trends_from_entries(entries).warnings)


def test_a_certain_effect_that_does_not_matter_is_no_warning() -> None:
    random = np.random.default_rng(3)
    faster = [
        dataclasses.replace(each, state="refused") if k % 14 == 0 else each
        for k, each in enumerate(drawn(random, 4000))
    ]
    entries = drawn(random, 4000) + faster
    (refused,) = (each for each in trends_from_entries(entries, 4000, 4000).measures if each.name == "refused")
    assert refused.p < 1e-9
    assert not refused.warns


def test_equipment_that_the_reference_does_not_know_is_warned_of() -> None:
    random = np.random.default_rng(4)
    new = drawn(random, 100, lambda each: dataclasses.replace(each, equipment="new" if each.equipment == "1" else "0"))
    trends = trends_from_entries(drawn(random, 200) + new)
    assert trends.strangers == pytest.approx(0.5, abs=0.15)
    assert any("equipment" in each for each in trends.warnings)
    assert not any("equipment" in each for each in trends_from_entries(drawn(random, 300)).warnings)


def test_a_new_bundle_begins_a_reference_of_its_own() -> None:
    random = np.random.default_rng(5)
    new = [dataclasses.replace(each, bundle="c", probability=0.9) for each in drawn(random, 100)]
    trends = trends_from_entries(drawn(random, 300) + new)
    assert (trends.bundle, trends.lines, trends.measures, trends.warnings) == ("c", 100, (), ())


def test_too_few_lines_say_nothing() -> None:
    random = np.random.default_rng(6)
    change = lambda each: dataclasses.replace(each, gray_middle=0.0)  # noqa: E731 - one line
    assert trends_from_entries(drawn(random, 200) + drawn(random, LEAST - 1, change)).measures == ()
    assert trends_from_entries(drawn(random, 200) + drawn(random, LEAST, change)).warnings
    assert trends_from_entries([]).lines == 0


def test_a_measure_that_no_line_has_is_left_out() -> None:
    random = np.random.default_rng(7)
    names = {each.name for each in trends_from_entries(drawn(random, 300)).measures}
    assert names == {each.name for each in MEASURES} - {"deviation index"}


@pytest.mark.parametrize(
    ("distance", "turned", "warns"), [(0.001, False, False), (SHADOW_MEAN * 2, False, True), (0.0, True, True)]
)
def test_the_shadow_warns_of_another_answer(distance: float, turned: bool, warns: bool) -> None:
    random = np.random.default_rng(8)
    entries = [dataclasses.replace(each, probability=0.3, shadow=0.3 + distance) for each in drawn(random, 40)]
    if turned:
        entries[7] = dataclasses.replace(entries[7], probability=0.6, shadow=0.589)
    shadow = trends_from_entries(entries).shadow
    assert shadow is not None
    assert (shadow.images, shadow.turned, shadow.warns) == (40, int(turned), warns)
