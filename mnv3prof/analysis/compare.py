"""The one comparison of two timings: ratio, 95 % interval and verdict."""

from collections.abc import Sequence
from functools import lru_cache
from math import exp, floor, log, sqrt
from statistics import NormalDist
from typing import Final, Literal

import msgspec

from ..record.run import Run
from ..record.stats import LEAST_BURSTS, Launches, launch_reach
from ..record.timing import NO_SAMPLES, Timing
from .grid import peak_of
from .load import Clock, has_cpu_time

MARGIN: Final = 0.05
"""Smaller changes do not count. MLPerf Mobile accepts this difference between repeated runs."""

RUN_SHARE: Final = 0.25
"""Variance of a median's logarithm between runs, as a share of that between launches ..."""
RUN_SD: Final = 0.005
"""... and its standard deviation beyond that, on a quiet machine ..."""
BUSY_SD: Final = 0.10
"""... and where contended bursts had to be kept."""
PEAK_SHARE: Final = 2.0
"""Standard deviation of the same, per logarithm of the ratio of the machine's peak rates in the two runs.
Load that the system does not see, e.g. of other virtual machines, lowers the peak by up to 7 %, and slowed
parts by up to twice that in six runs of one network."""

VERDICTS: Final = (
    "Ratio with its 95 % interval, estimated from all pairs of bursts, so it may differ from that of the "
    f"medians. Faster or slower: all of the interval is beyond {MARGIN:.0%} and beyond its own half-width; "
    "same: all of it is within; else unclear."
)
"""Meaning of the verdicts."""

_EXACT: Final = 1000
"""Largest number of pairs of bursts for exact limits; above it the normal approximation is used."""

Verdict = Literal["faster", "slower", "same", "unclear", "not comparable"]


class Change(msgspec.Struct, frozen=True):
    """What became of a time. ratio: new / old, per image; low, high: its 95 % interval.

    Without times, or with too few, there is no ratio. clock: of which times it is; "CPU" where the machine
    was too busy to measure wall times. reason: why the verdict is not faster, slower or same.

    >>> (time,) = mnv3prof.diff("run.json", "run.json").times
    >>> time.change.verdict in ("same", "unclear")  # a run and itself
    True
    """

    verdict: Verdict
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    clock: Clock = "wall"

    def __str__(self) -> str:
        if self.ratio is None or self.low is None or self.high is None:
            return self.verdict
        return f"×{self.ratio:.3g} ({self.low:.3g} to {self.high:.3g})"

    @property
    def described(self) -> str:
        """The ratio with its interval, if there is one, and the verdict."""
        clock = "" if self.clock == "wall" else f"{self.clock} time "
        return self.verdict if self.ratio is None else f"{clock}{self} {self.verdict}"


def compare(old: Timing, new: Timing, before: Run, after: Run) -> Change:
    """Compare a timing of the run `before` with one of `after`, which may be the same run.

    The interval is the wider of two. With bursts as replicates: Hodges and Lehmann's estimate and the exact
    limits of Mann and Whitney's test, on logarithms. With launches as replicates: a t interval around the
    same estimate, wider by what runs differ by if there are two. Verdict: by_interval.
    """
    if reason := _not_comparable(old, new, before, after):
        return Change("not comparable", reason=reason)
    clock: Clock = "CPU" if old.contended or new.contended else "wall"
    if clock == "CPU" and not (has_cpu_time(old, before) and has_cpu_time(new, after)):
        return Change("unclear", reason="the machine was too busy")
    first, second = (timing.medians(cpu=clock == "CPU") for timing in (old, new))
    run_variance = None
    if before is not after:
        run_variance = _run_variance(old) + _run_variance(new) + _peak_variance(old, new, before, after)
    for which, launches in (("old", first), ("new", second)):
        if (bursts := sum(map(len, launches))) < LEAST_BURSTS:
            return Change("unclear", reason=f"the {which} one has {bursts} bursts, {LEAST_BURSTS} are needed")
    return msgspec.structs.replace(by_interval(*ratio_interval(first, second, run_variance)), clock=clock)


def _run_variance(timing: Timing) -> float:
    return BUSY_SD**2 if timing.contended else RUN_SD**2


def _peak_variance(old: Timing, new: Timing, before: Run, after: Run) -> float:
    """Return the variance by how much the machine itself was slower in one of two runs."""
    first, second = peak_of(old, before), peak_of(new, after)
    if first is None or second is None or old.target.dtype != new.target.dtype:
        return 0.0
    if (first.name, first.threads) != (second.name, second.threads):
        return 0.0
    return (PEAK_SHARE * log(second.macs_per_s / first.macs_per_s)) ** 2


def by_interval(ratio: float, low: float, high: float) -> Change:
    """Judge a ratio by its interval: faster or slower if all of it is beyond MARGIN and beyond its own
    half-width, the same if all of it is within MARGIN, else unclear.

    The half-width keeps noise from being a change among many that are compared: without it 95 % intervals
    that are much wider than MARGIN would be wrong in 5 % of all cases, by their definition.
    """
    margin = max(1 + MARGIN, ratio / low, high / ratio)
    if high < 1 / margin:
        return Change("faster", ratio, low, high)
    if low > margin:
        return Change("slower", ratio, low, high)
    if low >= 1 / (1 + MARGIN) and high <= 1 + MARGIN:
        return Change("same", ratio, low, high)
    return Change("unclear", ratio, low, high, f"the interval reaches from ×{low:.3f} to ×{high:.3f}")


