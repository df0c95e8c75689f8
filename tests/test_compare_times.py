"""The comparison of two timings: against published tables, enumeration, and simulated noise."""

import random
from itertools import combinations
from math import exp, log
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from runs import HOST, burst, made, timing
from scipy import stats as scipy_stats

from mnv3prof.analysis.compare import (
    MARGIN,
    by_interval,
    compare,
    compare_sums,
    limit_rank,
    other_machine,
    ratio_interval,
)
from mnv3prof.device.clock import OTHERS
from mnv3prof.graph.parts import NET
from mnv3prof.record.run import PeakRates, Runtime
from mnv3prof.record.stats import LAUNCH_SD, launch_reach, student
from mnv3prof.record.timing import Launch

RUN = made()
TIMES = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12)


def _launched(
    median_s: Any,
    launches: int = 3,
    bursts: int = 3,
    *,
    between: float = 0.0,
    within: float = 0.01,
    seed: Any = 0,
    cpu: float = 1.0,
    backend: str = "cpu",
    **fields: Any,
) -> Any:
    """A timing of the whole network whose launches and bursts differ by known standard deviations."""
    chance = random.Random(f"{seed} {median_s}")
    taken = []
    for _ in range(launches):
        level = median_s * exp(chance.gauss(0, between))
        taken.append(
            Launch(tuple(burst((level * exp(chance.gauss(0, within)),), cpu) for _ in range(bursts)))
        )
    return replace(timing(backend, NET, **fields), launches=tuple(taken))


def _change(old: Any, new: Any) -> Any:
    return compare(old, new, RUN, RUN)


# Mann and Whitney's limits


@pytest.mark.parametrize(
    ("first", "second", "critical"),
    [
        (6, 6, 5),
        (6, 7, 6),
        (7, 7, 8),
        (8, 8, 13),
        (9, 9, 17),
        (10, 10, 23),
        (10, 15, 39),
        (15, 15, 64),
        (20, 20, 127),
    ],
)
def test_limits_are_those_of_the_published_table(first: int, second: int, critical: int) -> None:
    """Critical values of U, two-sided at 0.05, as tables print them."""
    assert limit_rank(first, second) == limit_rank(second, first) == critical + 1


@pytest.mark.parametrize(("first", "second"), [(2, 3), (4, 4), (4, 5), (5, 6)])
def test_limits_by_counting_every_order(first: int, second: int) -> None:
    """U is how often a value of one sample is above one of the other; its lowest 2.5 % are cut off."""
    orders = [
        sum(place - rank for rank, place in enumerate(chosen))
        for chosen in combinations(range(first + second), first)
    ]
    rank = limit_rank(first, second)
    assert sum(u < rank for u in orders) <= 0.025 * len(orders) < sum(u <= rank for u in orders)


@pytest.mark.parametrize("count", [32, 40, 100])
def test_limits_of_many_bursts_are_nearly_those_of_fewer(count: int) -> None:
    """The normal approximation against scipy's own p of a U just at and beyond the limit."""
    rank = limit_rank(count, count)
    spread = (count * count * (2 * count + 1) / 12) ** 0.5
    tails = [scipy_stats.norm.cdf((u - count * count / 2) / spread) for u in (rank - 1, rank + 1)]
    assert tails[0] <= 0.025 <= tails[1] + 1e-4


@given(st.lists(TIMES, min_size=1, max_size=4), st.lists(TIMES, min_size=1, max_size=4))
def test_the_estimate_is_hodges_and_lehmanns(old: Any, new: Any) -> None:
    found, low, high = ratio_interval(old, new) if min(map(len, map(_flat, (old, new)))) >= 4 else (None,) * 3
    if found is None:
        return
    differences = [log(b) - log(a) for a in _flat(old) for b in _flat(new)]
    assert log(found) == pytest.approx(median(differences), abs=1e-9)
    assert low <= found * (1 + 1e-12)  # type: ignore[operator]
    assert found <= high * (1 + 1e-12)  # type: ignore[operator]
    back, back_low, back_high = ratio_interval(new, old)
    assert (1 / back, 1 / back_high, 1 / back_low) == pytest.approx((found, low, high), rel=1e-9)


def _flat(launches: Any) -> Any:
    return [time for launch in launches for time in launch]


@pytest.mark.parametrize("freedom", [4, 5, 6, 10, 30, 1000])
def test_students_quantile_is_scipys(freedom: int) -> None:
    assert student(freedom) == pytest.approx(scipy_stats.t.ppf(0.975, freedom), abs=1e-3)


def test_one_launch_a_side_is_bounded_by_what_launches_usually_differ_by() -> None:
    """t at 4 degrees of freedom is 2.776; the variance of a difference of two is twice that of one."""
    assert launch_reach([[1.0] * 9], [[1.0] * 9]) == pytest.approx(2.776 * LAUNCH_SD * 2**0.5, rel=1e-3)
    assert launch_reach([[1.0] * 9]) == pytest.approx(2.776 * LAUNCH_SD, rel=1e-3)


