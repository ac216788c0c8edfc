"""Quantiles are NumPy's and SciPy's, and are refused where so few runs bear none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mstats

from edge_sacro.benchmark.quantiles import LEVELS, quantiles_from_samples, rounded


@pytest.mark.parametrize("count", [100, 101, 537])
def test_quantiles_are_those_of_numpy_and_scipy(count: int) -> None:
    samples = np.random.default_rng(count).lognormal(3.0, 0.7, count)
    found = quantiles_from_samples(samples.tolist())
    for name, (level, _) in LEVELS.items():
        expected = np.quantile(samples, level)
        (by_scipy,) = mstats.mquantiles(samples, [level], alphap=1, betap=1)
        assert getattr(found, name) == pytest.approx(expected, abs=6e-4)
        assert by_scipy == pytest.approx(expected)
        (other,) = mstats.mquantiles(samples, [level], alphap=0, betap=0)
        assert level == 0.5 or getattr(found, name) != pytest.approx(other, abs=6e-4), "another definition would show"
    assert found.max == pytest.approx(samples.max(), abs=6e-4)
    assert found.reasons == {}


def test_p99_of_fewer_than_a_hundred_runs_is_null_with_the_reason() -> None:
    found = quantiles_from_samples(list(range(1, 100)))
    assert found.p99 is None
    assert found.reasons == {"p99": "p99 needs 100 runs, and there are 99"}
    assert found.p90 is not None
    assert quantiles_from_samples(list(range(1, 101))).p99 is not None


def test_p90_of_fewer_than_ten_runs_is_null_and_a_median_is_always_told() -> None:
    found = quantiles_from_samples([5.0, 7.0])
    assert (found.p50, found.p90, found.p99, found.max, found.n) == (6.0, None, None, 7.0, 2)
    assert set(found.reasons) == {"p90", "p99"}


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")], [float("inf")]])
def test_no_value_and_no_number_are_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="no quantiles"):
        quantiles_from_samples(samples)


def test_small_numbers_keep_four_digits_and_large_ones_microseconds() -> None:
    assert rounded(0.000123456) == 0.0001235
    assert rounded(123.4567891) == 123.457
    assert rounded(0.0) == 0.0
