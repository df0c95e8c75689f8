"""Statistics of bursts: median and quantiles of a timing, and the interval of its median.

A burst is consecutive calls of one part, a launch is one process of the runtime. Calls of one burst share
the machine's state, and bursts of one launch share a memory layout: both are replicates, calls are not.
"""

from collections.abc import Iterable, Sequence
from math import ceil, exp, floor, inf, log, sqrt
from typing import Final

import msgspec

from ..device.samples import median, quantile

LEAST_BURSTS: Final = 6
"""Fewer bursts have no 95 % interval of the median: the extremes of 5 cover it with 93.75 %."""

LAUNCH_SD: Final = 0.012
"""Usual standard deviation of the logarithm of a median between launches: eight fresh processes
of MobileNetV3-Large on ncnn, onnxruntime and litert differed by 1.5 %, 0.8 % and 0.6 %."""
_LAUNCH_FREEDOM: Final = 4
"""Weight of LAUNCH_SD, in degrees of freedom, beside the differences that were seen (moderated variance:
Smyth, Linear models and empirical Bayes methods, 2004)."""

NOISY_SPREAD: Final = 0.10
"""A timing is noisy if half of p90 − p10 exceeds this share of the median ..."""
NOISY_INTERVAL: Final = 0.05
"""... or if the 95 % interval of the median reaches further than this share to a side."""

DRIFT: Final = 0.10
"""A timing drifts if its last bursts differ from its first by more than this share of the median."""

_Z95: Final = 1.959964
_LEAST_STRETCH: Final = 5

Launches = Sequence[Sequence[float]]
"""A positive value for each burst of each launch; no launch is empty."""


class Summary(msgspec.Struct, frozen=True):
    """Statistics of bursts, in the samples' unit.

    bursts, launches: how many there were. low, high: the 95 % confidence interval of the median.
    """

    bursts: int
    launches: int
    median: float
    p10: float
    p90: float
    iqr: float
    low: float
    high: float

    @property
    def interval(self) -> float:
        """How far the confidence interval reaches from the median, as a share of it; infinite for bursts
        that are too few to have one.
        """
        if self.bursts < LEAST_BURSTS:
            return inf
        return max(self.median - self.low, self.high - self.median) / self.median if self.median else 0.0

    @property
    def noise(self) -> float:
        """The spread that is shown after ±: half of p90 − p10, as a share of the median."""
        return (self.p90 - self.p10) / 2 / self.median if self.median else 0.0

    @property
    def noisy(self) -> bool:
        """True if the spread or the interval is wider than the two constants allow."""
        return self.noise > NOISY_SPREAD or self.interval > NOISY_INTERVAL


def summarize(launches: Sequence[Sequence[Sequence[float]]]) -> Summary:
    """Summarize samples by launch and burst. Raises ValueError if a launch or burst is empty, or all are.

    The interval is the wider of two, one with bursts and one with launches as replicates. Bursts too few for
    an interval are bounded by all of them and by the interval that their samples would have.
    """
    bursts = [burst for launch in launches for burst in launch]
    if not bursts or not all(bursts) or not all(launches):
        raise ValueError("there are no samples to summarize")
    ordered = sorted(sample for burst in bursts for sample in burst)
    middle = quantile(ordered, 0.5)
    reach = exp(launch_reach([[median(burst) for burst in launch] for launch in launches]))
    bounds = [
        _interval(sorted(map(median, bursts))),
        *([_interval(ordered)] if len(bursts) < LEAST_BURSTS else []),
        (middle / reach, middle * reach),
    ]
    return Summary(
        bursts=len(bursts),
        launches=len(launches),
        median=middle,
        p10=quantile(ordered, 0.1),
        p90=quantile(ordered, 0.9),
        iqr=quantile(ordered, 0.75) - quantile(ordered, 0.25),
        low=min(low for low, _ in bounds),
        high=max(high for _, high in bounds),
    )


def _interval(ordered: Sequence[float]) -> tuple[float, float]:
    low, high = median_interval(len(ordered))
    return ordered[low], ordered[high]


def median_interval(count: int) -> tuple[int, int]:
    """Return the indices of the ascending samples that bound the median with 95 % confidence.

    The binomial's normal approximation (Le Boudec, Performance Evaluation, 2010, section 2.2),
    free of any assumption on the distribution; with fewer than 6 samples all of them.
    """
    low = floor((count - _Z95 * sqrt(count)) / 2) - 1
    high = ceil((count + _Z95 * sqrt(count)) / 2)
    return max(low, 0), min(high, count - 1)


def launch_reach(*sides: Launches, extra_variance: float = 0.0, run_share: float = 0.0) -> float:
    """Return how far the 95 % interval reaches that has launches as replicates, on the logarithmic scale.

    Of one side it is the interval of its median, of two that of their ratio. The variance between launches
    is that of the launches' medians (of an even number of bursts the lower: other load makes times longer),
    on all sides together, moderated by LAUNCH_SD: one launch tells nothing of it. extra_variance: added to
    the variance of the ratio. run_share: variance between runs as a share of that between launches.
    """
    squares, freedom, shares = _LAUNCH_FREEDOM * LAUNCH_SD**2, _LAUNCH_FREEDOM, 0.0
    for launches in sides:
        middles = [log(sorted(launch)[(len(launch) - 1) // 2]) for launch in launches]
        mean = sum(middles) / len(middles)
        squares += sum((middle - mean) ** 2 for middle in middles)
        freedom += len(middles) - 1
        shares += 1 / _effective(map(len, launches))
    variance = squares / freedom * (shares + run_share * len(sides)) + extra_variance
    return student(freedom) * sqrt(variance)


def _effective(sizes: Iterable[int]) -> float:
    """Return the number of launches, smaller where their numbers of bursts differ (Kish's effective size)."""
    known = list(sizes)
    return sum(known) ** 2 / sum(size * size for size in known)


def student(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t for at least 4 degrees of freedom, within 0.001.

    Cornish and Fisher's expansion (Abramowitz & Stegun, 26.7.5).
    """
    z, n = _Z95, freedom
    terms = (
        z,
        (z**3 + z) / (4 * n),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3),
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * n**4),
    )
    return sum(terms)


def drifts(middles: Sequence[float]) -> bool:
    """Tell whether the time changed while sampling, by the medians of bursts in the order in which they ran.

    It did where the medians of the first and of the last third of them lie further apart than DRIFT.
    """
    third = len(middles) // 3
    if third < _LEAST_STRETCH:
        return False
    first, last = median(middles[:third]), median(middles[-third:])
    return abs(last - first) > DRIFT * median(middles)
