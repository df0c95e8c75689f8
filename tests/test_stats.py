from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from runs import burst, launches, timing
from scipy import stats as scipy_stats

from mnv3prof.bench.schedule import CONVERGED
from mnv3prof.device.clock import CANARY, OTHERS, WAITS
from mnv3prof.device.samples import median, outliers, quantile, thinned
from mnv3prof.record.stats import LAUNCH_SD, drifts, median_interval, summarize
from mnv3prof.record.timing import Launch

samples = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60)


@given(samples, st.floats(0, 1))
def test_quantiles_are_numpys(values: Any, share: Any) -> None:
    assert quantile(sorted(values), share) == pytest.approx(np.quantile(values, share), rel=1e-9)


def _each(values: Any) -> Any:
    """The summary of values of which each is a burst."""
    return summarize([[[value] for value in values[n : n + 2]] for n in range(0, len(values), 2)])


@given(samples)
def test_a_summary_is_numpys(values: Any) -> None:
    found = summarize([[[value]] for value in values])
    low, quarter, middle, three, high = np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9])
    assert (found.p10, found.median, found.p90) == pytest.approx((low, middle, high))
    assert found.iqr == pytest.approx(three - quarter, abs=1e-9)
    assert found.low <= found.median <= found.high
    assert found.bursts == len(values)


@pytest.mark.parametrize("count", [6, 7, 10, 15, 20, 31, 50, 100, 200, 1000])
def test_the_interval_covers_the_median_with_95_percent(count: int) -> None:
    """P(low < median < high) by the exact binomial distribution of samples below the median."""
    low, high = median_interval(count)
    covered = scipy_stats.binom.cdf(high, count, 0.5) - scipy_stats.binom.cdf(low, count, 0.5)
    assert covered >= 0.945
    assert low + high == count - 1  # as far to one side as to the other


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_samples_are_bounded_by_all_of_them(count: int) -> None:
    assert median_interval(count) == (0, count - 1)


def test_the_interval_really_covers_the_median_of_skewed_samples() -> None:
    chance = np.random.default_rng(0)
    truth = np.log(2)  # of the exponential distribution
    hits = sum(
        s.low <= truth <= s.high for s in (_each(chance.exponential(size=40).tolist()) for _ in range(2000))
    )
    assert hits / 2000 >= 0.94


def test_noise_is_a_wide_spread_or_a_wide_interval() -> None:
    assert not _each([1.0] * 50).noisy
    assert not _each([1.0, 1.01, 1.02] * 20).noisy
    assert _each([1.0] * 40 + [1.3] * 20).noisy  # a third is 30 % above: half of p90 - p10 is 15 %
    assert not _each([1.0] * 59 + [100.0]).noisy  # one outlier is no noise
    assert _each([1.0, 1.12]).noisy  # two samples say little


@pytest.mark.parametrize("count", range(1, 9))
def test_bursts_too_few_for_an_interval_are_noisy_however_alike(count: Any) -> None:
    """The extremes of n bursts hold the median between them with 1 - 2 / 2^n."""
    found = _each([1.0] * count)
    assert found.noisy is (1 - 2 / 2**count < 0.95)
    assert (found.interval < float("inf")) is not found.noisy


def test_no_samples_have_no_summary() -> None:
    with pytest.raises(ValueError, match="no samples"):
        summarize([])
    with pytest.raises(ValueError, match="no samples"):
        summarize([[[1.0], []]])
    with pytest.raises(ValueError, match="no samples"):
        summarize([[[1.0]], []])
    assert timing("x", "1").summary is None


@given(st.permutations(range(300)), st.integers(1, 50), st.floats(0, 1, exclude_max=True))
def test_thinned_samples_are_ascending_and_evenly_spread_over_their_ranks(
    values: Any, most: Any, shift: Any
) -> None:
    kept = thinned(values, most, shift)
    each = 300 / most
    assert len(kept) == most
    assert list(kept) == sorted(kept)
    assert all(n * each - 1 < rank < (n + 1) * each + 1e-6 for n, rank in enumerate(kept))


def test_few_samples_are_all_kept() -> None:
    assert thinned([3.0, 1.0, 2.0], 3) == (1.0, 2.0, 3.0)
    assert thinned([], 3) == ()