def compare_sums(olds: Sequence[Timing], news: Sequence[Timing]) -> Change:
    """Compare the sums of medians of one run, whose intervals are taken to be off in the same direction."""
    sides = [[t.summary for t in timings if t.status == "ok" and t.summary] for timings in (olds, news)]
    if any(timing.without_samples for timing in (*olds, *news)):
        return Change("not comparable", reason=NO_SAMPLES)
    if not all(sides) or len(sides[0]) < len(olds) or len(sides[1]) < len(news):
        return Change("not comparable", reason="not all parts were measured")
    if any(timing.contended for timing in (*olds, *news)):
        return Change("unclear", reason="the machine was too busy")
    (a, a_low, a_high), (b, b_low, b_high) = (
        (sum(s.median for s in side), sum(s.low for s in side), sum(s.high for s in side)) for side in sides
    )
    return by_interval(b / a, b_low / a_high, b_high / a_low)


def ratio_interval(
    old: Launches, new: Launches, run_variance: float | None = None
) -> tuple[float, float, float]:
    """Return the ratio new / old and its 95 % interval, from positive times of at least LEAST_BURSTS bursts a
    side. run_variance: of the logarithm of the ratio, beyond RUN_SHARE; None within one run.
    """
    first, second = ([log(time) for launch in side for time in launch] for side in (old, new))
    differences = sorted(b - a for a in first for b in second)
    middle = len(differences) // 2
    ratio = (differences[middle] + differences[-1 - middle]) / 2
    rank = limit_rank(len(first), len(second))
    if run_variance is None:
        reach = launch_reach(old, new)
    else:
        reach = launch_reach(old, new, extra_variance=run_variance, run_share=RUN_SHARE)
    low = min(differences[rank - 1], ratio - reach)
    high = max(differences[-rank], ratio + reach)
    return exp(ratio), exp(low), exp(high)


@lru_cache(maxsize=1024)
def limit_rank(first: int, second: int) -> int:
    """Return the rank among the pairwise differences of two samples, from either end, that bounds the shift
    with at least 95 % confidence: one more than the critical value of Mann and Whitney's U.

    0 if the samples are too small. Above _EXACT pairs by the normal approximation.
    """
    pairs = first * second
    if pairs > _EXACT:
        spread = sqrt(pairs * (first + second + 1) / 12)
        return floor(pairs / 2 - NormalDist().inv_cdf(0.975) * spread)
    tail, rank = 0.0, 0
    orders = _orders(first, second)
    limit = 0.025 * sum(orders)
    for ways in orders:
        tail += ways
        if tail > limit:
            return rank
        rank += 1
    return rank


def _orders(first: int, second: int) -> list[int]:
    """Return in how many orders of two samples U is 0, 1, ...: the Gaussian binomial coefficient."""
    ways = [1] + [0] * (first * second)
    for n in range(1, first + 1):
        for total in range(len(ways) - 1, second + n - 1, -1):
            ways[total] -= ways[total - second - n]
        for total in range(n, len(ways)):
            ways[total] += ways[total - n]
    return ways


def _not_comparable(old: Timing, new: Timing, before: Run, after: Run) -> str:
    """Return why two timings cannot be compared, or ""."""
    if reason := other_machine(old, new, before, after):
        return reason
    for which, timing in (("old", old), ("new", new)):
        if timing.status == "ok" and timing.without_samples:
            return f"the {which} one has {NO_SAMPLES}"
        if timing.status != "ok" or not timing.bursts:
            return f"the {which} one is {state(timing)}"
        if not timing.seconds:
            return f"the {which} one took no time"
    return ""


def other_machine(old: Timing, new: Timing, before: Run, after: Run) -> str:
    """Return why timings of two runs cannot be compared, or "".

    Times of another machine cannot, unless the devices are what is compared. Versions may differ: they
    are what a change of time is often about.
    """
    if old.target.device != new.target.device:
        return ""
    a, b = before.hosts[old.target.device], after.hosts[new.target.device]
    pairs: dict[str, tuple[object, object]] = {
        "processor": (a.cpu, b.cpu),
        "cores": (a.cores, b.cores),
        "system": (a.os.partition("-")[0], b.os.partition("-")[0]),
    }
    if old.target.backend == new.target.backend:
        name = new.target.backend
        x, y = (host.runtimes[name].chip if name in host.runtimes else "" for host in (a, b))
        pairs["chip"] = (x, y)
    differing = [f"{what} {x or 'unknown'} and {y or 'unknown'}" for what, (x, y) in pairs.items() if x != y]
    return f"measured on different machines: {', '.join(differing)}" if differing else ""


def state(timing: Timing) -> str:
    """Return why a timing has no time: its status and the reason."""
    if timing.status == "ok":
        return "without a sample"
    status = "a mismatch" if timing.status == "mismatch" else timing.status
    return f"{status}: {timing.reason}" if timing.reason else status
