"""Comparisons: known ratios are found, noise is not taken for a difference, unlike things are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_sacro.benchmark import compare as module
from edge_sacro.benchmark.compare import check_ratio, compare, ratio_interval
from edge_sacro.benchmark.text import text_from_comparison
from edge_sacro.errors import BudgetBroken, UsageError
from tests.benchmark.documents import document


def _times(seed: int, factor: float = 1.0, count: int = 100) -> list[float]:
    found: list[float] = (factor * np.random.default_rng(seed).lognormal(3.0, 0.1, count)).tolist()
    return found


def test_a_slower_and_a_faster_stage_are_told_with_intervals_that_hold_the_truth() -> None:
    a = document({"read": _times(1), "segment": _times(2), "total": _times(3)})
    b = document({"read": _times(4, 1.2), "segment": _times(5, 0.5), "total": _times(6)})
    found = {each.stage: each for each in compare(a, b).stages}
    assert found["read"].verdict == "slower"
    assert found["segment"].verdict == "faster"
    for stage, truth in (("read", 1.2), ("segment", 0.5), ("total", 1.0)):
        interval = found[stage].interval
        assert interval is not None
        assert interval[0] < truth < interval[1]
        assert interval[1] - interval[0] < 0.2 * truth, "an interval that says nothing would hold any truth"
    assert found["segment"].ratio == pytest.approx(found["segment"].b_ms / found["segment"].a_ms)


def test_the_same_machine_twice_is_seldom_taken_for_a_difference() -> None:
    wrong = 0
    for seed in range(60):
        low, high = ratio_interval(_times(seed), _times(1000 + seed))
        wrong += not low <= 1 <= high
    assert wrong <= 9, "5 % of 60 are 3; 9 or fewer in 99.9 % of cases"


def test_work_that_lasts_longer_than_a_run_is_not_taken_for_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def drifting(seed: int) -> list[float]:
        random = np.random.default_rng(seed)
        level = np.repeat(random.lognormal(0.0, 0.15, 10), 10)
        found: list[float] = (20 * level * random.lognormal(0.0, 0.01, 100)).tolist()
        return found

    def wrong() -> int:
        count = 0
        for seed in range(60):
            low, high = ratio_interval(drifting(seed), drifting(1000 + seed))
            count += not low <= 1 <= high
        return count

    in_blocks = wrong()
    assert in_blocks <= 15

    def one_by_one(values: Any, random: np.random.Generator) -> Any:
        return np.median(random.choice(values, (module.DRAWS, len(values))), axis=1)

    monkeypatch.setattr(module, "_medians", one_by_one)
    assert wrong() > in_blocks + 10, "drawing runs one by one is wrong far more often"


def test_few_runs_and_busy_machines_cannot_tell() -> None:
    few = compare(document({"total": _times(1, count=9)}), document({"total": _times(2, 9.0, count=50)}))
    assert few.total.interval is None
    assert "10 runs of each" in few.total.verdict
    busy = document({"total": _times(2, 9.0)}, machine={"others_share": 0.4})
    quiet = document({"total": _times(1)})
    assert compare(quiet, busy).total.verdict == module.NOT_IDLE
    assert compare(quiet, busy, force=True).total.verdict == "slower"


def test_a_stage_too_short_for_the_clock_cannot_be_told() -> None:
    a = document({"crop": [0.0] * 20, "total": _times(1, count=20)})
    (crop, total) = compare(a, a).stages
    assert "too short" in crop.verdict
    assert total.ratio == 1.0


def test_other_bundles_and_other_inputs_are_refused_unless_forced() -> None:
    a = document({"total": _times(1)})
    other_bundle = document({"total": _times(1)}, fingerprint="e" * 64)
    changed = [each.model_copy(update={"sha256": "c" * 64}) for each in a.inputs]
    other_input = a.model_copy(update={"inputs": changed})
    for other, words in ((other_bundle, "bundles differ"), (other_input, "files differ, though not their pixels")):
        with pytest.raises(UsageError, match=words):
            compare(a, other)
        assert any(words in note for note in compare(a, other, force=True).notes)


def test_what_else_differs_is_noted_and_stages_of_one_alone_too() -> None:
    a = document({"read": _times(1), "total": _times(1)})
    b = document({"crop": _times(1), "total": _times(1)}, machine={"power_mode": "15W (0)"})
    b = b.model_copy(update={"setup": b.setup.model_copy(update={"precision": "int8"})})
    text = text_from_comparison(compare(a, b))
    for words in ("precision: A has fp32, B has int8", "power mode", "'read' is in A alone", "'crop' is in B alone"):
        assert words in text


def test_a_limit_breaks_only_where_the_whole_interval_is_above_it() -> None:
    a, b = document({"total": _times(1)}), document({"total": _times(2, 1.2)})
    found = compare(a, b)
    assert found.total.interval is not None
    low, high = found.total.interval
    check_ratio(found, high)
    check_ratio(found, (low + high) / 2)
    with pytest.raises(BudgetBroken, match="times as long") as broken:
        check_ratio(found, low - 0.001)
    assert broken.value.exit_code == 83
    with pytest.raises(UsageError, match="no limit"):
        check_ratio(compare(document({"total": [1.0]}), b), 1.1)


def test_no_limit_is_held_against_a_machine_that_was_not_idle() -> None:
    a, b = document({"total": _times(1)}), document({"total": _times(2, 9.0)}, machine={"others_share": 0.4})
    with pytest.raises(UsageError, match="not idle, so that no limit"):
        check_ratio(compare(a, b), 1.1)
    with pytest.raises(BudgetBroken):
        check_ratio(compare(a, b, force=True), 1.1)