def test_shifts_give_every_sample_the_same_chance_but_the_middle_one() -> None:
    kept = np.bincount([v for n in range(1000) for v in thinned(range(40), 9, n * 0.618034 % 1)]) / 1000
    assert kept[20] == 1.0
    assert kept[:16] == pytest.approx([9 / 40] * 16, abs=0.01)
    assert kept[27:] == pytest.approx([9 / 40] * 13, abs=0.01)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=60), st.integers(0, 4), st.floats(0, 1, exclude_max=True)
)
def test_the_middle_of_an_odd_number_stays(values: Any, half: Any, shift: Any) -> None:
    odd = values[: len(values) - 1 + len(values) % 2]
    assert median(thinned(odd, 2 * half + 1, shift)) == median(odd)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_quantiles_of_pooled_bursts_are_those_of_all_their_calls(share: float) -> None:
    """Nine values of each of 50 bursts represent 100 calls each, of a skewed distribution."""
    chance = np.random.default_rng(0)
    bursts = [chance.gamma(4, size=100) for _ in range(50)]
    kept = sorted(v for n, burst in enumerate(bursts) for v in thinned(burst, 9, n * 0.618034 % 1))  # type: ignore[arg-type]
    assert quantile(kept, share) == pytest.approx(np.quantile(np.concatenate(bursts), share), rel=0.02)