def test_runs_differ_by_a_share_of_what_launches_differ_by() -> None:
    """Variances 2 of the launches and 2 × 0.25 of the runs, in units of LAUNCH_SD², and 0.01² more."""
    reach = launch_reach([[1.0] * 9], [[1.0] * 9], extra_variance=0.01**2, run_share=0.25)
    assert reach == pytest.approx(2.776 * (2.5 * LAUNCH_SD**2 + 0.01**2) ** 0.5, rel=1e-3)


def test_launches_that_differ_widen_the_interval_by_hand() -> None:
    """Four launches at e^±0.1 with 7 degrees of freedom: t is 2.365."""
    side = [[exp(0.1)] * 2, [exp(-0.1)] * 2] * 2
    variance = (4 * LAUNCH_SD**2 + 4 * 0.1**2) / 7
    assert launch_reach(side) == pytest.approx(2.365 * (variance / 4) ** 0.5, rel=1e-3)


# Verdicts


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((1.10, 1.0501, 1.15), "slower"),
        ((1.10, 1.05, 1.15), "unclear"),
        ((0.9, 0.86, 0.94), "faster"),
        ((0.9, 0.86, 0.953), "unclear"),
        ((1.0, 0.96, 1.04), "same"),
        ((1.0, 0.95, 1.04), "unclear"),
        ((1.0, 0.5, 2.0), "unclear"),
        ((5.0, 2.0, 9.0), "unclear"),
        ((2.0, 1.5, 2.6), "slower"),
        ((1.2, 1.07, 1.34), "unclear"),
    ],
)
def test_the_verdict_is_that_of_the_whole_interval(interval: tuple[Any, ...], verdict: str) -> None:
    assert by_interval(*interval).verdict == verdict


@pytest.mark.parametrize("factor", [1.15, 1.5, 3.0])
def test_a_real_change_is_found_in_every_draw(factor: float) -> None:
    for seed in range(50):
        old, new = _launched(0.01, seed=seed), _launched(0.01 * factor, seed=seed)
        assert _change(old, new).verdict == "slower"
        assert _change(new, old).verdict == "faster"


@pytest.mark.parametrize("within", [0.002, 0.02, 0.1, 0.4])
@pytest.mark.parametrize("between", [0.0, 0.015, 0.1])
def test_noise_is_hardly_ever_a_change(within: float, between: float) -> None:
    """Between bursts and between processes, each from much less to much more than is usual."""
    pairs = [
        [_launched(0.01, within=within, between=between, seed=f"{seed} {side}") for side in "ab"]
        for seed in range(200)
    ]
    assert sum(_change(*pair).verdict in ("faster", "slower") for pair in pairs) <= 2


def test_five_bursts_are_too_few_and_six_are_enough() -> None:
    five, six = _launched(1.0, 5, 1), _launched(1.5, 6, 1)
    found = _change(five, six)
    assert (found.verdict, found.ratio, found.reason) == (
        "unclear",
        None,
        "the old one has 5 bursts, 6 are needed",
    )
    assert _change(six, _launched(1.0, 6, 1)).verdict == "faster"


def test_times_of_different_batches_are_compared_per_image() -> None:
    four = _launched(0.04, batch=4)
    assert _change(_launched(0.01), four).ratio == pytest.approx(1, rel=0.02)


def test_runs_differ_by_more_than_launches_of_one_run() -> None:
    old, new = _launched(0.01), _launched(0.01, seed=1)
    within, across = compare(old, new, RUN, RUN), compare(old, new, RUN, made())
    assert across.ratio == within.ratio
    assert across.high / across.low > within.high / within.low  # type: ignore[operator]


def test_a_machine_whose_peak_was_lower_in_one_run_hides_a_change_of_a_seventh() -> None:
    """Load that no count of the system shows: the machine's own product was 6 % slower too."""

    def run(peak: Any) -> Any:
        rates = (PeakRates("cpu", "fp32", 1, peak, 5e10),)
        runtimes = {"cpu": Runtime("1.0", "cpu", "cpu")}
        return made(host=replace(HOST, runtimes=runtimes, peak_rates=rates))

    old, new = _launched(0.01), _launched(0.0114, seed=1)
    assert compare(old, new, run(80e9), run(80e9)).verdict == "slower"
    assert compare(old, new, run(80e9), run(75e9)).verdict == "unclear"
    other = replace(new, target=replace(new.target, threads=2))
    assert compare(old, other, run(80e9), run(75e9)).verdict == "slower"  # no peak rates at two threads


