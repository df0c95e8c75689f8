import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from mnv3prof.record.run import Timing
from mnv3prof.record.stats import drifts, median, median_interval, outliers, quantile, summarize, thinned

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


@given(st.permutations(range(300)), st.integers(1, 50), st.floats(0, 1, exclude_max=True))
def test_thinned_samples_are_in_order_and_evenly_spread_over_their_ranks(values, most, shift):
    kept = thinned(values, most, shift)
    assert list(kept) == [value for value in values if value in kept]
    each = 300 / most
    ranks = sorted(kept)
    assert len(ranks) == most
    assert all(n * each - 1 < rank < (n + 1) * each + 1e-6 for n, rank in enumerate(ranks))


def test_few_samples_are_all_kept():
    assert thinned([3.0, 1.0, 2.0], 3) == (3.0, 1.0, 2.0)
    assert thinned([], 3) == ()


def test_shifts_give_every_sample_the_same_chance_but_the_middle_one():
    kept = np.bincount([v for n in range(1000) for v in thinned(range(40), 9, n * 0.618034 % 1)]) / 1000
    assert kept[20] == 1.0
    assert kept[:16] == pytest.approx([9 / 40] * 16, abs=0.01)
    assert kept[27:] == pytest.approx([9 / 40] * 13, abs=0.01)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=60), st.integers(0, 4), st.floats(0, 1, exclude_max=True)
)
def test_the_middle_of_an_odd_number_stays_however_often_it_is_thinned(values, half, shift):
    odd = values[: len(values) - 1 + len(values) % 2]
    once = thinned(odd, 2 * half + 11, shift)
    assert median(once) == median(odd)
    assert median(thinned(once, 9, shift)) == median(odd)


def _visited(*visits):
    return Timing(
        backend="x",
        part="1",
        samples_s=tuple(s for v in visits for s in v),
        visits=tuple(map(len, visits)),
        stopped="steady",
    )


def test_disturbed_visits_are_set_aside_and_counted():
    quiet, loud = (1.0, 1.01, 1.02), (1.0, 1.4, 1.5)
    timing = _visited(*[quiet] * 6, loud, loud)
    assert timing.disturbed == 2
    assert timing.counting == quiet * 6
    assert timing.summary == _visited(*[quiet] * 6).summary
    assert timing.summary.median == 1.01
    assert not timing.summary.noisy
    assert len(timing.samples_s) == 24  # nothing is thrown away


def test_a_visit_within_seven_percent_of_the_quickest_counts():
    assert _visited(*[(1.0,)] * 6, (1.07,), (1.0700001,)).counting == (1.0,) * 6 + (1.07,)


def test_one_lucky_visit_does_not_make_a_figure():
    lucky = _visited((1.0,), *[(1.2 + n / 100,) for n in range(30)])
    assert lucky.summary.visits == 6
    assert lucky.seconds == pytest.approx(1.215)
    assert lucky.summary.noisy


def test_figures_that_rest_on_few_visits_are_noisy_however_many_samples_they_have():
    quiet, loud = (1.0,) * 100, (1.2,) * 100
    assert _visited(*[quiet] * 5, *[loud] * 20).summary.noisy
    assert not _visited(*[quiet] * 6, *[loud] * 20).summary.noisy


def test_the_interval_is_that_of_visits_whose_samples_are_alike():
    """Between visits of a machine that wanders, calls say little of how sure their median is."""
    chance = np.random.default_rng(0)
    hits = dict.fromkeys(("visits", "samples"), 0)
    for _ in range(300):
        states = 1 + chance.uniform(-0.02, 0.02, 12)
        found = _visited(*[tuple(chance.normal(state, 0.002, 30)) for state in states])
        hits["visits"] += found.summary.low <= 1 <= found.summary.high
        alone = summarize(found.samples_s)
        hits["samples"] += alone.low <= 1 <= alone.high
    assert hits["visits"] >= 0.93 * 300
    assert hits["samples"] < 0.75 * 300


@given(st.lists(st.lists(st.floats(1e-6, 1e-3), min_size=1, max_size=9), min_size=1, max_size=40))
def test_visits_divide_the_samples(visits):
    timing = _visited(*map(tuple, visits))
    assert timing.taken == tuple(map(tuple, visits))
    assert 0 <= timing.disturbed < len(visits)
    assert timing.summary.low <= timing.summary.median <= timing.summary.high
    assert timing.summary.count == len(timing.counting)


def test_samples_without_visits_stand_on_their_own():
    timing = Timing(backend="x", part="1", samples_s=(1.0, 2.0, 3.0))
    assert (timing.taken, timing.disturbed, timing.counting) == ((), 0, (1.0, 2.0, 3.0))
    assert timing.summary == summarize([1.0, 2.0, 3.0])


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
