from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from mnv3prof.record.run import Timing, thinned
from mnv3prof.record.stats import drifts, median_interval, outliers, quantile, summarize

samples = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60)


@given(samples, st.floats(0, 1))
def test_quantiles_are_numpys(values, share):
    assert quantile(sorted(values), share) == pytest.approx(np.quantile(values, share), rel=1e-9)


@given(samples)
def test_a_summary_is_numpys(values):
    found = summarize(values)
    low, quarter, middle, three, high = np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9])
    assert (found.p10, found.median, found.p90) == pytest.approx((low, middle, high))
    assert found.iqr == pytest.approx(three - quarter, abs=1e-9)
    assert found.low <= found.median <= found.high
    assert found.count == len(values)


@pytest.mark.parametrize("count", [6, 7, 10, 15, 20, 31, 50, 100, 200, 1000])
def test_the_interval_covers_the_median_with_95_percent(count):
    """P(low < median < high) by the exact binomial distribution of samples below the median."""
    low, high = median_interval(count)
    covered = scipy_stats.binom.cdf(high, count, 0.5) - scipy_stats.binom.cdf(low, count, 0.5)
    assert covered >= 0.945
    assert low + high == count - 1  # as far to one side as to the other


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_samples_are_bounded_by_all_of_them(count):
    assert median_interval(count) == (0, count - 1)


def test_the_interval_really_covers_the_median_of_skewed_samples():
    chance = np.random.default_rng(0)
    truth = np.log(2)  # of the exponential distribution
    hits = sum(
        s.low <= truth <= s.high
        for s in (summarize(chance.exponential(size=40).tolist()) for _ in range(2000))
    )
    assert hits / 2000 >= 0.94


def test_noise_is_a_wide_spread_or_a_wide_interval():
    assert not summarize([1.0] * 50).noisy
    assert not summarize([1.0, 1.01, 1.02] * 20).noisy
    assert summarize([1.0] * 40 + [1.3] * 20).noisy  # the upper quartile is 30 % above
    assert not summarize([1.0] * 59 + [100.0]).noisy  # one outlier is no noise
    assert summarize([1.0, 1.12]).noisy  # two samples say little


@pytest.mark.parametrize("count", range(1, 9))
def test_samples_too_few_for_an_interval_are_noisy_however_alike(count):
    """The extremes of n samples hold the median between them with 1 - 2 / 2^n."""
    found = summarize([1.0] * count)
    assert found.noisy is (1 - 2 / 2**count < 0.95)
    assert found.interval == (float("inf") if found.noisy else 0.0)


def test_no_samples_have_no_summary():
    with pytest.raises(ValueError, match="no samples"):
        summarize([])
    assert Timing(backend="x", part="1").summary is None


@given(st.integers(0, 1000), st.integers(1, 50))
def test_thinned_samples_are_evenly_spread(count, most):
    kept = thinned(range(count), most)
    assert len(kept) == min(count, most)
    gaps = {b - a for a, b in pairwise(kept)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_outliers_by_hand():
    # Median 10, median absolute deviation 1: the limit is 14.8 / 0.6745 = 21.9 away.
    samples = [9, 10, 11, 9, 10, 11, 8, 12, 10, 31.9, 32.0]
    assert outliers(samples) == 1
    assert outliers([10.0] * 50) == 0
    assert outliers([10.0] * 50 + [10.3]) == 1


def test_drift_is_seen_where_stretches_differ_and_not_in_scatter():
    assert not drifts([1.0] * 200)
    assert not drifts([1.0, 1.3] * 100)
    assert drifts([1.0] * 150 + [1.2] * 50)
    assert drifts([1.0 + n / 500 for n in range(200)])
    assert not drifts([1.0] * 3)