def _middle(calls: Any) -> Any:
    """The median, or of a long even number of calls the upper one of the two in the middle."""
    return sorted(calls)[len(calls) // 2] if len(calls) > 9 else median(calls)


def _bursts(*bursts: Any) -> Any:
    return timing("x", "1", [call for burst in bursts for call in burst], calls=[*map(len, bursts)])


def _crowded(many: Any, clear: int = 0, threads: int = 1, **fields: Any) -> Any:
    """Bursts of 1.4 s that other load delayed, and clear ones of 1 s."""
    taken = [burst([1.4] * 3, 0.7)] * many + [burst([1.0] * 3)] * clear
    made = [replace(each, **fields) for each in taken[:many]] + taken[many:]
    return replace(timing("x", "1", threads=threads), launches=(Launch(tuple(made)),))


def test_contended_bursts_are_excluded_and_counted() -> None:
    found = _crowded(2, clear=6)
    assert found.excluded == 2
    assert not found.contended
    assert found.samples == (1.0,) * 18
    assert found.summary.median == 1.0
    assert found.calls == 24  # nothing is thrown away
    assert len(found.bursts) == 8
    assert _crowded(9, clear=6).uncut_median == 1.4


def test_no_burst_is_excluded_for_its_own_time() -> None:
    slow = _bursts(*[(1.0,)] * 6, *[(3.0,)] * 6)
    assert slow.excluded == 0
    assert slow.seconds == 2.0
    assert slow.summary.noisy


def test_where_too_few_would_be_left_all_bursts_are_kept_and_called_contended() -> None:
    found = _crowded(7, clear=5)
    assert found.excluded == 0
    assert found.contended
    assert not _crowded(0, clear=3).contended
    assert _crowded(3).contended


@pytest.mark.parametrize(
    ("fields", "threads", "contended"),
    [
        ({"cpu_s": 0.94, "mean_s": 1.0, "max_s": 2.0}, 1, True),
        ({"cpu_s": 0.95, "mean_s": 1.0, "max_s": 2.0}, 1, False),
        ({"switches": 0}, 1, False),  # it waits for a GPU
        ({"switches": None}, 1, False),  # nobody counted
        ({"switches": 848}, 2, True),  # of 3 calls of 1.4 s, each thread 100 times a second
        ({"switches": 820}, 2, False),
        ({"cpu_s": 0.1, "switches": 1, "state": {WAITS: 3.0}}, 1, False),  # it waits for a GPU
        ({"cpu_s": 0.1, "switches": 1, "state": {WAITS: 2.0}}, 1, True),
        ({"switches": 0, "state": {OTHERS: 0.10}}, 1, True),
        ({"switches": 0, "state": {OTHERS: 0.10}}, 2, True),
        ({"switches": 0, "state": {OTHERS: 0.099, "celsius": 60.0}}, 1, False),
    ],
)
def test_a_burst_is_contended_where_other_load_took_the_cpu(
    fields: Any, threads: int, contended: bool
) -> None:
    found = _crowded(1, threads=threads, **{"wall_s": (0.9,), "calls": 3, "switches": 9, **fields})
    assert found.bursts[0].is_contended(threads) is contended


def test_a_burst_is_excluded_beside_which_the_cpu_itself_was_slower() -> None:
    taken = [
        replace(burst([1.0] * 3), state={CANARY: seconds}) for seconds in [1e-4] * 5 + [1.39e-4, 1.41e-4]
    ]
    found = replace(timing("x", "1"), launches=(Launch(tuple(taken[:3])), Launch(tuple(taken[3:]))))
    assert found.excluded == 1
    assert [found.is_slowed(each) for each in found.bursts] == [False] * 6 + [True]
    assert not found.contended
    kept = replace(found, launches=(Launch(tuple(taken[2:])),))
    assert kept.contended
    assert kept.excluded == 0


def test_the_interval_is_that_of_bursts_whose_calls_are_alike() -> None:
    """The noise between bursts, not between calls, decides the interval of the median."""
    chance = np.random.default_rng(0)
    hits = dict.fromkeys(("bursts", "calls"), 0)
    for _ in range(300):
        states = 1 + chance.uniform(-0.02, 0.02, 12)
        found = _bursts(*[tuple(chance.normal(state, 0.002, 30)) for state in states])
        hits["bursts"] += found.summary.low <= 1 <= found.summary.high
        alone = _each(found.samples)
        hits["calls"] += alone.low <= 1 <= alone.high
    assert hits["bursts"] >= 0.93 * 300
    assert hits["calls"] < 0.75 * 300


@given(st.lists(st.lists(st.floats(1e-6, 1e-3), min_size=1, max_size=40), min_size=1, max_size=40))
def test_bursts_hold_their_calls(taken: Any) -> None:
    found = _bursts(*taken)
    assert [burst.calls for burst in found.bursts] == [*map(len, taken)]
    assert [burst.median for burst in found.bursts] == [_middle(calls) for calls in taken]
    assert [burst.max_s for burst in found.bursts] == [max(calls) for calls in taken]
    assert 0 <= found.excluded < len(taken)
    assert found.summary.low <= found.summary.median <= found.summary.high
    assert found.summary.bursts == len(found.kept)
    assert found.cpu_per_wall == pytest.approx(1.0)


def test_processor_time_is_that_of_all_calls() -> None:
    fast, slow = launches([1.0] * 30, cpu=2.0), launches([3.0] * 10, cpu=0.5)
    found = replace(timing("x", "1"), launches=(*fast, *slow))
    assert found.cpu_per_wall == pytest.approx((30 * 2.0 + 10 * 1.5) / (30 + 30))


def test_outliers_by_hand() -> None:
    # Median 10, median absolute deviation 1: the limit is 14.8 / 0.6745 = 21.9 away.
    samples = [9, 10, 11, 9, 10, 11, 8, 12, 10, 31.9, 32.0]
    assert outliers(samples) == 1
    assert outliers([10.0] * 50) == 0
    assert outliers([10.0] * 50 + [10.3]) == 1


def test_drift_is_seen_where_stretches_differ_and_not_in_scatter() -> None:
    assert not drifts([1.0] * 200)
    assert not drifts([1.0, 1.3] * 100)
    assert drifts([1.0] * 130 + [1.2] * 70)
    assert drifts([1.2] * 7 + [1.0] * 8)
    assert not drifts([1.0] * 7 + [1.2] * 7)  # too few to tell
    assert not drifts([1.0] * 60 + [1.5] * 60 + [1.0] * 60)  # it came back
    assert drifts([1.0 + n / 500 for n in range(200)])
    assert not drifts([1.0] * 3)


def test_cpu_times_are_summarized_over_all_bursts_by_hand() -> None:
    """Twelve bursts of 1.4 s that got half of a CPU, in launches of two."""
    summary = _crowded(12, cpu_median_s=0.7).cpu_summary
    assert (summary.median, summary.bursts) == (pytest.approx(0.7), 12)
    assert timing("x", "1").cpu_summary is None


@pytest.mark.parametrize("disturbed", [0.0, 0.15, 0.30])
def test_the_interval_covers_the_undisturbed_median_though_sampling_ends_by_it(disturbed: float) -> None:
    """A median of 1 s, launches that differ by 1.2 % and bursts by 1 %; a disturbed burst takes up to half as
    long again, and other load took its CPU. Sampling is that of the scheduler: two rounds a launch.
    """
    chance = np.random.default_rng(7)
    covered, draws = 0, 400
    for _ in range(draws):
        taken: list[Any] = []
        found = timing("x", "1")
        for number in range(20):
            if number % 2 == 0:
                level = np.exp(chance.normal(0, LAUNCH_SD))
                taken.append([])
            slower, cpu = (1 + chance.uniform(0, 0.5), 0.8) if chance.random() < disturbed else (1.0, 1.0)
            calls = level * slower * np.exp(chance.normal(0, 0.01) + chance.normal(0, 0.003, 9))
            taken[-1].append(burst(calls.tolist(), cpu))
            found = replace(found, launches=tuple(Launch(tuple(each)) for each in taken))
            if found.summary.interval <= CONVERGED and not found.contended:
                break
        covered += found.summary.low <= 1 <= found.summary.high
    assert covered >= 0.93 * draws