def test_sums_are_compared_by_the_sums_of_their_limits() -> None:
    old, new = [_launched(0.01), _launched(0.02)], [_launched(0.02), _launched(0.04)]
    found = compare_sums(old, new)
    assert found.verdict == "slower"
    sums = [
        [sum(getattr(t.summary, key) for t in side) for key in ("median", "low", "high")]
        for side in (old, new)
    ]
    (a, a_low, a_high), (b, b_low, b_high) = sums
    assert (found.ratio, found.low, found.high) == pytest.approx((b / a, b_low / a_high, b_high / a_low))
    assert compare_sums(old, [new[0], timing("cpu", "1", status="crashed")]).verdict == "not comparable"


# A busy machine


def test_contended_times_are_compared_by_cpu_time() -> None:
    """The process got half of its CPU: wall times doubled, CPU times did not."""
    quiet, busy = _launched(0.01), _launched(0.02, cpu=0.5)
    found = _change(quiet, busy)
    assert found.clock == "CPU"
    assert found.verdict == "same"
    assert found.ratio == pytest.approx(1, rel=0.02)
    assert _change(busy, _launched(0.03, cpu=0.5)).verdict == "slower"


@pytest.mark.parametrize("fields", [{"threads": 2}, {"backend": "gpu"}])
def test_what_has_no_cpu_time_of_its_own_is_unclear_on_a_busy_machine(fields: dict[str, Any]) -> None:
    host = replace(HOST, runtimes={**HOST.runtimes, "gpu": Runtime("1.0", "a GPU", "")})
    run = made(host=host)
    crowded = [replace(b, switches=10_000) for b in _launched(0.02, cpu=0.5).bursts]
    busy = replace(_launched(0.02, **fields), launches=(Launch(tuple(crowded)),))
    found = compare(_launched(0.02, **fields), busy, run, run)
    assert (found.verdict, found.ratio, found.reason) == ("unclear", None, "the machine was too busy")


def test_a_machine_that_was_busy_in_one_run_hides_a_change_of_a_seventh() -> None:
    """Other load on another CPU slows the work itself, in wall and CPU time, by up to a fifth."""
    quiet, slowed = _launched(0.01), _launched(0.0114, seed=1)
    assert compare(quiet, slowed, RUN, made()).verdict == "slower"
    shared = [Launch(tuple(replace(b, state={OTHERS: 0.4}) for b in each.bursts)) for each in slowed.launches]
    busy = replace(slowed, launches=tuple(shared))
    assert compare(quiet, busy, RUN, made()).verdict == "unclear"
    assert compare(quiet, busy, RUN, RUN).verdict == "slower"  # interleaved with it


# What is not compared


@pytest.mark.parametrize(
    ("side", "fields", "says"),
    [
        ("old", {"status": "mismatch", "reason": "off by 1"}, "the old one is a mismatch: off by 1"),
        ("new", {"status": "crashed", "reason": "SIGSEGV"}, "the new one is crashed: SIGSEGV"),
        ("new", {"launches": ()}, "the new one is without a sample"),
    ],
)
def test_what_has_no_time_is_not_compared(side: str, fields: dict[str, Any], says: str) -> None:
    timings = {"old": _launched(1.0), "new": _launched(1.0, seed=1)}
    timings[side] = replace(timings[side], **fields)
    found = _change(**timings)
    assert (found.verdict, found.reason, found.ratio) == ("not comparable", says, None)


def test_machines_are_the_same_by_processor_cores_system_and_chip() -> None:
    def apart(old: Any, new: Any, backend: str = "cpu") -> Any:
        timed = timing(backend, NET, [1.0] * 9)
        return other_machine(timed, timed, made(host=old), made(host=new))

    assert apart(HOST, HOST) == ""
    newer = replace(
        HOST, os="Linux-6.9.1-x86_64", python="3.13.0", versions={"torch": "3.0.0"}, memory_bytes=7
    )
    assert apart(HOST, newer) == ""
    assert "processor a processor and Another" in apart(HOST, replace(HOST, cpu="Another"))
    assert "cores 2 and 8" in apart(HOST, replace(HOST, cores=8))
    assert "system Linux and Windows" in apart(HOST, replace(HOST, os="Windows-11"))
    gpu = replace(HOST, runtimes={"cpu": Runtime("1.0", "a GPU", "")})
    assert "chip cpu and a GPU" in apart(HOST, gpu)
    assert "chip cpu and unknown" in apart(HOST, replace(HOST, runtimes={}))


def test_times_of_different_machines_are_not_compared() -> None:
    other = made(host=replace(HOST, cpu="Another"))
    found = compare(_launched(1.0), _launched(2.0), RUN, other)
    assert found.verdict == "not comparable"
    assert found.ratio is None
    assert "Another" in found.reason
    assert MARGIN == 0.05  # as README says
